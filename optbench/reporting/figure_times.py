"""Time to target: quartiles over seeds of every optimizer, and in a strip of its own who missed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from optbench.analysis.quantiles import lower_quantile
from optbench.reporting import style
from optbench.reporting.rows import by, rows
from optbench.reporting.small_multiples import COLUMNS, small_multiples
from optbench.reporting.style import Look, Looks

LINE, LEFT = 0.118, 1.12

STRIP = 0.17
"""Share of an axes that the misses have."""

PAIR = ["problem", "optimizer"]


def times(
    runs: pd.DataFrame,
    problems: pd.DataFrame,
    order: Sequence[str],
    highlight: Sequence[str],
    looks: Looks,
) -> Figure:
    """Draw steps to the headline target; a mark at the median, a line from quartile to quartile.

    A quantile that falls on a miss is in the strip, where nothing is measured: the line runs into
    it, and has no mark where half of the seeds missed.

    Parameters
    ----------
    runs : DataFrame
        Of one league: ``problem``, ``optimizer``, ``steps_to_target`` (NaN: missed).
    problems : DataFrame
        ``problem``, ``budget``; one axes a row, in this order.
    order : sequence of str
        Optimizers, from the top; others are not drawn.
    highlight : sequence of str
        Of them those in colour.
    looks : mapping
        Of the highlighted.
    """
    quartiles = _quartiles(runs[runs["optimizer"].isin(order)])
    of_problem = by(quartiles, "problem")
    shown = {name: looks[name] for name in highlight if name in order}
    with style.drawing():
        figure, axes = small_multiples(
            len(problems), (), "", x="gradient evaluations to target", y="", left=LEFT,
            height=max(0.6, (len(order) + 0.6) * LINE),
        )  # fmt: skip
        for index, (ax, row) in enumerate(zip(axes, rows(problems), strict=True)):
            name = str(row.problem)
            ax.set_title(style.short(name, 24), parse_math=False, fontsize=7.8)
            style.tag_problem(ax, name)
            _frame(ax, order, shown, named=index % COLUMNS == 0)
            if name in of_problem:
                _panel(ax, of_problem[name], order, shown, float(row.budget))
            else:
                ax.text(0.5, 0.5, "no runs", transform=ax.transAxes, ha="center", color=style.FAINT)
                ax.set_xticks([])
    return figure


def _quartiles(runs: pd.DataFrame) -> pd.DataFrame:
    """``first``, ``median``, ``third`` (infinite for a miss), ``missed``, ``seeds`` by pair."""
    table = pd.DataFrame(
        {
            name: lower_quantile(runs, PAIR, "steps_to_target", q)
            for name, q in (("first", 0.25), ("median", 0.5), ("third", 0.75))
        }
    )
    counted = runs.groupby(PAIR)["steps_to_target"]
    return table.assign(seeds=counted.size(), missed=counted.size() - counted.count()).reset_index()


def _frame(ax: Axes, order: Sequence[str], shown: Mapping[str, Look], *, named: bool) -> None:
    ax.set_ylim(len(order) - 0.4, -0.7)
    # One collection: twenty ticks in each of thirty axes take longer than all the rest.
    ax.set_yticks([])
    ax.hlines(range(len(order)), 0, 1, transform=ax.get_yaxis_transform(), color=style.GRID,
              linewidth=0.5, zorder=0)  # fmt: skip
    if not named:
        return
    across = ax.get_yaxis_transform()
    for place, name in enumerate(order):
        label = ax.text(
            -0.03, place, style.short(name, 18), transform=across, ha="right", fontsize=6.2,
            va="center_baseline", color=style.INK if name in shown else style.FAINT,
            parse_math=False,
        )  # fmt: skip
        style.mark(label, name)


def _panel(
    ax: Axes, table: pd.DataFrame, order: Sequence[str], shown: Mapping[str, Look], budget: float
) -> None:
    place = {name: line for line, name in enumerate(order)}
    steps = table[["first", "median", "third"]].to_numpy(dtype=float)
    known = np.maximum(steps[np.isfinite(steps)], 1.0)
    low = min(float(known.min()) if len(known) else budget / 10, budget / 3) / 1.3
    edge = 1.06 * budget
    right = low * (edge / low) ** (1 / (1 - STRIP))
    style.log_axis(ax, "x", low, right, most=4)
    ax.set_xticks([tick for tick in ax.get_xticks() if tick <= edge])
    ax.axvspan(edge, right, color=style.GRID, linewidth=0)
    ax.text(1.0, 1.01, "missed", transform=ax.transAxes, fontsize=5.8, ha="right", va="bottom",
            color=style.FAINT)  # fmt: skip
    middle = edge * (right / edge) ** 0.5
    for row in rows(table):
        name, line = str(row.optimizer), place[row.optimizer]
        look = shown.get(name, Look(style.FAINT, style.SOLID, "o"))
        if math.isfinite(row.first):
            spread = [max(row.first, 1.0), max(row.median, 1.0), max(row.third, 1.0)]
            inside = [min(value, edge) for value in spread]
            (drawn,) = ax.plot(
                inside, [line] * 3, color=look.color, linewidth=1.1 if name in shown else 0.8,
                solid_capstyle="butt", marker=look.marker, markersize=3.4 if name in shown else 2.2,
                markevery=[1] if math.isfinite(row.median) else [], markeredgewidth=0.4,
            )  # fmt: skip
            style.mark(drawn, name)
        if row.missed:
            count = ax.text(
                middle, line, f"{row.missed}/{row.seeds}", fontsize=5.4, ha="center",
                va="center_baseline", color=style.INK if name in shown else style.FAINT,
            )  # fmt: skip
            style.mark(count, name)
