"""Figures as values: what their axes hold."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from synthetic import grid, synthetic_results

from optbench import analysis
from optbench.reporting import figure_convergence, figure_curves, figure_sensitivity, style
from optbench.reporting import figure_trajectories as over_contours
from optbench.reporting.style import FLOOR, LOOKS, decades, look, power_of_ten, spread

RESULTS = synthetic_results()
LEAGUE = analysis.default_league(RESULTS.runs)
LOOK = {name: look(name, name) for name in ("adam", "sgd", "momentum", "lion")}


def convergence(bands: pd.DataFrame) -> Figure:
    return figure_convergence.convergence(
        bands, analysis.scores(LEAGUE.runs), RESULTS.problems, ["adam", "sgd"], LOOK
    )


def lines(figure: Figure, axes: int, color: str) -> list[np.ndarray]:
    drawn = figure.axes[axes].get_lines()
    return [np.asarray(one.get_xydata()) for one in drawn if to_hex(one.get_color()) == color]


def test_one_axis_a_problem_with_the_medians_in_it() -> None:
    bands = analysis.bands(LEAGUE.runs, RESULTS.traces, relative=True)
    figure = convergence(bands)
    assert [ax.get_title(loc="left") for ax in figure.axes] == list(RESULTS.problems["problem"])
    (line,) = lines(figure, 0, LOOKS["adam"].color)
    mine = bands[(bands["problem"] == "quadratic") & (bands["optimizer"] == "adam")]
    np.testing.assert_allclose(line[:, 1], mine["median"].clip(lower=FLOOR))
    assert len(figure.axes[0].patches) == 2  # the bands of those in colour
    others = lines(figure, 0, style.REST)
    assert len(others) == 2
    other = bands[(bands["problem"] == "quadratic") & (bands["optimizer"] == "lion")]
    np.testing.assert_allclose(others[0][:, 1], other["median"].clip(lower=FLOOR))


def test_what_is_infinite_is_not_drawn_and_nothing_lies_below_the_floor() -> None:
    bands = analysis.bands(LEAGUE.runs, RESULTS.traces, relative=True)
    late = bands["step"] > 100
    bands = bands.assign(median=np.where(late, np.inf, bands["median"] * 1e-30))
    figure = convergence(bands.assign(low=0.0))
    (line,) = lines(figure, 0, LOOKS["adam"].color)
    assert np.isnan(line[line[:, 0] > 100, 1]).all()
    assert np.nanmin(line[:, 1]) == FLOOR
    edges = [np.asarray(band.get_path().vertices)[:, 1] for band in figure.axes[0].patches]
    assert [float(edge.min()) for edge in edges] == [FLOOR, FLOOR]


def test_a_miss_has_no_height_among_the_steps() -> None:
    table = analysis.sensitivity(RESULTS.runs)
    mine = (table["optimizer"] == "adam") & (table["problem"] == "quadratic")
    table.loc[mine & table["default"], "median_steps"] = np.nan
    figure = figure_sensitivity.sensitivity(table, RESULTS.problems, ["adam"], LOOK)
    budget = RESULTS.problems["budget"].iloc[0]
    crosses = [one for one in figure.axes[0].get_lines() if one.get_marker() == "x"]
    assert [float(np.asarray(one.get_ydata())[0]) > budget for one in crosses] == [True]
    curve = lines(figure, 0, LOOKS["adam"].color)[0]
    assert np.isnan(curve[curve[:, 0] == 1e-2, 1]).all()


def test_where_nothing_reaches_the_target_the_gap_is_shown_and_named() -> None:
    runs = RESULTS.runs.assign(steps_to_target=np.nan)
    table = analysis.sensitivity(runs)
    figure = figure_sensitivity.sensitivity(table, RESULTS.problems, ["adam"], LOOK)
    assert any("no target reached" in text.get_text() for text in figure.axes[0].texts)
    mine = table[(table["optimizer"] == "adam") & (table["problem"] == "quadratic")]
    drawn = lines(figure, 0, LOOKS["adam"].color)[0][:, 1]
    np.testing.assert_array_equal(drawn, mine["median_gap"].replace(np.inf, np.nan).clip(FLOOR))


def test_paths_are_drawn_where_they_went_and_the_panels_share_their_view() -> None:
    path = analysis.trajectories(LEAGUE.runs, RESULTS.traces, "rosenbrock-2d", 0)
    figure = over_contours.trajectories([("one", path), ("two", path)], grid(), LOOK)
    one, two = figure.axes
    assert one.get_xlim() == two.get_xlim()
    mine = path[path["optimizer"] == "sgd"][["x0", "x1"]].to_numpy()
    assert any(np.array_equal(line, mine) for line in lines(figure, 0, LOOKS["sgd"].color))
    assert one.get_xlim()[0] <= path["x0"].min()
    assert one.get_xlim()[1] >= 1.0  # the minimum is in view


def test_a_path_that_leaves_the_grid_does_not_stretch_the_view() -> None:
    path = analysis.trajectories(LEAGUE.runs, RESULTS.traces, "rosenbrock-2d", 0)
    wild = path.assign(x0=np.where(path["step"] > 50, np.inf, path["x0"] * 1e9))
    figure = over_contours.trajectories([("one", wild)], grid(), LOOK)
    assert -2.0 <= figure.axes[0].get_xlim()[0] < figure.axes[0].get_xlim()[1] <= 2.0


def test_curves_by_second_stretch_each_line_by_its_own_cost_and_leave_out_who_was_not_timed() -> (
    None
):
    band = analysis.bands(LEAGUE.runs, RESULTS.traces).query("problem == 'mnist-mlp'")
    seconds = {"adam": 2e-3, "sgd": 1e-3, "lion": np.nan}
    figure = figure_curves.curves([("title", "loss", band)], ["adam"], LOOK, seconds)
    steps = np.unique(band.loc[band["step"] > 0, "step"])
    adam = lines(figure, 0, LOOKS["adam"].color)[0]
    np.testing.assert_allclose(adam[:, 0], 2e-3 * steps)
    assert [len(line) for line in lines(figure, 0, style.REST)[:1]] == [len(steps)]
    np.testing.assert_allclose(lines(figure, 0, style.REST)[0][:, 0], 1e-3 * steps)
    named = {text.get_text() for text in figure.axes[0].texts}
    assert named <= {"adam", "sgd"}
    assert "adam" in named
    assert figure.axes[0].get_xlim() == (1e-3, 2e-3 * steps[-1])


def test_spread_moves_no_more_than_it_must() -> None:
    assert spread([0.1, 0.5, 0.9], 0.1, 0, 1) == pytest.approx([0.1, 0.5, 0.9])
    assert spread([0.5, 0.5], 0.2, 0, 1) == pytest.approx([0.4, 0.6])
    assert spread([0.9, 1.0, 1.0], 0.2, 0, 1) == pytest.approx([0.6, 0.8, 1.0])
    crowded = spread([0.5] * 30, 0.1, 0, 1)
    assert min(crowded) == pytest.approx(0)
    assert max(crowded) == pytest.approx(1)
    assert spread([], 0.1, 0, 1) == []


def test_looks_are_told_apart_and_do_not_depend_on_company() -> None:
    drawn = [(one.color, one.dash) for one in LOOKS.values()]
    assert len(drawn) == len(set(drawn))
    assert look("adam[fused]", "adam", "fused").color == look("adam", "adam").color
    assert look("adam[fused]", "adam", "fused").dash != look("adam", "adam").dash
    assert look("my:Opt", "my:Opt") == look("my:Opt", "my:Opt")
    assert look("my:Opt", "my:Opt").color not in {one.color for one in LOOKS.values()}


def test_an_axis_of_a_decade_or_two_has_numbers_between_the_powers_of_ten() -> None:
    ax = Figure().add_subplot()
    style.log_axis(ax, "x", 0.04, 1.2)
    assert list(ax.get_xticks()) == [0.05, 0.1, 0.2, 0.5, 1]
    style.log_axis(ax, "y", 1e-4, 1.0)
    assert list(ax.get_yticks()) == pytest.approx([1e-4, 1e-3, 1e-2, 1e-1, 1])


def test_ticks() -> None:
    assert [power_of_ten(v) for v in (1e-12, 0.1, 1, 1000, 1e4, 20)] == [
        *("10⁻¹²", "10⁻¹", "1", "1000", "10⁴", "20")
    ]
    assert decades(1e-12, 1, most=5) == pytest.approx([1e-12, 1e-9, 1e-6, 1e-3, 1])
