"""The baseline against each: the median ratio of steps with its interval, one line an optimizer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from optbench.reporting import style
from optbench.reporting.ratio_intervals import interval, limits, numeral, ratio_axis
from optbench.reporting.rows import rows
from optbench.reporting.small_multiples import COLUMNS, small_multiples
from optbench.reporting.style import Looks

WIDTH, LINE, HEAD, FOOT, LEFT, RIGHT = 10.0, 0.21, 0.42, 0.52, 1.45, 3.45

NUMBER, WORD, WON = 0.16, 1.44, 2.22
"""Inches from the axes to where a column of text begins."""

SMALL_LINE, SMALL_LEFT = 0.135, 1.55

UNSURE = "inconclusive"


def forest(table: pd.DataFrame, looks: Looks, baseline: str) -> Figure:
    """Ratios over all problems, with their verdicts in words.

    Parameters
    ----------
    table : DataFrame
        Of `analysis.against`; of its rows those over all problems (``problem`` is ''), from the
        top: ``optimizer``, ``problem``, ``ratio``, ``low``, ``high``, ``pairs``, ``won``,
        ``tied``, ``word``.
    looks : mapping
        Of every optimizer in it.
    baseline : str
        What the ratios refer to.
    """
    overall = table[table["problem"] == ""]
    count = max(1, len(overall))
    height = HEAD + count * LINE + FOOT
    with style.drawing():
        figure = Figure(figsize=(WIDTH, height))
        width = WIDTH - LEFT - RIGHT
        box = (LEFT / WIDTH, FOOT / height, width / WIDTH, count * LINE / height)
        ax = figure.add_axes(box)
        ratio_axis(ax, *limits([*overall["ratio"], *_near(overall)]))
        _frame(ax, count)
        ax.set_xlabel(f"gradient evaluations to target, times those of {style.short(baseline)}",
                      parse_math=False)  # fmt: skip
        top = 1 + 0.10 / (count * LINE)
        for x, words, side in ((0.0, "← faster", "left"), (1.0, "slower →", "right")):
            ax.text(x, top, words, transform=ax.transAxes, ha=side, color=style.FAINT)
        columns = ((NUMBER, "ratio, 95 % interval"), (WORD, "verdict"), (WON, "pairs won"))
        for inches, words in columns:
            ax.text(1 + inches / width, top, words, transform=ax.transAxes, color=style.FAINT)
        for place, row in enumerate(rows(overall)):
            _line(ax, place, row, looks, width)
    return figure


def _line(ax: Axes, place: int, row: Any, looks: Looks, width: float) -> None:
    name, sure = str(row.optimizer), row.word != UNSURE
    look = looks[name]
    across = ax.get_yaxis_transform()
    drawn: list[Any] = [*interval(ax, place, row.ratio, row.low, row.high, look, sure=sure)]
    drawn.append(
        ax.text(-0.12 / width, place, style.short(name, 22), transform=across, ha="right",
                va="center_baseline", parse_math=False)
    )  # fmt: skip
    ink = style.INK if sure else style.FAINT
    texts = ((NUMBER, _number(row)), (WORD, row.word), (WON, _won(row)))
    for inches, words in texts:
        drawn.append(
            ax.text(1 + inches / width, place, words, transform=across, color=ink, fontsize=7.5,
                    va="center_baseline")
        )  # fmt: skip
    for artist in drawn:
        style.mark(artist, name)


def _number(row: Any) -> str:
    if math.isnan(row.ratio):
        return "no target reached"
    return f"{numeral(row.ratio)}  [{numeral(row.low)}, {numeral(row.high)}]"


def _won(row: Any) -> str:
    tied = f", {row.tied:,} tied" if row.tied else ""
    return f"{row.won:,} of {row.pairs:,}{tied}"


def by_problem(
    table: pd.DataFrame,
    problems: Sequence[str],
    optimizers: Sequence[str],
    looks: Looks,
    baseline: str,
) -> Figure:
    """Small forests: a panel an optimizer, a line a problem.

    Parameters
    ----------
    table : DataFrame
        Of `analysis.against`; of its rows those of a single problem.
    problems : sequence of str
        Lines, from the top.
    optimizers : sequence of str
        Panels; a few.
    looks : mapping
        Of the optimizers.
    baseline : str
        What the ratios refer to.
    """
    single = table[table["problem"].isin(problems) & table["optimizer"].isin(optimizers)]
    shown = limits([*single["ratio"], *_near(single)])
    place = {name: line for line, name in enumerate(problems)}
    with style.drawing():
        figure, axes = small_multiples(
            len(optimizers), (), "", x=f"ratio of steps to {style.short(baseline, 18)}'s", y="",
            left=SMALL_LEFT, height=max(1.0, len(problems) * SMALL_LINE),
        )  # fmt: skip
        for index, (ax, name) in enumerate(zip(axes, optimizers, strict=True)):
            ax.set_title(style.short(name), parse_math=False)
            style.mark(ax, name)
            ratio_axis(ax, *shown)
            _frame(ax, len(problems))
            ax.set_yticks(range(len(problems)), [style.short(one, 24) for one in problems],
                          parse_math=False)  # fmt: skip
            ax.tick_params(axis="y", length=0, pad=6, labelleft=index % COLUMNS == 0)
            ax.grid(axis="y", visible=True)
            for row in rows(single[single["optimizer"] == name]):
                interval(ax, place[row.problem], row.ratio, row.low, row.high, looks[name],
                         sure=row.word != UNSURE)  # fmt: skip
    return figure


def _frame(ax: Axes, lines: int) -> None:
    """Lines from the top down, named by text."""
    ax.set_ylim(lines - 0.4, -0.6)
    ax.set_yticks([])
    ax.spines["left"].set_visible(False)
    ax.grid(axis="y", visible=False)


def _near(table: pd.DataFrame) -> list[float]:
    """Draw ends of intervals that deserve room: those within a factor of three of their ratio."""
    ends: list[float] = []
    for row in rows(table):
        ends += [end for end in (row.low, row.high) if row.ratio / 3 <= end <= row.ratio * 3]
    return ends
