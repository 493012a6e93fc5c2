"""Sensitivity: what the learning rate does, one small axis a problem."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from optbench.report import style
from optbench.report.small_multiples import small_multiples
from optbench.report.style import FLOOR, Looks


def sensitivity(
    table: pd.DataFrame, problems: pd.DataFrame, highlight: Sequence[str], looks: Looks
) -> Figure:
    """Median steps to target by learning rate; final relative gap where nothing reaches it.

    Parameters
    ----------
    table : DataFrame
        Of `analysis.sensitivity`.
    problems : DataFrame
        ``problem``, ``budget``; one axis a row, in this order.
    highlight, looks
        As for `convergence`.
    """
    rest = "all others" if set(table["optimizer"]) - set(highlight) else ""
    with style.drawing():
        figure, axes = small_multiples(len(problems), [(n, looks[n]) for n in highlight], rest)
        of_problem = dict(list(table.groupby("problem")))
        for ax, row in zip(axes, problems.itertuples(index=False), strict=True):
            name = str(row.problem)
            ax.set_title(style.short(name), parse_math=False)
            if name in of_problem:
                _panel(ax, of_problem[name], highlight, looks, float(row.budget))
            else:
                ax.text(0.5, 0.5, "one learning rate only", transform=ax.transAxes, ha="center",
                        color=style.FAINT)  # fmt: skip
                ax.set_axis_off()
        figure.supxlabel("learning rate", fontsize=8, y=0.01, va="bottom")
        figure.supylabel(
            "median gradient evaluations to the target", fontsize=8, x=0.004, ha="left"
        )
    return figure


def _panel(
    ax: Axes, table: pd.DataFrame, highlight: Sequence[str], looks: Looks, budget: float
) -> None:
    reached = bool(table["median_steps"].notna().any())
    value = "median_steps" if reached else "median_gap"
    table = table.assign(value=table[value].replace(np.inf, np.nan).clip(lower=FLOOR))
    known = table["value"].dropna()
    by_optimizer = dict(list(table.groupby("optimizer")))
    grey = [
        one[["lr", "value"]].to_numpy()
        for name, one in by_optimizer.items()
        if name not in highlight and len(one) > 1
    ]
    if grey:
        ax.add_collection(LineCollection(grey, colors=style.REST, linewidths=0.8), autolim=False)
    for name in reversed(highlight):
        if name not in by_optimizer:
            continue
        one, look = by_optimizer[name], looks[name]
        ax.plot(one["lr"], one["value"], color=look.color, linestyle=look.dash,
                marker="o", markersize=2.2)  # fmt: skip
        default = one[one["default"].astype(bool)]
        ax.plot(default["lr"], default["value"], linestyle="", marker="o", markersize=6.0,
                markerfacecolor="none", markeredgecolor=look.color, markeredgewidth=1.3)  # fmt: skip
    style.log_axis(ax, "x", float(table["lr"].min()) / 1.5, float(table["lr"].max()) * 1.5)
    if reached:
        low = max(float(known.min()) / 1.6, 0.5)
        style.log_axis(ax, "y", low, max(budget * 1.25, low * 2), most=4)
        ax.axhline(budget, color=style.FAINT, linewidth=0.8, linestyle=style.DOT)
        return
    ax.text(0.02, 0.97, "no target reached: final gap / initial gap", transform=ax.transAxes,
            fontsize=6.5, va="top", color=style.RED)  # fmt: skip
    if len(known):
        low = 10 ** (math.log10(float(known.min())) - 0.3)
        high = 10 ** min(2.0, math.log10(float(known.max())) + 0.6)
        style.log_axis(ax, "y", min(low, high / 10), high, most=4)
