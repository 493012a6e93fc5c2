"""Forest plots: of optimizers, by problem, of claims."""

import math
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from optbench.reporting import ratio_intervals, style
from optbench.reporting.figure_claims import claims
from optbench.reporting.figure_forest import by_problem, forest
from optbench.reporting.ratio_intervals import interval, limits, numeral, ratio_axis
from optbench.reporting.style import look

INF, NAN = math.inf, math.nan
COLUMNS = ["optimizer", "problem", "ratio", "low", "high", "pairs", "won", "tied", "word"]
TABLE = pd.DataFrame(
    [
        ("sgd", "", 2.0, 1.5, 3.0, 20, 2, 1, "slower"),
        ("lion", "", 0.9, 0.7, 1.1, 20, 12, 0, "inconclusive"),
        ("nadam", "", INF, 2.5, INF, 20, 0, 0, "slower"),
        ("muon", "", NAN, NAN, NAN, 0, 0, 0, "inconclusive"),
        ("sgd", "bowl", 4.0, 3.0, 5.0, 10, 0, 0, "slower"),
        ("sgd", "hole", 0.5, 0.0, INF, 10, 0, 0, "inconclusive"),
        ("lion", "bowl", 1.0, 1.0, 1.0, 10, 0, 10, "equivalent"),
    ],
    columns=COLUMNS,
)
LOOK = {name: look(name, name) for name in ("sgd", "lion", "nadam", "muon")}


def axis(low: float = 0.1, high: float = 10.0) -> Axes:
    ax = Figure(figsize=(6, 2)).add_axes((0.1, 0.1, 0.8, 0.8))
    ratio_axis(ax, low, high)
    return ax


def points(ax: Axes, color: str) -> list[tuple[str, list[float], float]]:
    """Marker, x and y of the lines of a colour."""
    return [
        (str(one.get_marker()), [float(x) for x in np.asarray(one.get_xdata())],
         float(np.asarray(one.get_ydata())[0]))
        for one in ax.get_lines() if to_hex(one.get_color()) == color
    ]  # fmt: skip


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for ax in figure.axes for text in ax.texts]


@pytest.mark.parametrize(
    ("low", "high"), [(0.8, 1.25), (0.3, 5), (0.01, 100), (0.9, 40), (0.02, 1.3), (0.5, 1.4)]
)
def test_ticks_of_ratios_have_one_among_them_and_room_between(low: float, high: float) -> None:
    ax = axis(low, high)
    ticks = [float(tick) for tick in ax.get_xticks()]
    assert 1.0 in ticks
    assert len(ticks) >= 2
    inches = 0.8 * 6 / math.log(high / low)
    assert min(inches * math.log(b / a) for a, b in pairwise(ticks)) >= ratio_intervals.LABEL


def test_limits_hold_what_is_finite_and_one_and_no_more_than_a_hundredfold() -> None:
    assert limits([]) == (pytest.approx(0.85 / 1.15), pytest.approx(1.2 * 1.15))
    low, high = limits([0.0, 0.2, 7.0, INF, NAN])
    assert 0.1 < low < 0.2
    assert 7 < high < 10
    assert limits([1e-9, 1e9]) == (pytest.approx(0.01 / 1.15), pytest.approx(115))


def test_an_interval_that_leaves_the_axis_has_an_arrow_there() -> None:
    ax = axis()
    blue = look("adam", "adam")
    interval(ax, 3, 2.0, 0.0, 4.0, blue, sure=True)
    assert points(ax, blue.color) == [
        ("None", [0.1, 4.0], 3), ("<", [0.1], 3), ("o", [2.0], 3),
    ]  # fmt: skip
    ax = axis()
    interval(ax, 3, INF, 2.0, INF, blue, sure=True)
    assert points(ax, blue.color) == [("None", [2.0, 10.0], 3), (">", [10.0], 3)]
    assert interval(axis(), 0, NAN, NAN, NAN, blue, sure=True) == []


def test_what_is_not_sure_is_hollow() -> None:
    for sure, face in ((True, style.BLUE), (False, "#ffffff")):
        mark = interval(axis(), 0, 1.5, 1.2, 2.0, look("adam", "adam"), sure=sure)[-1]
        assert to_hex(str(mark.get_markerfacecolor())) == face


