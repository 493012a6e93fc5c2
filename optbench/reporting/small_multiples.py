"""The frame of a figure with one small axis a problem."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from optbench.reporting import style
from optbench.reporting.rows import by, rows
from optbench.reporting.style import Look, Looks

WIDTH = 10.0
"""Inches; the page shows an inch as 96 pixels at most."""

COLUMNS = 4
ROW, HEAD, FOOT, LEFT, GAP_X, GAP_Y = 1.85, 0.30, 0.52, 0.62, 0.46, 0.50

Panel = Callable[[Axes, pd.DataFrame, Any], None]
"""Draws the rows of a problem into its axes; told the problem's own row last."""


def draw_small_multiples(
    table: pd.DataFrame,
    problems: pd.DataFrame,
    highlight: Sequence[str],
    looks: Looks,
    draw: Panel,
    *,
    x: str,
    y: str,
    absent: str,
) -> Figure:
    """Draw a figure with one axes a problem, titled and marked, under a legend of the highlighted.

    Parameters
    ----------
    table : DataFrame
        With ``optimizer`` and ``problem``.
    problems : DataFrame
        With ``problem``; one axes a row, in this order.
    highlight : sequence of str
        Optimizers in colour; where the table has others, the legend says that they are grey.
    looks : mapping
        Of the highlighted.
    draw : Panel
        Called for each problem that has rows.
    x, y : str
        Labels of the axes.
    absent : str
        Stands in the place of an axes that has no rows.
    """
    rest = "all others" if set(table["optimizer"]) - set(highlight) else ""
    entries = [(name, looks[name]) for name in highlight]
    of_problem = by(table, "problem")
    with style.drawing():
        figure, axes = small_multiples(len(problems), entries, rest, x=x, y=y)
        for ax, row in zip(axes, rows(problems), strict=True):
            name = str(row.problem)
            ax.set_title(style.short(name), parse_math=False)
            style.tag_problem(ax, name)
            if name in of_problem:
                draw(ax, of_problem[name], row)
            else:
                ax.text(0.5, 0.5, absent, transform=ax.transAxes, ha="center", color=style.FAINT)
                ax.set_axis_off()
    return figure


def small_multiples(
    count: int,
    entries: Sequence[tuple[str, Look]],
    rest: str,
    *,
    x: str,
    y: str,
    left: float = LEFT,
    height: float = ROW,
) -> tuple[Figure, list[Axes]]:
    """Draw a figure of ``count`` axes in rows of at most four, under one legend.

    Axes are placed by hand: an automatic layout draws the whole figure to measure it.

    Parameters
    ----------
    count : int
    entries : sequence of (optimizer, look)
        Of the legend.
    rest : str
        What is grey; empty where nothing is.
    x, y : str
        Labels, of the lowest axes and of the leftmost ones.
    left, height : float
        Inches left of the first column, and of an axes.
    """
    columns = max(1, min(COLUMNS, count))
    lines = max(1, math.ceil(count / columns))
    named = len(entries) + bool(rest)
    head = HEAD + 0.2 * math.ceil(named / 7) if named else HEAD
    total = head + lines * height + (lines - 1) * GAP_Y + FOOT
    figure = Figure(figsize=(WIDTH, total))
    width = (WIDTH - left - 0.15 - (COLUMNS - 1) * GAP_X) / COLUMNS
    if count < COLUMNS:
        width = min(4.2, (WIDTH - left - 0.15 - (columns - 1) * GAP_X) / columns)
    axes = []
    for index in range(count):
        row, column = divmod(index, columns)
        begin = left + column * (width + GAP_X)
        bottom = total - head - height - row * (height + GAP_Y)
        box = (begin / WIDTH, bottom / total, width / WIDTH, height / total)
        ax = figure.add_axes(box)
        if column == 0:
            ax.set_ylabel(y, fontsize=7.5)
        if index + columns >= count:
            ax.set_xlabel(x, fontsize=7.5)
        axes.append(ax)
    if named:
        style.legend(figure, entries, rest, y=1.0 - 0.02 / total)
    return figure, axes
