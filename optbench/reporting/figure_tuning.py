"""What tuning is worth: the score to be expected of the best of k settings."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from optbench.reporting import style
from optbench.reporting.edge_labels import End, edge_labels
from optbench.reporting.rows import by
from optbench.reporting.style import Looks

WIDTH, HEIGHT, LEFT, RIGHT, HEAD, FOOT = 10.0, 4.2, 0.62, 1.75, 0.22, 0.48

DEFAULTS = "k optimizers at their defaults"


def tuning(
    best_of_k: pd.DataFrame,
    best_of_defaults: pd.DataFrame,
    highlight: Sequence[str],
    looks: Looks,
) -> Figure:
    """One axes with a line an optimizer, and one for the best of k optimizers at defaults.

    Parameters
    ----------
    best_of_k : DataFrame
        Of `analysis.best_of_k`: ``optimizer``, ``k``, ``value``.
    best_of_defaults : DataFrame
        Of `analysis.best_of_defaults`: ``k``, ``value``. May be empty.
    highlight : sequence of str
        Optimizers in colour; the first is drawn on top.
    looks : mapping
        Of the highlighted.
    """
    with style.drawing():
        figure, ax = style.framed(WIDTH, HEIGHT, left=LEFT, right=RIGHT, head=HEAD, foot=FOOT)
        ax.set_xlabel("k, the number tried")
        ax.set_ylabel("expected area of the best")
        values = pd.concat([best_of_k["value"], best_of_defaults["value"]])
        low, high = _range(values)
        ax.set_ylim(low, high)
        last = max([2.0, *best_of_k["k"], *best_of_defaults["k"]])
        ax.set_xlim(1, last)
        ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        _lines(ax, best_of_k, highlight, looks)
        _defaults(ax, best_of_defaults)
    return figure


def _range(values: pd.Series[float]) -> tuple[float, float]:
    if values.empty:
        return 0.0, 1.0
    least, most = float(values.min()), float(values.max())
    air = 0.06 * max(most - least, 0.1)
    return max(0.0, least - air), most + air


def _lines(ax: Axes, table: pd.DataFrame, highlight: Sequence[str], looks: Looks) -> None:
    low, high = ax.get_ylim()
    last = ax.get_xlim()[1]
    by_optimizer = by(table, "optimizer")
    known = {name: looks[name] for name in highlight}
    ends: list[End] = []
    for name in style.below_first(by_optimizer, known):
        one = by_optimizer[name].sort_values("k")
        # A grid of one setting is a point.
        (line,) = ax.plot(one["k"], one["value"], **style.pen(known.get(name), 1.5),
                          marker="o" if len(one) == 1 else "None", markersize=3)  # fmt: skip
        style.mark(line, name)
        ended = one.iloc[-1]
        across = (float(ended["k"]) - 1) / (last - 1)
        ends.append(End(name, (float(ended["value"]) - low) / (high - low), at=across))
    edge_labels(ax, ends, known)


def _defaults(ax: Axes, table: pd.DataFrame) -> None:
    """Black and broken: it is of no optimizer."""
    if table.empty:
        return
    table = table.sort_values("k")
    ax.plot(table["k"], table["value"], color=style.INK, linestyle=style.LONG, linewidth=1.8)
    last = table.iloc[-1]
    ax.annotate(
        DEFAULTS, (float(last["k"]), float(last["value"])), xytext=(-3, 7),
        textcoords="offset points", ha="right", va="bottom", fontsize=7.5,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.0},
    )  # fmt: skip
