"""Convergence: one small axis a problem, the median relative gap over seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from optbench.report import style
from optbench.report.style import FLOOR, Looks
from optbench.report.small_multiples import small_multiples


def convergence(
    bands: pd.DataFrame,
    scores: pd.DataFrame,
    problems: pd.DataFrame,
    highlight: Sequence[str],
    looks: Looks,
) -> Figure:
    """Median relative gap by gradient evaluations, quartile band for the highlighted.

    Parameters
    ----------
    bands : DataFrame
        Of `analysis.bands`, relative.
    scores : DataFrame
        Of `analysis.scores`, for the count of diverged runs.
    problems : DataFrame
        ``problem``, ``target``, ``budget``; one axis a row, in this order.
    highlight : sequence of str
        Optimizers in colour; all others are grey.
    looks : mapping
        Of the highlighted.
    """
    rest = "all others" if set(bands["optimizer"]) - set(highlight) else ""
    with style.drawing():
        figure, axes = small_multiples(len(problems), [(n, looks[n]) for n in highlight], rest)
        of_problem = dict(list(bands.groupby("problem")))
        diverged = scores.groupby("problem")[["diverged", "failed", "seeds"]].sum()
        for ax, row in zip(axes, problems.itertuples(index=False), strict=True):
            name = str(row.problem)
            ax.set_title(style.short(name), parse_math=False)
            if name not in of_problem:
                ax.text(
                    0.5, 0.5, "no traces", transform=ax.transAxes, ha="center", color=style.FAINT
                )
                ax.set_axis_off()
                continue
            _panel(ax, of_problem[name], highlight, looks, float(row.target))
            ended = int(diverged.loc[name, "diverged"] + diverged.loc[name, "failed"])
            if ended:
                note = f"{ended} of {int(diverged.loc[name, 'seeds'])} runs diverged or failed"
                ax.text(1.0, 1.01, note, transform=ax.transAxes, fontsize=6.5, color=style.FAINT,
                        ha="right", va="bottom")  # fmt: skip
        figure.supxlabel("gradient evaluations", fontsize=8, y=0.01, va="bottom")
        figure.supylabel("gap / initial gap", fontsize=8, x=0.004, ha="left")
    return figure


def _panel(
    ax: Axes, band: pd.DataFrame, highlight: Sequence[str], looks: Looks, target: float
) -> None:
    by_optimizer = dict(list(band.groupby("optimizer")))
    finite = band["median"].replace(np.inf, np.nan)
    lowest = max(min(float(finite.min()), target), FLOOR)
    low = max(10.0 ** math.floor(math.log10(lowest) - 0.2), FLOOR)
    high = 10.0 ** max(0.5, min(2.0, math.log10(max(float(finite.max()), 1e-30)) + 0.1))
    if math.isnan(lowest):
        low = FLOOR
    grey = []
    for name, one in by_optimizer.items():
        if name not in highlight:
            grey.extend(_pieces(one, high))
    if grey:
        ax.add_collection(LineCollection(grey, colors=style.REST, linewidths=0.8), autolim=False)
    if target > 0:
        ax.axhline(target, color=style.FAINT, linewidth=0.8, linestyle=style.DOT)
    # The first named is drawn last: it is the baseline.
    for name in reversed(highlight):
        if name not in by_optimizer:
            continue
        one = by_optimizer[name]
        step = one["step"].clip(lower=0.8)
        look = looks[name]
        ax.fill_between(
            step, one["low"].clip(FLOOR, high * 10), one["high"].clip(FLOOR, high * 10),
            color=look.color, alpha=0.16, linewidth=0,
        )  # fmt: skip
        median = one["median"].clip(lower=FLOOR).replace(np.inf, np.nan)
        ax.plot(step, median, color=look.color, linestyle=look.dash)
    style.log_axis(ax, "x", 0.8, float(band["step"].max()) * 1.05, most=5)
    style.log_axis(ax, "y", low, high)


def _pieces(one: pd.DataFrame, high: float) -> list[np.ndarray]:
    points = np.column_stack([one["step"].clip(lower=0.8), one["median"].clip(FLOOR, high * 10)])
    return [points] if len(points) > 1 else []
