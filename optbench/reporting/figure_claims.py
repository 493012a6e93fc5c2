"""Claims as effects with intervals: what a sentence comes down to, and what became of it."""

from __future__ import annotations

import textwrap
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from optbench.reporting import style
from optbench.reporting.ratio_intervals import interval, limits, numeral, ratio_axis
from optbench.reporting.rows import rows
from optbench.reporting.style import Look

WIDTH, LINE, MORE, GAP, HEAD, FOOT, LEFT, RIGHT = 10.0, 0.44, 0.14, 0.34, 0.12, 0.5, 4.1, 2.35

NUMBER, VERDICT = 0.16, 1.45
"""Inches from the axes to where a column of text begins."""

ACROSS = 68
"""Characters of a claim in a line; of two at most."""

VERDICTS = {
    "supported": Look(style.BLUE, style.SOLID, "o"),
    "refuted": Look(style.RED, style.SOLID, "X"),
    "inconclusive": Look(style.FAINT, style.SOLID, "o"),
}
"""Not by colour alone: a circle, a cross, and what is open is hollow."""


def claims(table: pd.DataFrame) -> Figure:
    """Draw a forest plot of ratios, in groups.

    Parameters
    ----------
    table : DataFrame
        From the top: ``name`` (the claim's words), ``group``, ``effect``, ``low``, ``high``
        (ratios; 1 is no effect), ``unit`` (of what by what), ``verdict`` (supported, refuted,
        inconclusive). A new group begins where ``group`` changes.
    """
    groups = table["group"].ne(table["group"].shift()).cumsum() if len(table) else table["group"]
    wrapped = [
        textwrap.wrap(style.plain(name), ACROSS, max_lines=2, placeholder=" …")
        for name in table["name"]
    ]
    inches = sum(_height(words) for words in wrapped) + groups.nunique() * GAP
    height = HEAD + max(inches, LINE) + FOOT
    ends = pd.concat([table["effect"], table["low"], table["high"]]).astype(float)
    with style.drawing():
        figure, ax = style.framed(WIDTH, height, left=LEFT, right=RIGHT, head=HEAD, foot=FOOT)
        width = WIDTH - LEFT - RIGHT
        ratio_axis(ax, *limits(ends))
        # Downwards, in inches.
        ax.set_ylim(max(inches, LINE), 0)
        ax.set_yticks([])
        ax.spines["left"].set_visible(False)
        ax.set_xlabel("ratio; 1 is no effect")
        at, group = 0.0, None
        for row, number, words in zip(rows(table), groups, wrapped, strict=True):
            if number != group:
                group = number
                ax.text(-(LEFT - 0.1) / width, at + 0.6 * GAP, style.short(row.group, 60),
                        transform=ax.get_yaxis_transform(), weight="bold", va="center_baseline",
                        fontsize=8.5, parse_math=False)  # fmt: skip
                at += GAP
            _line(ax, at, row, words, width)
            at += _height(words)
    return figure


def _height(words: list[str]) -> float:
    """Inches of a claim."""
    return LINE + MORE * (len(words) - 1)


def _line(ax: Axes, top: float, row: Any, words: list[str], width: float) -> None:
    verdict = str(row.verdict)
    look = VERDICTS[verdict]
    effect, low, high = float(row.effect), float(row.low), float(row.high)
    y = top + _height(words) / 2
    interval(ax, y, effect, low, high, look, sure=verdict != "inconclusive")
    across = ax.get_yaxis_transform()
    left = -(LEFT - 0.1) / width
    # The words, and under them what is measured.
    ax.text(left, top + 0.05, "\n".join(words), transform=across, va="top", fontsize=7.6,
            parse_math=False, linespacing=1.2)  # fmt: skip
    ax.text(left, top + _height(words) - 0.11, style.short(row.unit, 84), transform=across,
            va="bottom", fontsize=6.4, color=style.FAINT, parse_math=False)  # fmt: skip
    number = f"{numeral(effect)}  [{numeral(low)}, {numeral(high)}]"
    ink = style.FAINT if verdict == "inconclusive" else style.INK
    for inches, text in ((NUMBER, number), (VERDICT, verdict)):
        ax.text(1 + inches / width, y, text, transform=across, va="center_baseline",
                fontsize=7.5, color=ink)  # fmt: skip
