"""Sensitivity: what the learning rate does, one small axis a problem."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from optbench.reporting import style
from optbench.reporting.rows import by, rows
from optbench.reporting.small_multiples import draw_small_multiples
from optbench.reporting.style import FLOOR, Looks


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

    def draw(ax: Axes, rates: pd.DataFrame, problem: Any) -> None:
        _panel(ax, rates, highlight, looks, float(problem.budget))

    return draw_small_multiples(
        table, problems, highlight, looks, draw,
        x="learning rate", y="median steps to target", absent="one learning rate only",
    )  # fmt: skip


def _panel(
    ax: Axes, table: pd.DataFrame, highlight: Sequence[str], looks: Looks, budget: float
) -> None:
    reached = bool(table["median_steps"].notna().any())
    value = "median_steps" if reached else "median_gap"
    table = table.assign(value=table[value].replace(np.inf, np.nan).clip(lower=FLOOR))
    known = table["value"].dropna()
    by_optimizer = by(table, "optimizer")
    for name, one in by_optimizer.items():
        if name not in highlight and len(one) > 1:
            (line,) = ax.plot(one["lr"], one["value"], color=style.REST, linewidth=0.7)
            style.mark(line, name)
    for name in reversed(highlight):
        if name not in by_optimizer:
            continue
        one, look = by_optimizer[name], looks[name]
        (line,) = ax.plot(one["lr"], one["value"], color=look.color, linestyle=look.dash,
                          marker="o", markersize=2.2)  # fmt: skip
        default = one[one["default"].astype(bool)]
        (ring,) = ax.plot(
            default["lr"], default["value"], linestyle="", marker="o", markersize=6.0,
            color="none", markeredgecolor=look.color, markeredgewidth=1.3,
        )  # fmt: skip
        style.mark(line, name)
        style.mark(ring, name)
    style.log_axis(ax, "x", float(table["lr"].min()) / 1.5, float(table["lr"].max()) * 1.5)
    if reached:
        low = min(float(known.min()), budget) / 1.6
        _misses(ax, table[table["default"].astype(bool)], highlight, looks, low, budget)
        return
    ax.text(0.02, 0.97, "no target reached: final gap / initial gap", transform=ax.transAxes,
            fontsize=6.5, va="top", color=style.RED)  # fmt: skip
    if len(known):
        low = 10 ** (math.log10(float(known.min())) - 0.3)
        high = 10 ** min(2.0, math.log10(float(known.max())) + 0.6)
        style.log_axis(ax, "y", min(low, high / 10), high, most=4)


def _misses(
    ax: Axes,
    default: pd.DataFrame,
    highlight: Sequence[str],
    looks: Looks,
    low: float,
    budget: float,
) -> None:
    """Draw misses in a strip above the budget."""
    share = 0.13
    top = low * (budget / low) ** (1 / (1 - share))
    style.log_axis(ax, "y", low, top, most=4)
    ax.set_yticks([tick for tick in ax.get_yticks() if tick <= budget])
    ax.axhspan(budget, top, color=style.GRID, linewidth=0)
    ax.axhline(budget, color=style.FAINT, linewidth=0.8, linestyle=style.DOT)
    missed = [one for one in rows(default) if one.optimizer in highlight and one.value != one.value]
    for one in missed:
        # Several share a rate: their own place in the strip keeps them apart.
        part = (list(highlight).index(one.optimizer) + 0.7) / (len(highlight) + 0.4)
        (cross,) = ax.plot(
            [one.lr], [budget * (top / budget) ** part], linestyle="", marker="x",
            markersize=3.6, markeredgewidth=1.1, color=looks[one.optimizer].color,
        )  # fmt: skip
        style.mark(cross, one.optimizer)
    if missed:
        ax.text(0.99, 1 - share / 2, "missed", transform=ax.transAxes, fontsize=6, ha="right",
                va="center", color=style.FAINT)  # fmt: skip
