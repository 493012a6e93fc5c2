"""The frame of a figure with one small axis a problem."""

from __future__ import annotations

import math
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from optbench.report import style
from optbench.report.style import Look

WIDTH = 10.0
"""Inches; the page shows an inch as 96 pixels at most."""

COLUMNS = 4
ROW, HEAD, FOOT, LEFT, GAP_X, GAP_Y = 1.85, 0.30, 0.52, 0.62, 0.46, 0.50


def small_multiples(
    count: int, entries: Sequence[tuple[str, Look]], rest: str, *, x: str, y: str
) -> tuple[Figure, list[Axes]]:
    """A figure of ``count`` axes in rows of at most four, under one legend.

    Axes are placed by hand: an automatic layout draws the whole figure to measure it.
    """
    columns = max(1, min(COLUMNS, count))
    rows = max(1, math.ceil(count / columns))
    head = HEAD + 0.2 * math.ceil((len(entries) + bool(rest)) / 7)
    height = head + rows * ROW + (rows - 1) * GAP_Y + FOOT
    figure = Figure(figsize=(WIDTH, height))
    width = (WIDTH - LEFT - 0.15 - (COLUMNS - 1) * GAP_X) / COLUMNS
    if count < COLUMNS:
        width = min(4.2, (WIDTH - LEFT - 0.15 - (columns - 1) * GAP_X) / columns)
    axes = []
    for index in range(count):
        row, column = divmod(index, columns)
        left = LEFT + column * (width + GAP_X)
        bottom = height - head - ROW - row * (ROW + GAP_Y)
        box = (left / WIDTH, bottom / height, width / WIDTH, ROW / height)
        ax = figure.add_axes(box)
        if column == 0:
            ax.set_ylabel(y, fontsize=7.5)
        if index + columns >= count:
            ax.set_xlabel(x, fontsize=7.5)
        axes.append(ax)
    style.legend(figure, entries, rest, y=1.0 - 0.02 / height)
    return figure, axes
