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
from optbench.report.rows import by, rows
from optbench.report.small_multiples import small_multiples
from optbench.report.style import FLOOR, Looks


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
        figure, axes = small_multiples(
            len(problems),
            [(name, looks[name]) for name in highlight],
            rest,
            x="gradient evaluations",
            y="gap / initial gap",
        )
        of_problem = by(bands, "problem")
        diverged = scores.groupby("problem")[["diverged", "failed", "seeds"]].sum()
        for ax, row in zip(axes, rows(problems), strict=True):
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
                ax.text(0.02, 0.02, note, transform=ax.transAxes, fontsize=6.5, color=style.FAINT,
                        va="bottom")  # fmt: skip
    return figure


def _panel(
    ax: Axes, band: pd.DataFrame, highlight: Sequence[str], looks: Looks, target: float
) -> None:
    by_optimizer = by(band, "optimizer")
    low, high = _range(band["median"], target)
    left = left_edge(band)
    grey = []
    for name, one in by_optimizer.items():
        if name not in highlight:
            grey.append(_line(one, left, high))
    if grey:
        ax.add_collection(LineCollection(grey, colors=style.REST, linewidths=0.8), autolim=False)
    if target > 0:
        ax.axhline(target, color=style.FAINT, linewidth=0.8, linestyle=style.DOT)
    # The first named is drawn last: it is the baseline.
    for name in reversed(highlight):
        if name not in by_optimizer:
            continue
        one = by_optimizer[name]
        step = one["step"].clip(lower=left)
        look = looks[name]
        ax.fill_between(
            step, one["low"].clip(FLOOR, high * 10), one["high"].clip(FLOOR, high * 10),
            color=look.color, alpha=0.16, linewidth=0,
        )  # fmt: skip
        median = one["median"].clip(lower=FLOOR).replace(np.inf, np.nan)
        ax.plot(step, median, color=look.color, linestyle=look.dash)
    style.log_axis(ax, "x", left, max(float(band["step"].max()), left * 2) * 1.05, most=5)
    style.log_axis(ax, "y", low, high)


def left_edge(band: pd.DataFrame) -> float:
    """Where step 0 stands on a log axis: just before the first step that was logged after it.

    A problem that is looked at every 25 steps would else show a long straight line where nothing
    was measured.
    """
    after = band.loc[band["step"] > 0, "step"]
    return 0.8 * float(after.min()) if len(after) else 0.8


def _range(median: pd.Series[float], target: float) -> tuple[float, float]:
    """From a decade that holds every median and the target, down to the floor, to 100 at most."""
    drawn = [value for value in (*median, target) if math.isfinite(value)]
    lowest = max(min(drawn, default=1.0), FLOOR)
    highest = max(max(drawn, default=1.0), FLOOR)
    low = max(10.0 ** math.floor(math.log10(lowest) - 0.2), FLOOR)
    return low, 10.0 ** max(0.5, min(2.0, math.log10(highest) + 0.1))


def _line(one: pd.DataFrame, left: float, high: float) -> np.ndarray:
    return np.column_stack([one["step"].clip(lower=left), one["median"].clip(FLOOR, high * 10)])
