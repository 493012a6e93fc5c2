"""Attainment, profiles, tuning, noise and cost: what their lines hold."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from synthetic import synthetic_results

from optbench import analysis
from optbench.reporting import style
from optbench.reporting.figure_attainment import draw_attainment
from optbench.reporting.figure_cost import cost
from optbench.reporting.figure_noise import noise
from optbench.reporting.figure_profiles import profiles
from optbench.reporting.figure_tuning import DEFAULTS, tuning
from optbench.reporting.style import look

RESULTS = synthetic_results()
RUNS = analysis.default_league(RESULTS.runs).runs
LOOK = {name: look(name, name) for name in ("adam", "sgd", "momentum", "lion")}
FIRST = ["adam", "sgd"]
ADAM, SGD = LOOK["adam"].color, LOOK["sgd"].color


def lines(ax: Axes, color: str, marker: str = "None") -> list[np.ndarray]:
    """The lines of a colour that are in the axes' own coordinates."""
    return [
        np.asarray(one.get_xydata())
        for one in ax.get_lines()
        if to_hex(one.get_color()) == color and str(one.get_marker()) == marker
        if one.get_transform() == ax.transData
    ]  # fmt: skip


def names(figure: Figure, axes: int = 0) -> set[str]:
    return {text.get_text() for text in figure.axes[axes].texts}


def test_attainment_draws_values_bands_and_the_end_of_the_budget() -> None:
    curves = analysis.attainment(RUNS, RESULTS.targets)
    figure = draw_attainment(curves, FIRST, LOOK)
    (ax,) = figure.axes
    mine = curves[curves["optimizer"] == "adam"]
    (line,) = lines(ax, ADAM)
    np.testing.assert_array_equal(line, mine[["share", "value"]].to_numpy())
    (cross,) = lines(ax, ADAM, "x")
    np.testing.assert_array_equal(cross, [[1.0, mine["value"].iloc[-1]]])
    assert len(lines(ax, style.REST)) == 2
    (band,) = [one for one in ax.patches if to_hex(one.get_facecolor()) == ADAM]
    edge = band.get_path().vertices
    for end in ("low", "high"):
        assert set(mine[end]) <= set(np.asarray(edge)[:, 1].tolist())
    assert ax.get_ylim()[1] >= curves["value"].max()


def test_an_attainment_without_bands_is_drawn_without() -> None:
    curves = analysis.attainment(RUNS, RESULTS.targets).assign(low=np.nan, high=np.nan)
    (ax,) = draw_attainment(curves, FIRST, LOOK).axes
    assert np.isfinite(ax.get_ylim()).all()
    assert len(lines(ax, ADAM)) == 1


def read(line: np.ndarray, at: float) -> float:
    """The height of a step function that keeps its value up to the next point."""
    return float(line[np.flatnonzero(line[:, 0] <= at)[-1], 1])


def test_profiles_are_step_functions_of_the_frames() -> None:
    performance = pd.DataFrame(
        {
            "optimizer": ["adam"] * 4 + ["sgd"] * 2,
            "tau": [1.0, 2.0, 8.0, 500.0, 1.0, 500.0],
            "share": [0.25, 0.5, 0.75, 1.0, 0.75, 0.75],
        }
    )
    data = pd.DataFrame(
        {
            "optimizer": ["adam"] * 4,
            "share": [0.0, 1e-5, 0.1, 1.0],
            "value": [0.0, 0.25, 0.5, 0.5],
        }
    )
    figure = profiles(performance, data, FIRST, LOOK)
    left, right = figure.axes
    (line,) = lines(left, ADAM)
    assert [read(line, tau) for tau in (1, 1.9, 2, 7.9, 8, 99, 100)] == [
        *(0.25, 0.25, 0.5, 0.5, 0.75, 0.75, 0.75)
    ]
    assert line[-1, 0] == left.get_xlim()[1] == 100
    (flat,) = lines(left, SGD)
    assert set(flat[:, 1]) == {0.75}
    (line,) = lines(right, ADAM)
    # What was reached before the axis begins is there from its left edge on.
    assert line[0, 0] == right.get_xlim()[0] == 1e-3
    assert [read(line, share) for share in (1e-3, 0.09, 0.1, 1.0)] == [0.25, 0.25, 0.5, 0.5]
    drawn = [one for ax in figure.axes for one in ax.get_lines()]
    assert {one.get_drawstyle() for one in drawn if one.get_linewidth() > 1} == {"steps-post"}


def test_profiles_of_real_frames_end_where_the_frames_do() -> None:
    performance = analysis.performance_profile(analysis.scores(RUNS))
    data = analysis.data_profile(RUNS, RESULTS.targets, RESULTS.problems, 1e-4)
    figure = profiles(performance, data, FIRST, LOOK)
    for ax, frame, column in zip(figure.axes, (performance, data), ("share", "value"), strict=True):
        (line,) = lines(ax, ADAM)
        assert line[-1, 1] == frame.loc[frame["optimizer"] == "adam", column].iloc[-1]


