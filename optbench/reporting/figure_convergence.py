"""Convergence: one small axis a problem, the median relative gap over seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from optbench.reporting import style
from optbench.reporting.rows import by
from optbench.reporting.small_multiples import draw_small_multiples
from optbench.reporting.style import FLOOR, Looks
from optbench.reporting.thinning import FINE, thinned


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
    ended = scores.groupby("problem")[["diverged", "failed", "seeds"]].sum()

    def draw(ax: Axes, band: pd.DataFrame, problem: Any) -> None:
        _panel(ax, thinned(band, points=FINE), highlight, looks, float(problem.target))
        if problem.problem in ended.index:
            _note(ax, ended.loc[problem.problem])

    return draw_small_multiples(
        bands, problems, highlight, looks, draw,
        x="gradient evaluations", y="gap / initial gap", absent="no traces",
    )  # fmt: skip


def _note(ax: Axes, ended: pd.Series[int]) -> None:
    """How many runs the curves have lost."""
    lost = int(ended["diverged"] + ended["failed"])
    if lost:
        note = f"{lost:,} of {int(ended['seeds']):,} runs diverged or failed"
        ax.text(0.02, 0.02, note, transform=ax.transAxes, fontsize=6.5, color=style.FAINT,
                va="bottom")  # fmt: skip


def _panel(
    ax: Axes, table: pd.DataFrame, highlight: Sequence[str], looks: Looks, target: float
) -> None:
    low, high = _range(table["median"], target)
    left = left_edge(table)
    # Down to the floor; where half of the seeds have diverged there is no line.
    table = table.assign(
        at=table["step"].clip(lower=left),
        low=table["low"].clip(FLOOR, high * 10),
        high=table["high"].clip(FLOOR, high * 10),
        line=table["median"].clip(lower=FLOOR).replace(np.inf, np.nan),
    )
    by_optimizer = by(table, "optimizer")
    for name, one in by(thinned(table), "optimizer").items():
        if name not in highlight:
            (line,) = ax.plot(one["at"], one["line"], color=style.REST, linewidth=0.7)
            style.mark(line, name)
    if target > 0:
        ax.axhline(target, color=style.FAINT, linewidth=0.8, linestyle=style.DOT)
    # The first named is drawn last: it is the baseline.
    for name in reversed(highlight):
        if name not in by_optimizer:
            continue
        one, look = by_optimizer[name], looks[name]
        few = thinned(one)
        quartiles = style.band(ax, few["at"], few["low"], few["high"], look.color)
        (line,) = ax.plot(one["at"], one["line"], color=look.color, linestyle=look.dash)
        style.mark(quartiles, name)
        style.mark(line, name)
    style.log_axis(ax, "x", left, max(float(table["step"].max()), left * 2) * 1.05, most=5)
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