def test_numerals() -> None:
    assert [numeral(v) for v in (1.234, 0.05, 12.34, 1234.5, 0.0, INF, NAN)] == [
        *("1.23", "0.050", "12.3", "1,234", "0", "∞", "—")
    ]


def test_a_forest_has_a_line_an_optimizer_over_all_problems() -> None:
    figure = forest(TABLE, LOOK, "adam")
    (ax,) = figure.axes
    assert points(ax, LOOK["sgd"].color) == [("None", [1.5, 3.0], 0), ("s", [2.0], 0)]
    assert points(ax, LOOK["lion"].color)[0] == ("None", [0.7, 1.1], 1)
    assert points(ax, LOOK["nadam"].color)[-1][0] == ">"
    assert points(ax, LOOK["muon"].color) == []
    words = texts(figure)
    for expected in (
        *("sgd", "2.00  [1.50, 3.00]", "slower", "2 of 20, 1 tied"),
        *("lion", "0.90  [0.70, 1.10]", "inconclusive", "12 of 20"),
        *("nadam", "∞  [2.50, ∞]", "no target reached"),
    ):
        assert expected in words
    low, high = ax.get_xlim()
    assert low < 0.7
    assert 3.0 < high < 4.0  # nothing infinite stretches it
    assert "adam" in ax.get_xlabel()


def test_an_interval_that_is_long_leaves_the_axis_rather_than_stretch_it() -> None:
    long = TABLE.assign(high=[30.0, *TABLE["high"][1:]])
    (ax,) = forest(long, LOOK, "adam").axes
    assert ax.get_xlim()[1] < 6
    assert (">", 0) in [(marker, y) for marker, _, y in points(ax, LOOK["sgd"].color)]


def test_small_forests_share_their_axis_and_have_a_line_a_problem() -> None:
    figure = by_problem(TABLE, ["hole", "bowl"], ["sgd", "lion"], LOOK, "adam")
    one, other = figure.axes
    assert one.get_xlim() == other.get_xlim()
    assert [(marker, y) for marker, _, y in points(one, LOOK["sgd"].color)] == [
        *(("None", 1), ("s", 1)),
        *(("None", 0), ("<", 0), (">", 0), ("s", 0)),
    ]
    assert points(other, LOOK["lion"].color) == [("None", [1, 1], 1), ("P", [1], 1)]
    assert [label.get_text() for label in one.get_yticklabels()] == ["hole", "bowl"]


def test_an_empty_forest_is_a_figure_too() -> None:
    assert texts(forest(TABLE.iloc[:0], LOOK, "adam"))
    assert by_problem(TABLE, [], ["sgd"], LOOK, "adam").axes
    assert claims(CLAIMS.iloc[:0]).axes


CLAIMS = pd.DataFrame(
    [
        ("A short one", "old", 0.5, 0.4, 0.6, "a / b", "supported"),
        ("An open one", "old", 1.5, 0.0, INF, "a / b", "inconclusive"),
        ("word " * 60, "new", INF, 4.0, INF, "b / c", "refuted"),
    ],
    columns=["name", "group", "effect", "low", "high", "unit", "verdict"],
)


def test_claims_stand_in_groups_with_words_number_and_verdict() -> None:
    figure = claims(CLAIMS)
    (ax,) = figure.axes
    height = {text.get_text(): text.get_position()[1] for text in ax.texts}
    assert height["old"] < height["A short one"] < height["An open one"] < height["new"]
    assert height["0.50  [0.40, 0.60]"] == height["supported"]
    assert height["∞  [4.00, ∞]"] == height["refuted"]
    assert height["supported"] < height["inconclusive"] < height["refuted"]
    (wrapped,) = [text for text in height if text.startswith("word")]
    assert wrapped.count("\n") == 1
    assert wrapped.endswith("…")
    circle = points(ax, style.BLUE)[-1]
    assert circle == ("o", [0.5], height["supported"])
    assert points(ax, style.RED)[-1][0] == ">"
