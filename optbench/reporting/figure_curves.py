"""Training curves of a network: loss and error rate by step, labelled at the right edge."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from optbench.reporting import style
from optbench.reporting.edge_labels import End, edge_labels, place
from optbench.reporting.rows import by
from optbench.reporting.style import Looks
from optbench.reporting.thinning import FINE, thinned

WIDTH, PANEL, HEAD, FOOT, LEFT, LABELS = 10.0, 2.9, 0.34, 0.46, 0.58, 1.15


def curves(
    panels: Sequence[tuple[str, str, pd.DataFrame]],
    highlight: Sequence[str],
    looks: Looks,
    seconds_per_step: Mapping[str, float] | None = None,
    *,
    problem: str = "",
) -> Figure:
    """Two columns of panels, each the medians of a metric over seeds.

    Parameters
    ----------
    panels : sequence of (title, label, frame)
        Frames of `analysis.bands` for one problem; the label is the vertical axis's.
    highlight : sequence of str
        Optimizers in colour with their band; the others are grey, and named where
        there is room.
    looks : mapping
        Of the highlighted.
    seconds_per_step : mapping of str to float
        Where given, the horizontal axis is time: steps times an optimizer's median seconds a
        step, logarithmic from the first step that was logged. Optimizers that were not timed
        (absent or NaN) are left out.
    problem : str
        Whose curves they are; the panels are marked with it.
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
            if problem:
                style.tag_problem(ax, problem)
            if seconds_per_step is None:
                ax.set_xlabel("gradient evaluations")
                band = thinned(band, points=FINE, log=False).assign(at=lambda one: one["step"])
            else:
                ax.set_xlabel("seconds")
                band = _timed(thinned(band, points=FINE), seconds_per_step)
            if not len(band):
                ax.text(0.5, 0.5, "not timed", transform=ax.transAxes, ha="center",
                        color=style.FAINT)  # fmt: skip
                ax.set_axis_off()
                continue
            if seconds_per_step is None:
                ax.set_xlim(0, max(float(band["at"].max()), 1.0))
            else:
                style.log_axis(ax, "x", float(band["at"].min()), float(band["at"].max()))
            _panel(ax, band, highlight, looks)
    return figure


def _timed(band: pd.DataFrame, seconds_per_step: Mapping[str, float]) -> pd.DataFrame:
    """Where each step stands in time. Step 0 has no place on a log axis, and is left out."""
    seconds = band["optimizer"].map(dict(seconds_per_step)).astype(float)
    at = band["step"] * seconds
    return band.assign(at=at)[at > 0]


def _panel(ax: Axes, band: pd.DataFrame, highlight: Sequence[str], looks: Looks) -> None:
    by_optimizer = by(band, "optimizer")
    finite = band["median"].replace(np.inf, np.nan)
    low, high = _range(finite, finite[band["step"] == band["step"].min()])
    known = {name: looks[name] for name in highlight}
    ends: list[End] = []
    for name in style.below_first(by_optimizer, known):
        one = by_optimizer[name]
        median = one["median"].replace(np.inf, np.nan)
        if name in known:
            look = known[name]
            below, above = (one[end].clip(low / 10, high * 10) for end in ("low", "high"))
            quartiles = style.band(ax, one["at"], below, above, look.color)
            (line,) = ax.plot(one["at"], median, color=look.color, linestyle=look.dash)
            style.mark(quartiles, name)
        else:
            (line,) = ax.plot(one["at"], median, color=style.REST, linewidth=0.8)
        style.mark(line, name)
        last = float(one["median"].iloc[-1])
        note = "" if math.isfinite(last) else " (diverged)"
        ends.append(End(name, place(last, low, high), note, _across(ax, float(one["at"].iloc[-1]))))
    style.log_axis(ax, "y", low, high, most=5)
    edge_labels(ax, ends, known)


def _across(ax: Axes, at: float) -> float:
    """Where on the axis, from 0 to 1; its limits are set."""
    left, right = ax.get_xlim()
    scale = ax.xaxis.get_transform()
    begin, here, end = (float(scale.transform([value])[0]) for value in (left, at, right))
    return (here - begin) / (end - begin)


def _range(value: pd.Series[float], start: pd.Series[float]) -> tuple[float, float]:
    """From the lowest median to a little above the start; what rises beyond leaves the panel."""
    positive = value[value > 0]
    begin = float(start.max())
    high = 1.6 * begin if begin > 0 else 1.0
    low = float(positive.min()) / 1.25 if len(positive) else high / 10
    return max(min(low, high / 2), style.FLOOR), high
