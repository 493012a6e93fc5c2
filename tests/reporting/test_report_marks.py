"""Who takes an optimizer out of a figure takes out all of it: what the page's script relies on."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from matplotlib.artist import Artist
from matplotlib.collections import Collection
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.text import Text
from synthetic import OPTIMIZERS, grid, synthetic_results

from optbench import analysis
from optbench.reporting import style
from optbench.reporting.figure_attainment import draw_attainment
from optbench.reporting.figure_convergence import convergence
from optbench.reporting.figure_cost import cost
from optbench.reporting.figure_curves import curves
from optbench.reporting.figure_forest import by_problem, forest
from optbench.reporting.figure_history import SERIES, history
from optbench.reporting.figure_noise import noise
from optbench.reporting.figure_profiles import profiles
from optbench.reporting.figure_ranks import critical_difference, heatmap
from optbench.reporting.figure_sensitivity import sensitivity
from optbench.reporting.figure_times import times
from optbench.reporting.figure_trajectories import trajectories
from optbench.reporting.figure_tuning import tuning
from optbench.reporting.style import look

RESULTS = synthetic_results()
RUNS = analysis.default_league(RESULTS.runs).runs
SCORES = analysis.scores(RUNS)
PROBLEMS = RESULTS.problems
LOOK = {name: look(name, name) for name in OPTIMIZERS}
FIRST = ["adam", "sgd"]
NAMES = [str(name) for name in PROBLEMS["problem"]]


def drawn_convergence() -> Figure:
    bands = analysis.bands(RUNS, RESULTS.traces, relative=True)
    return convergence(bands, SCORES, PROBLEMS, FIRST, LOOK)


def drawn_sensitivity() -> Figure:
    return sensitivity(analysis.sensitivity(RESULTS.runs), PROBLEMS, FIRST, LOOK)


def drawn_trajectories() -> Figure:
    path = analysis.trajectories(RUNS, RESULTS.traces, "rosenbrock-2d", 0)
    return trajectories([("one", path)], grid(), LOOK, problem="rosenbrock-2d")


def drawn_curves() -> Figure:
    band = analysis.bands(RUNS, RESULTS.traces).query("problem == 'mnist-mlp'")
    return curves([("title", "loss", band)], FIRST, LOOK, problem="mnist-mlp")


def drawn_attainment() -> Figure:
    return draw_attainment(analysis.attainment(RUNS, RESULTS.targets), FIRST, LOOK)


def drawn_forest() -> Figure:
    return forest(analysis.against(RUNS, "lion"), LOOK, "lion")


def drawn_by_problem() -> Figure:
    return by_problem(analysis.against(RUNS, "lion"), NAMES, FIRST, LOOK, "lion")


def drawn_times() -> Figure:
    return times(RUNS, PROBLEMS, OPTIMIZERS, FIRST, LOOK)


def drawn_heatmap() -> Figure:
    return heatmap(SCORES, analysis.ranks(SCORES), NAMES, OPTIMIZERS)


def drawn_critical_difference() -> Figure:
    return critical_difference(analysis.critical_difference(analysis.ranks(SCORES)), LOOK)


def drawn_profiles() -> Figure:
    data = analysis.data_profile(RUNS, RESULTS.targets, PROBLEMS, 1e-4)
    return profiles(analysis.performance_profile(SCORES), data, FIRST, LOOK)


def drawn_tuning() -> Figure:
    best = analysis.best_of_k(RESULTS.runs, RESULTS.targets)
    return tuning(best, pd.DataFrame({"k": [1, 2], "value": [0.2, 0.3]}), FIRST, LOOK)


def by_size(name: str, value: str) -> pd.DataFrame:
    frame = pd.DataFrame({name: [1e2, 1e4], value: [1e-5, 1e-3]})
    return pd.concat([frame.assign(optimizer=one) for one in OPTIMIZERS], ignore_index=True)


def drawn_cost() -> Figure:
    bound = pd.DataFrame({"parameters": [1e2, 1e4], "seconds": [1e-6, 1e-4]})
    return cost(by_size("parameters", "seconds"), bound, {name: LOOK[name] for name in FIRST})


def drawn_noise() -> Figure:
    gap = by_size("lr", "gap")
    measured = gap.assign(low=gap["gap"] / 2, high=2 * gap["gap"], settled=gap["lr"] > 1e3)
    return noise(measured, gap[gap["optimizer"] == "adam"], LOOK)


def drawn_history() -> Figure:
    key = dict.fromkeys(SERIES, "") | {"metric": "step", "unit": "s", "version": "1"}
    frame = pd.DataFrame({"commit": ["abc", "def"], "place": [0, 1], "value": [1.0, 2.0]})
    values = frame.assign(**key | {"optimizer": "adam", "status": ["measured", "failed"]})
    return history(values, pd.DataFrame())


FIGURES = [
    drawn_convergence, drawn_sensitivity, drawn_trajectories, drawn_curves, drawn_attainment,
    drawn_forest, drawn_by_problem, drawn_times, drawn_heatmap, drawn_critical_difference,
    drawn_profiles, drawn_tuning, drawn_cost, drawn_noise,
]  # fmt: skip


def of(figure: Figure, optimizer: str) -> list[Artist]:
    return figure.findobj(lambda artist: artist.get_gid() == f"o:{optimizer}")


def colors(artist: Artist) -> set[str]:
    found: list[object] = []
    if isinstance(artist, Line2D):
        found = [artist.get_color(), artist.get_markeredgecolor()]
    elif isinstance(artist, Patch):
        found = [artist.get_facecolor()]
    elif isinstance(artist, Collection):
        found = list(artist.get_facecolor())  # type: ignore[call-overload]
    return {to_hex(each) for each in found if not isinstance(each, str) or each != "none"}  # type: ignore[arg-type]


@pytest.mark.parametrize("draw", FIGURES)
def test_nothing_of_an_optimizer_is_left_where_its_marks_are_taken_out(
    draw: Callable[[], Figure],
) -> None:
    figure = draw()
    mine = {id(part) for artist in of(figure, "adam") for part in artist.findobj()}
    assert mine
    others = [artist for artist in figure.findobj() if id(artist) not in mine]
    # Adam's blue is nobody else's here; the heat map's shades are everybody's.
    if draw is not drawn_heatmap:
        assert not [one for one in others if LOOK["adam"].color in colors(one)]
    texts = [one.get_text() for one in others if isinstance(one, Text)]
    assert not [text for text in texts if text.split(" ")[0] == "adam"]


@pytest.mark.parametrize("draw", [drawn_convergence, drawn_sensitivity, drawn_attainment])
def test_a_grey_line_is_one_optimizers(draw: Callable[[], Figure]) -> None:
    figure = draw()
    for name in ("momentum", "lion"):
        drawn = [one for one in of(figure, name) if isinstance(one, Line2D)]
        assert drawn
        assert {to_hex(one.get_color()) for one in drawn} == {style.REST}


@pytest.mark.parametrize("draw", [drawn_convergence, drawn_sensitivity, drawn_times])
def test_each_panel_says_whose_problem_it_is(draw: Callable[[], Figure]) -> None:
    assert [ax.get_gid() for ax in draw().axes] == [f"p:{name}" for name in NAMES]


def test_a_figure_of_one_problem_says_so() -> None:
    assert {ax.get_gid() for ax in drawn_curves().axes} == {"p:mnist-mlp"}
    assert {ax.get_gid() for ax in drawn_trajectories().axes} == {"p:rosenbrock-2d"}


def test_legend_entries_are_marked() -> None:
    legend = drawn_convergence().legends[0]
    assert [text.get_gid() for text in legend.get_texts()] == ["o:adam", "o:sgd", None]
    handles = [one.get_gid() for one in legend.legend_handles if one is not None]
    assert handles == ["o:adam", "o:sgd", None]


def test_a_series_of_the_history_is_marked() -> None:
    lines = [one for one in of(drawn_history(), "adam") if isinstance(one, Line2D)]
    assert [np.asarray(one.get_xdata()).tolist() for one in lines] == [[0], [1]]
