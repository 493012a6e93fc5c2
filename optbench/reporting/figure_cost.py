"""What a step costs by size, and what the memory's bandwidth allows."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from optbench.reporting import style
from optbench.reporting.edge_labels import End, edge_labels, place
from optbench.reporting.rows import by
from optbench.reporting.style import Looks

WIDTH, HEIGHT, LEFT, RIGHT, HEAD, FOOT = 10.0, 4.6, 0.68, 1.75, 0.34, 0.48


def cost(costs: pd.DataFrame, bound: pd.DataFrame, looks: Looks) -> Figure:
    """Seconds a step by number of parameters, both logarithmic, a line an implementation.

    Parameters
    ----------
    costs : DataFrame
        ``optimizer`` (with its variant, as ``adam[fused]``), ``parameters``, ``seconds``.
    bound : DataFrame
        ``parameters``, ``seconds``: no step that reads and writes memory takes less. May be
        empty.
    looks : mapping
        Implementations that are not in it are grey.
    """
    timed = costs[np.isfinite(costs["seconds"]) & (costs["seconds"] > 0)]
    with style.drawing():
        figure, ax = style.framed(WIDTH, HEIGHT, left=LEFT, right=RIGHT, head=HEAD, foot=FOOT)
        ax.set_xlabel("parameters")
        ax.set_ylabel("seconds a step")
        if timed.empty:
            ax.text(0.5, 0.5, "not timed", transform=ax.transAxes, ha="center", color=style.FAINT)
            return figure
        left, right = float(timed["parameters"].min()), float(timed["parameters"].max())
        right = max(right, 10 * left)
        low, high = float(timed["seconds"].min()) / 2, float(timed["seconds"].max()) * 1.5
        if len(bound):
            low = min(low, max(float(bound["seconds"].max()) / 10, low / 10))
        style.log_axis(ax, "x", left, right)
        style.log_axis(ax, "y", low, high)
        _bound(ax, bound, low)
        ends = []
        for name, one in by(timed, "optimizer").items():
            one = one.sort_values("parameters")
            (line,) = ax.plot(one["parameters"], one["seconds"], **style.pen(looks.get(name), 1.3),
                              marker="o", markersize=2.2)  # fmt: skip
            style.mark(line, name)
            last = one.iloc[-1]
            across = place(float(last["parameters"]), left, right)
            ends.append(End(name, place(float(last["seconds"]), low, high), at=across))
        edge_labels(ax, ends, looks, length=22)
    return figure


def _bound(ax: Axes, bound: pd.DataFrame, low: float) -> None:
    """Draw the bound as a line; what lies below it is out of reach."""
    if bound.empty:
        return
    bound = bound.sort_values("parameters")
    ax.fill_between(bound["parameters"], low / 10, bound["seconds"], color=style.GRID, linewidth=0,
                    zorder=0)  # fmt: skip
    ax.plot(bound["parameters"], bound["seconds"], color=style.INK, linewidth=1.0,
            linestyle=style.DOT)  # fmt: skip
    ax.text(0.985, 0.03, "less than Adam's traffic takes", transform=ax.transAxes,
            ha="right", va="bottom", fontsize=7, color=style.FAINT)  # fmt: skip