BEST = pd.DataFrame(
    {
        "optimizer": ["adam"] * 3 + ["sgd"] + ["lion"] * 2,
        "k": [1, 2, 3, 1, 1, 2],
        "value": [0.2, 0.3, 0.35, 0.4, 0.1, 0.15],
    }
)


def test_tuning_draws_each_best_of_k_and_that_of_the_defaults() -> None:
    defaults = pd.DataFrame({"k": [1, 2, 3, 4], "value": [0.1, 0.2, 0.3, 0.45]})
    figure = tuning(BEST, defaults, FIRST, LOOK)
    (ax,) = figure.axes
    (line,) = lines(ax, ADAM)
    assert line.tolist() == [[1, 0.2], [2, 0.3], [3, 0.35]]
    # A single setting has no line, and is seen all the same.
    assert [one.tolist() for one in lines(ax, SGD, "o")] == [[[1, 0.4]]]
    (black,) = lines(ax, style.INK)
    assert black.tolist() == defaults.to_numpy().tolist()
    assert {DEFAULTS, "adam", "sgd", "lion"} <= names(figure)
    assert ax.get_ylim()[0] < 0.1 < 0.45 < ax.get_ylim()[1]


def test_tuning_without_defaults_has_no_such_line() -> None:
    figure = tuning(BEST, pd.DataFrame({"k": [], "value": []}), FIRST, LOOK)
    assert not lines(figure.axes[0], style.INK)
    assert DEFAULTS not in names(figure)


def test_noise_draws_theory_as_a_line_and_what_moves_hollow() -> None:
    measured = pd.DataFrame(
        {
            "optimizer": ["sgd"] * 3 + ["adam"] * 2,
            "lr": [0.01, 0.1, 1.0, 0.01, 0.1],
            "gap": [0.1, 1.0, np.inf, 0.2, 2.0],
            "low": [0.05, 0.5, np.nan, np.nan, 1.0],
            "high": [0.2, 2.0, np.nan, np.nan, 4.0],
            "settled": [False, True, False, True, True],
        }
    )
    theory = pd.DataFrame({"optimizer": "sgd", "lr": [0.01, 0.1, 1.0], "gap": [0.12, 1.2, 12.0]})
    (ax,) = noise(measured, theory, LOOK).axes
    line, intervals = lines(ax, SGD)
    assert line.tolist() == theory[["lr", "gap"]].to_numpy().tolist()
    assert intervals[[0, 1, 3, 4]].tolist() == [[0.01, 0.05], [0.01, 0.2], [0.1, 0.5], [0.1, 2]]
    marks = {
        to_hex(str(one.get_markerfacecolor())): np.asarray(one.get_xdata()).tolist()
        for one in ax.get_lines()
        if one.get_marker() == LOOK["sgd"].marker
    }
    assert marks == {SGD: [0.1], "#ffffff": [0.01]}
    # Without a theory a thin line joins the points.
    joined = lines(ax, ADAM)[0]
    assert joined.tolist() == [[0.01, 0.2], [0.1, 2.0]]
    thick, thin = (
        next(one.get_linewidth() for one in ax.get_lines() if to_hex(one.get_color()) == color)
        for color in (SGD, ADAM)
    )
    assert thin < thick


def test_noise_without_a_measurement_says_so() -> None:
    columns = ["optimizer", "lr", "gap", "low", "high", "settled"]
    empty = pd.DataFrame({name: pd.Series(dtype=float) for name in columns})
    assert "nothing measured" in names(noise(empty, empty, LOOK))


def test_cost_draws_each_implementation_and_shades_what_is_out_of_reach() -> None:
    costs = pd.DataFrame(
        {
            "optimizer": ["adam", "adam", "adam[fused]", "adam[fused]", "other", "other"],
            "parameters": [10_000, 100, 100, 10_000, 100, 1_000],
            "seconds": [1e-3, 1e-5, 1e-5, 2e-4, 1e-4, np.nan],
        }
    )
    bound = pd.DataFrame({"parameters": [100, 10_000], "seconds": [1e-6, 1e-4]})
    looks = {"adam": LOOK["adam"], "adam[fused]": look("adam[fused]", "adam", "fused")}
    figure = cost(costs, bound, looks)
    (ax,) = figure.axes
    slow, fused = lines(ax, ADAM, "o")
    assert slow.tolist() == [[100, 1e-5], [10_000, 1e-3]]
    assert fused.tolist() == [[100, 1e-5], [10_000, 2e-4]]
    (edge,) = lines(ax, style.INK)
    assert edge.tolist() == bound.to_numpy().tolist()
    (region,) = ax.collections
    corners = np.asarray(region.get_paths()[0].vertices)
    assert corners[:, 1].max() == pytest.approx(1e-4)
    assert corners[:, 1].min() < ax.get_ylim()[0] < 1e-5
    assert {"adam", "adam[fused]", "other"} <= names(figure)
