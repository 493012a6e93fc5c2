"""The figure of docs/scaling.md, in the style of the report's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from optbench.reporting import style

NIGHTLY, MILLION, SEVERAL = style.BLUE, style.VERMILION, style.PURPLE


def draw(curves: dict[str, Any], path: Path) -> None:
    """Speed-ups beside how busy everybody is.

    Parameters
    ----------
    curves : dict
        As `simulate_cluster.curves` gives them.
    path : Path
        Of a PNG.
    """
    with style.drawing():
        figure = Figure(figsize=(7.6, 3.3), dpi=160)
        left, right = figure.subplots(1, 2, gridspec_kw={"width_ratios": (1.15, 1)})
        _speed_ups(left, curves)
        _shares(right, curves)
        for axes in (left, right):
            style.log_axis(axes, "x", 1, 1024 * 1.15)
            axes.set_xlabel("workers")
        figure.tight_layout(w_pad=2.0)
        figure.savefig(path)


def _speed_ups(axes: Axes, curves: dict[str, Any]) -> None:
    workers = curves["workers"]
    axes.set_title("Speed-up against one worker")
    axes.plot([1, 1024], [1, 1024], color=style.REST, linewidth=1.0)
    million = curves["million"][0].wall_s
    nightly = curves["nightly"][0].wall_s
    for name, first, color, place, label in (
        ("several", million, SEVERAL, (-40, 2), "a million runs, 8 coordinators"),
        ("million", million, MILLION, (-2, -4), "a million runs"),
        ("nightly", nightly, NIGHTLY, (-2, -4), "the nightly"),
    ):
        known = [(n, o) for n, o in zip(workers, curves[name], strict=True) if o is not None]
        at, speed = [n for n, _ in known], [first / o.wall_s for _, o in known]
        axes.plot(at, speed, color=color)
        axes.annotate(
            label, (at[-1], speed[-1]), xytext=place, textcoords="offset points",
            ha="right", va="top" if place[1] < 0 else "bottom", color=color, fontsize=7,
        )  # fmt: skip
    measured = {n: s for n, s in curves["measured"].items() if n.startswith("Dask")}
    axes.plot(
        [int(name.split()[1]) for name in measured], list(measured.values()),
        linestyle="none", marker="o", markersize=4, color=style.INK,
    )  # fmt: skip
    axes.annotate(
        "measured: Dask on 2 processors", (4, measured["Dask, 4 workers"]), xytext=(7, -8),
        textcoords="offset points", color=style.INK, fontsize=7,
    )  # fmt: skip
    axes.axvline(curves["limit"], color=style.FAINT, linewidth=0.8, linestyle=style.DOT)
    axes.annotate(
        f"N* = {curves['limit']:.0f}", (curves["limit"], 1), xytext=(3, 3),
        textcoords="offset points", color=style.FAINT, fontsize=7,
    )  # fmt: skip
    style.log_axis(axes, "y", 0.4, 1200)


def _shares(axes: Axes, curves: dict[str, Any]) -> None:
    workers = curves["workers"]
    axes.set_title("Who is busy: a million, one coordinator")
    for of, color, place, label in (
        ("workers_busy", MILLION, (0, -10), "workers"),
        ("coordinators_busy", style.INK, (-24, 8), "coordinator"),
    ):
        shares = [100 * getattr(outcome, of) for outcome in curves["million"]]
        axes.plot(workers, shares, color=color)
        axes.annotate(
            label, (workers[3], shares[3]), xytext=place, textcoords="offset points",
            color=color, fontsize=7,
        )  # fmt: skip
    axes.axvline(curves["limit"], color=style.FAINT, linewidth=0.8, linestyle=style.DOT)
    axes.set_ylim(0, 105)
    axes.set_ylabel("% of the wall time")
