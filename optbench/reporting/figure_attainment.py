"""Attainment: the share of targets reached within a share of the budget, after COCO."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from optbench.reporting import numerals, style
from optbench.reporting.edge_labels import End, edge_labels
from optbench.reporting.rows import by
from optbench.reporting.style import Looks

WIDTH, HEIGHT, LEFT, RIGHT, HEAD, FOOT = 10.0, 4.8, 0.62, 1.75, 0.16, 0.48


def draw_attainment(
    curves: pd.DataFrame, highlight: Sequence[str], looks: Looks, ax: Axes | None = None
) -> Figure:
    """One axes with a curve an optimizer, banded where it is in colour, a cross at its end.

    Parameters
    ----------
    curves : DataFrame
        Of `analysis.attainment`: ``optimizer``, ``share`` (of the budget, positive), ``value``,
        ``low``, ``high`` (0 to 1; a band that is NaN is not drawn).
    highlight : sequence of str
        Optimizers in colour; the first is drawn on top.
    looks : mapping
        Of the highlighted.
    ax : Axes or None
        Axes of a figure, with room at their right; made without.
    """
    with style.drawing():
        if ax is None:
            _, ax = style.framed(WIDTH, HEIGHT, left=LEFT, right=RIGHT, head=HEAD, foot=FOOT)
        figure = ax.get_figure(root=True)
        if figure is None:
            raise ValueError("the axes is in no figure")
        ax.set_xlabel("share of the problem's budget of gradient evaluations")
        ax.set_ylabel("share of targets reached")
        _curves(ax, curves, highlight, looks)
    return figure


def _curves(ax: Axes, curves: pd.DataFrame, highlight: Sequence[str], looks: Looks) -> None:
    by_optimizer = by(curves, "optimizer")
    known = {name: looks[name] for name in highlight}
    top = max([0.1, *curves["value"], *curves.loc[curves["optimizer"].isin(known), "high"]])
    ends: list[End] = []
    for name in style.below_first(by_optimizer, known):
        one = by_optimizer[name].sort_values("share")
        last = one.iloc[-1]
        pen = style.pen(known.get(name), 1.6)
        if name in known:
            style.mark(style.band(ax, one["share"], one["low"], one["high"], pen["color"]), name)
        (line,) = ax.plot(one["share"], one["value"], **pen)
        (cross,) = ax.plot(
            [last["share"]], [last["value"]], color=pen["color"], marker="x", linestyle="",
            clip_on=False, zorder=5, markersize=5 if name in known else 3.5,
            markeredgewidth=1.4 if name in known else 0.8,
        )  # fmt: skip
        style.mark(line, name)
        style.mark(cross, name)
        value = float(last["value"])
        ends.append(End(name, value / (1.04 * top), f"  {numerals.percent(value)}"))
    shares = curves["share"]
    style.log_axis(ax, "x", float(shares.min()), float(shares.max()))
    ax.xaxis.set_major_formatter(lambda share, _: numerals.significant(100 * share) + " %")
    ax.set_ylim(0, 1.04 * top)
    ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0, symbol=" %"))
    edge_labels(ax, ends, known)
