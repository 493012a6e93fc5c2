"""``optbench.plot``: the figures of a report, from results."""

from __future__ import annotations

import pytest
from matplotlib.figure import Figure
from synthetic import synthetic_results

from optbench.api import plot
from optbench.api.plot import NothingToDraw
from optbench.reporting.errors import NothingToReport, UnknownBaseline

RESULTS = synthetic_results(("adam", "sgd", "lion"), ("rosenbrock-2d", "quadratic"))

FIGURES = [
    name
    for name in dir(plot)
    if not name.startswith("_")
    and getattr(getattr(plot, name), "__module__", "") == plot.__name__
    and name != "NothingToDraw"
]


def texts(figure: Figure) -> str:
    return " ".join(text.get_text() for text in figure.findobj(lambda a: hasattr(a, "get_text")))


def test_the_figures_are_these() -> None:
    assert [
        *("attainment", "convergence", "critical_difference", "noise", "profiles", "ranks"),
        *("ratios", "sensitivity", "times", "trajectories", "tuning"),
    ] == FIGURES


@pytest.mark.parametrize("name", ["attainment", "convergence", "ranks", "ratios", "times"])
def test_a_figure_names_the_optimizers(name: str) -> None:
    figure = getattr(plot, name)(RESULTS)
    assert isinstance(figure, Figure)
    assert "sgd" in texts(figure)


def test_attainment_is_drawn_into_axes_that_are_given() -> None:
    figure = Figure(figsize=(12, 4))
    left, right = figure.subplots(1, 2)
    assert plot.attainment(RESULTS, ax=right) is figure
    assert right.lines
    assert not left.lines


def test_trajectories_are_those_of_the_problem_that_was_named() -> None:
    assert plot.trajectories(RESULTS, "rosenbrock-2d").axes
    with pytest.raises(NothingToDraw, match="trajectories of 'beale': there are trajectory-rosen"):
        plot.trajectories(RESULTS, "beale")


def test_what_the_results_do_not_hold_is_refused() -> None:
    with pytest.raises(NothingToDraw, match="nothing that the figure 'noise' shows"):
        plot.noise(RESULTS)
    with pytest.raises(UnknownBaseline, match="did you mean 'adam'"):
        plot.ratios(RESULTS, baseline="adm")
    with pytest.raises(NothingToReport):
        plot.ratios(RESULTS.of_runs([]))


def test_without_adam_the_first_by_name_is_the_baseline() -> None:
    figure = plot.ratios(RESULTS.filter(["sgd", "lion"]))
    assert "times those of lion" in texts(figure)
