"""Ratios with their intervals on a log axis: what forest plots are made of."""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import pairwise

from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from optbench.analysis.paired import MARGIN
from optbench.reporting import style
from optbench.reporting.style import Look

WIDEST = 100.0
"""Largest ratio on an axis (and smallest, inverted); arrows mark what lies beyond."""

LABEL = 0.3
"""Inches between two ticks at least."""


def limits(ratios: Iterable[float]) -> tuple[float, float]:
    """Limits that hold the ratios and one, with some air; at least from 0.8 to 1.25."""
    known = [value for value in ratios if 0 < value < math.inf]
    low = max(min([0.85, *known]), 1 / WIDEST) / 1.15
    high = min(max([1.2, *known]), WIDEST) * 1.15
    return low, high


def ratio_axis(ax: Axes, low: float, high: float) -> None:
    """Set up a log axis of ratios with a line at one and the equivalence margin shaded."""
    ax.axvspan(1 / (1 + MARGIN), 1 + MARGIN, color=style.GRID, linewidth=0, zorder=0)
    ax.axvline(1.0, color=style.FAINT, linewidth=0.8, zorder=1)
    ax.set_xscale("log")
    ax.set_xlim(low, high)
    ax.xaxis.set_major_locator(FixedLocator(_ticks(low, high, ax)))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.xaxis.set_minor_locator(NullLocator())


def _ticks(low: float, high: float, ax: Axes) -> list[float]:
    """Round ratios, one always among them, no nearer together than their labels allow."""
    figure = ax.get_figure(root=True)
    inches = ax.get_position().width * (figure.get_figwidth() if figure else 1.0)
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for digits in ((1, 1.1, 1.25, 1.5, 2, 2.5, 3, 4, 5, 8, 9), (1, 1.5, 2, 3, 5, 7), (1, 2, 5),
                   (1, 3), (1,)):  # fmt: skip
        ticks = [digit * 10.0**k for k in powers for digit in digits]
        ticks = sorted(tick for tick in ticks if low <= tick <= high)
        gaps = [math.log(b / a) / math.log(high / low) * inches for a, b in pairwise(ticks)]
        if not gaps or min(gaps) >= LABEL:
            break
    return ticks


def numeral(ratio: float) -> str:
    """Return a ratio for a column of them: two decimals, fewer where it is large."""
    if ratio == 0 or not math.isfinite(ratio):
        return "0" if ratio == 0 else "∞" if ratio > 0 else "—"
    digits = 2 if ratio < 10 else 1 if ratio < 100 else 0
    return f"{ratio:,.{digits if ratio >= 0.1 else 3}f}"


def interval(
    ax: Axes, y: float, ratio: float, low: float, high: float, look: Look, *, sure: bool
) -> list[Line2D]:
    """Draw a ratio and its interval, with arrows where it leaves the axis, whose limits are set.

    Parameters
    ----------
    ax : Axes
    y : float
    ratio, low, high : float
        Zero and infinity are beyond any axis; where one is NaN nothing is drawn.
    look : Look
    sure : bool
        The mark is filled and the line thick; else it is hollow, and the line thin.

    Returns
    -------
    list of Line2D
        What was drawn, for a mark of its owner.
    """
    if any(math.isnan(value) for value in (ratio, low, high)):
        return []
    left, right = ax.get_xlim()
    ends = [min(max(low, left), right), min(max(high, left), right)]
    drawn = ax.plot(ends, [y, y], color=look.color, linewidth=1.5 if sure else 0.8,
                    solid_capstyle="butt")  # fmt: skip
    if low < left:
        drawn += ax.plot([left], [y], marker="<", markersize=4, color=look.color, clip_on=False)
    if high > right:
        drawn += ax.plot([right], [y], marker=">", markersize=4, color=look.color, clip_on=False)
    if left <= ratio <= right:
        drawn += ax.plot(
            [ratio], [y], marker=look.marker, linestyle="", markersize=5.5, color=look.color,
            markerfacecolor=look.color if sure else "white", markeredgewidth=1.1, zorder=5,
        )  # fmt: skip
    return drawn
