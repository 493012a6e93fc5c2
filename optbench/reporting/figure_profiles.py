"""Performance profile and data profile, side by side."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from optbench.reporting import style
from optbench.reporting.edge_labels import End, edge_labels
from optbench.reporting.rows import by
from optbench.reporting.style import Looks
from optbench.reporting.thinning import thinned

WIDTH, PANEL, HEAD, FOOT, LEFT, LABELS = 10.0, 3.1, 0.34, 0.48, 0.62, 1.2

FURTHEST = 100.0
"""Ratio to the fastest at which a performance profile ends."""

LEAST_SHARE = 1e-3
"""Share of the budget at which a data profile begins."""


def profiles(
    performance: pd.DataFrame, data: pd.DataFrame, highlight: Sequence[str], looks: Looks
) -> Figure:
    """Two axes of step functions, a curve an optimizer.

    Parameters
    ----------
    performance : DataFrame
        Of `analysis.performance_profile`: ``optimizer``, ``tau``, ``share``.
    data : DataFrame
        Of `analysis.data_profile`: ``optimizer``, ``share`` (of the budget), ``value``.
    highlight : sequence of str
        Optimizers in colour; the first is drawn on top.
    looks : mapping
        Of the highlighted.
    """
    left = performance.rename(columns={"tau": "at", "share": "value"})
    last = min(FURTHEST, max([2.0, *left["at"]]))
    right = data.rename(columns={"share": "at"})
    with style.drawing():
        height = HEAD + PANEL + FOOT
        figure = Figure(figsize=(WIDTH, height))
        axes = []
        for column, (title, x, y) in enumerate(
            (
                ("Performance profile", "steps, times those of the fastest", "problems solved"),
                ("Data profile", "share of the budget", "problems converged on"),
            )
        ):
            begin = LEFT + column * WIDTH / 2
            width = WIDTH / 2 - LEFT - LABELS
            box = (begin / WIDTH, FOOT / height, width / WIDTH, PANEL / height)
            ax = figure.add_axes(box)
            ax.set_title(title)
            ax.set_xlabel(x)
            ax.set_ylabel(y)
            axes.append(ax)
        _steps(axes[0], left, (1.0, last), highlight, looks)
        axes[0].xaxis.set_major_formatter(lambda ratio, _: f"{ratio:g}")
        _steps(axes[1], right, (LEAST_SHARE, 1.0), highlight, looks)
        axes[1].xaxis.set_major_formatter(lambda share, _: f"{100 * share:g} %")
    return figure


def _steps(
    ax: Axes,
    table: pd.DataFrame,
    shown: tuple[float, float],
    highlight: Sequence[str],
    looks: Looks,
) -> None:
    """Curves that are constant up to their next row, over an interval of a log axis."""
    by_optimizer = by(table, "optimizer")
    known = {name: looks[name] for name in highlight}
    top = 1.03 * max([0.1, *table["value"]])
    ends: list[End] = []
    for name in style.below_first(by_optimizer, known):
        one = by_optimizer[name].sort_values("at")
        # What is reached before the axis begins stands at its left edge.
        at = one["at"].clip(*shown)
        one = one.assign(at=at).drop_duplicates("at", keep="last")
        inside = one[one["at"] < shown[1]] if (by_optimizer[name]["at"] > shown[1]).any() else one
        ended = float(inside["value"].iloc[-1])
        few = thinned(inside, "at", 96)
        (line,) = ax.plot(
            [*few["at"], shown[1]], [*few["value"], ended], drawstyle="steps-post",
            **style.pen(known.get(name), 1.5),
        )  # fmt: skip
        style.mark(line, name)
        ends.append(End(name, ended / top))
    style.log_axis(ax, "x", *shown)
    ax.set_ylim(0, top)
    ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0, symbol=" %"))
    edge_labels(ax, ends, known, length=16)
