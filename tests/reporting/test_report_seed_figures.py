"""Times to target, ranks and their critical difference."""

import math

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure

from optbench import analysis
from optbench.reporting import style
from optbench.reporting.figure_ranks import FAR, SHADES, critical_difference, heatmap, ink
from optbench.reporting.figure_times import times
from optbench.reporting.style import look

NAN = math.nan
LOOK = {name: look(name, name) for name in ("adam", "sgd", "momentum", "lion")}
PROBLEMS = pd.DataFrame({"problem": ["bowl", "hole"], "budget": [900, 500]})


def runs(steps: dict[str, list[float]], problem: str = "bowl") -> pd.DataFrame:
    rows = [(name, problem, value) for name, values in steps.items() for value in values]
    return pd.DataFrame(rows, columns=["optimizer", "problem", "steps_to_target"])


def drawn(ax: Axes, optimizer: str) -> list[tuple[list[float], float, list[int]]]:
    """x, y, and where the marks are, of an optimizer's lines."""
    return [
        ([float(x) for x in np.asarray(one.get_xdata())], float(np.asarray(one.get_ydata())[0]),
         list(one.get_markevery()))
        for one in ax.get_lines() if one.get_gid() == f"o:{optimizer}"
    ]  # fmt: skip


def words(ax: Axes, optimizer: str) -> list[str]:
    return [one.get_text() for one in ax.texts if one.get_gid() == f"o:{optimizer}"]


def test_times_go_from_quartile_to_quartile_and_into_the_strip_where_seeds_missed() -> None:
    table = runs(
        {
            "adam": [10, 20, 30, 40],
            "sgd": [100, 200, NAN, NAN],
            "momentum": [0, NAN, NAN, NAN],
            "lion": [NAN, NAN, NAN, NAN],
        }
    )
    order = ["sgd", "adam", "momentum", "lion"]
    figure = times(table, PROBLEMS, order, ["adam", "sgd"], LOOK)
    ax, empty = figure.axes
    edge = pytest.approx(954.0)
    assert drawn(ax, "adam") == [([10, 20, 30], 1, [1])]
    # Half of the seeds arrive: by the 200th step. The third quartile is a miss.
    assert drawn(ax, "sgd") == [([100, 200, edge], 0, [1])]
    # Step 0 stands at 1. A median that is a miss has no mark.
    assert drawn(ax, "momentum") == [([1, edge, edge], 2, [])]
    assert drawn(ax, "lion") == []
    assert words(ax, "adam") == ["adam"]
    assert words(ax, "sgd") == ["sgd", "2/4"]
    assert words(ax, "momentum") == ["momentum", "3/4"]
    assert words(ax, "lion") == ["lion", "4/4"]
    # No number stands in the strip.
    assert max(ax.get_xticks()) <= 954 < 1000 < ax.get_xlim()[1]
    assert "no runs" in [text.get_text() for text in empty.texts]


def test_times_of_those_not_in_the_order_are_not_drawn() -> None:
    figure = times(runs({"adam": [5], "sgd": [7]}), PROBLEMS, ["adam"], ["adam", "sgd"], LOOK)
    assert drawn(figure.axes[0], "sgd") == []
    assert drawn(figure.axes[0], "adam") == [([5, 5, 5], 0, [1])]


STEPS = {
    "bowl": {"adam": 10.0, "sgd": 20.0, "momentum": 1000.0, "lion": 10.0},
    "hole": {"adam": NAN, "sgd": 30.0, "momentum": NAN, "lion": 30.0},
    "dark": {"adam": NAN, "sgd": NAN, "momentum": NAN, "lion": NAN},
}
SCORES = pd.DataFrame(
    [(name, problem, steps) for problem, row in STEPS.items() for name, steps in row.items()],
    columns=["optimizer", "problem", "median_steps"],
)


