"""Training curves of a network: loss and error rate by step, labelled at the right edge."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from optbench.report import style
from optbench.report.rows import by
from optbench.report.style import Looks

WIDTH, PANEL, HEAD, FOOT, LEFT, LABELS = 10.0, 2.9, 0.34, 0.46, 0.58, 1.15
LABEL_HEIGHT = 7.8
"""Points between two labels."""

MOST_LABELS = 26
"""With more optimizers than that only those in colour are named."""


def curves(
    panels: Sequence[tuple[str, str, pd.DataFrame]],
    highlight: Sequence[str],
    looks: Looks,
) -> Figure:
    """Two columns of panels, each the medians of a metric over seeds.

    Parameters
    ----------
    panels : sequence of (title, label, frame)
        Frames of `analysis.bands` for one problem; the label is the vertical axis's.
    highlight : sequence of str
        Optimizers in colour with their band; the others are grey, and named all the same.
    looks : mapping
        Of the highlighted.
    """
    rows = math.ceil(len(panels) / 2)
    height = rows * (HEAD + PANEL + FOOT)
    with style.drawing():
        figure = Figure(figsize=(WIDTH, height))
        for index, (title, label, band) in enumerate(panels):
            row, column = divmod(index, 2)
            left = LEFT + column * WIDTH / 2
            bottom = height - (row + 1) * (HEAD + PANEL + FOOT) + FOOT
            width = WIDTH / 2 - LEFT - LABELS
            box = (left / WIDTH, bottom / height, width / WIDTH, PANEL / height)
            ax = figure.add_axes(box)
            ax.set_title(title, parse_math=False)
            ax.set_ylabel(label)
            ax.set_xlabel("gradient evaluations")
            _panel(ax, band, highlight, looks)
    return figure


def _panel(ax: Axes, band: pd.DataFrame, highlight: Sequence[str], looks: Looks) -> None:
    by_optimizer = by(band, "optimizer")
    finite = band["median"].replace(np.inf, np.nan)
    low, high = _range(finite, finite[band["step"] == band["step"].min()])
    last = max(float(band["step"].max()), 1.0)
    ends: list[tuple[str, float]] = []
    for name in [*(n for n in by_optimizer if n not in highlight), *reversed(highlight)]:
        if name not in by_optimizer:
            continue
        one = by_optimizer[name]
        step = one["step"]
        median = one["median"].replace(np.inf, np.nan)
        if name in highlight:
            look = looks[name]
            ax.fill_between(
                step, one["low"].clip(low / 10, high * 10), one["high"].clip(low / 10, high * 10),
                color=look.color, alpha=0.15, linewidth=0,
            )  # fmt: skip
            ax.plot(step, median, color=look.color, linestyle=look.dash)
        else:
            ax.plot(step, median, color=style.REST, linewidth=0.9)
        ends.append((name, float(one["median"].iloc[-1])))
    ax.set_xlim(0, last)
    style.log_axis(ax, "y", low, high, most=5)
    _labels(ax, ends, highlight, looks, low, high)


def _range(value: pd.Series[float], start: pd.Series[float]) -> tuple[float, float]:
    """From the lowest median to a little above the start; what rises beyond leaves the panel."""
    positive = value[value > 0]
    begin = float(start.max())
    high = 1.6 * begin if begin > 0 else 1.0
    low = float(positive.min()) / 1.25 if len(positive) else high / 10
    return max(min(low, high / 2), style.FLOOR), high


def _labels(
    ax: Axes,
    ends: list[tuple[str, float]],
    highlight: Sequence[str],
    looks: Looks,
    low: float,
    high: float,
) -> None:
    """Names at the right edge, in axes coordinates, moved apart where they would overlap."""
    if len(ends) > MOST_LABELS:
        ends = [end for end in ends if end[0] in highlight]

    def place(value: float) -> float:
        inside = min(max(value, low), high)
        return math.log(inside / low) / math.log(high / low)

    wanted = [place(value) for _, value in ends]
    gap = LABEL_HEIGHT / (PANEL * 72)
    for (name, value), at, to in zip(
        ends, wanted, style.spread(wanted, gap, -0.04, 1.04), strict=True
    ):
        color = looks[name].color if name in highlight else "#8a919b"
        ax.plot([1.0, 1.035], [at, to], transform=ax.transAxes, color=color, linewidth=0.5,
                clip_on=False)  # fmt: skip
        text = style.short(name, 16) + ("" if math.isfinite(value) else " (diverged)")
        ax.text(1.045, to, text, transform=ax.transAxes, fontsize=6.8, va="center_baseline",
                color=color, parse_math=False)  # fmt: skip