def cells(figure: Figure, optimizer: str) -> tuple[list[str], list[str], int]:
    """Texts of a line, its shades, and how many cells are blank."""
    ax = figure.axes[0]
    name, *texts = words(ax, optimizer)
    assert name == optimizer
    shaded, blank = [
        one for one in ax.collections
        if isinstance(one, PolyCollection) and one.get_gid() == f"o:{optimizer}"
    ]  # fmt: skip
    return texts, [to_hex(one) for one in shaded.get_facecolor()], len(blank.get_paths())


def test_a_heat_map_has_a_rank_and_a_shade_in_each_cell_and_misses_are_blank() -> None:
    figure = heatmap(
        SCORES, analysis.ranks(SCORES), ["hole", "bowl", "dark", "elsewhere"], ["sgd", "adam",
        "momentum", "nobody"],
    )  # fmt: skip
    best, twice, far = (to_hex(SHADES(at)) for at in (0.0, math.log(2) / math.log(FAR), 1.0))
    # Lion is not drawn, but shares the first rank.
    assert cells(figure, "adam") == (["–", "1.5", "–"], [best], 2)
    assert cells(figure, "sgd") == (["1.5", "3", "–"], [best, twice], 1)
    assert cells(figure, "momentum") == (["–", "4", "–"], [far], 2)
    alone = heatmap(SCORES, analysis.ranks(SCORES), ["bowl"], ["sgd"])
    assert cells(alone, "sgd") == (["3"], [twice], 0)
    assert [one.get_text() for one in figure.axes[0].texts[:3]] == ["hole", "bowl", "dark"]


def luminance(color: tuple[float, ...]) -> float:
    """Relative luminance, WCAG 2.1."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in color[:3]]
    return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))


def test_ranks_can_be_read_on_every_shade() -> None:
    for ratio in np.geomspace(1, FAR, 50):
        shade = luminance(SHADES(math.log(ratio) / math.log(FAR)))
        text = luminance(to_rgb(ink(float(ratio))))
        assert (max(shade, text) + 0.05) / (min(shade, text) + 0.05) >= 4.5


def ranked(means: dict[str, float], problems: int) -> pd.DataFrame:
    """Ranks whose means are these; they need not be a permutation."""
    return pd.DataFrame({name: [mean] * problems for name, mean in means.items()})


def test_a_critical_difference_diagram_has_mean_ranks_and_a_bar_a_group() -> None:
    ranks = ranked({"lion": 3.6, "adam": 1.2, "sgd": 1.9, "momentum": 3.3}, 20)
    value = analysis.critical_difference(ranks)
    assert value.groups == (("adam", "sgd"), ("momentum", "lion"))
    figure = critical_difference(value, LOOK)
    (ax,) = figure.axes
    place = {"adam": 0, "sgd": 1, "momentum": 2, "lion": 3}
    for name, line in place.items():
        (mark,) = [
            np.asarray(one.get_xydata()).tolist() for one in ax.get_lines()
            if one.get_gid() == f"o:{name}" and one.get_marker() == LOOK[name].marker
        ]  # fmt: skip
        assert mark == [[pytest.approx(ranks[name].iloc[0]), line]]
    bars = [
        np.asarray(one.get_ydata()).tolist()
        for one in ax.get_lines()
        if to_hex(str(one.get_color())) == style.INK and one.get_linewidth() > 2
    ]
    assert bars == [[-0.3, 1.3], [1.7, 3.3]]
    (ruler,) = [one for one in ax.get_lines() if one.get_marker() == "|"]
    ends = np.asarray(ruler.get_xdata())
    assert ends[1] - ends[0] == pytest.approx(value.difference)
    assert f"{value.difference:.2f}" in " ".join(one.get_text() for one in ax.texts)


def test_without_a_group_there_is_no_bar() -> None:
    value = analysis.critical_difference(ranked({"adam": 1.0, "sgd": 2.0, "lion": 3.0}, 200))
    assert value.groups == ()
    ax = critical_difference(value, LOOK).axes[0]
    assert "no significant difference" not in [one.get_text() for one in ax.texts]
