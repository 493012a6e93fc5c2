"""Trajectories of a few optimizers over the contours of a landscape."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from optbench.reporting import style
from optbench.reporting.rows import by
from optbench.reporting.style import Looks

WIDTH, PANEL, HEAD, FOOT = 10.0, 4.2, 0.62, 0.45


def trajectories(
    paths: Sequence[tuple[str, pd.DataFrame]],
    grid: pd.DataFrame,
    looks: Looks,
    *,
    problem: str = "",
) -> Figure:
    """Paths over log-spaced contours, one panel a league.

    Parameters
    ----------
    paths : sequence of (title, frame)
        Frames of `analysis.trajectories`.
    grid : DataFrame
        ``x0``, ``x1``, ``value`` (the gap) on a regular grid. The panels show what of it the
        paths cross.
    looks : mapping
        Of every optimizer in the paths, in the order of the legend.
    problem : str
        Whose landscape it is; the panels are marked with it.
    """
    with style.drawing():
        height = HEAD + PANEL + FOOT
        figure = Figure(figsize=(WIDTH, height))
        surface = _crossed(grid, [path for _, path in paths]).pivot_table(
            index="x1", columns="x0", values="value"
        )
        room = (WIDTH - 0.55 - 0.15) / 2
        for index, (title, path) in enumerate(paths):
            left = (0.55 + index * room) / WIDTH
            ax = figure.add_axes((left, FOOT / height, (room - 0.4) / WIDTH, PANEL / height))
            _contours(ax, surface)
            _paths(ax, path, looks)
            ax.set_title(title, parse_math=False)
            ax.set_xlabel("x₀")
            ax.set_ylabel("x₁", labelpad=0)
            if problem:
                style.tag_problem(ax, problem)
        style.legend(figure, looks.items(), "", y=1.0 - 0.06 / height)
    return figure


def _contours(ax: Axes, surface: pd.DataFrame) -> None:
    x0 = surface.columns.to_numpy(dtype=float)
    x1 = surface.index.to_numpy(dtype=float)
    value = surface.to_numpy(dtype=float)
    height = np.log10(np.maximum(value, style.FLOOR))
    top = float(np.nanmax(height))
    levels = np.arange(top - 6, top + 0.01, 0.5)
    ax.grid(False)
    ax.contourf(x0, x1, height, levels=levels, cmap="Greys_r", alpha=0.34, extend="min")
    ax.contour(x0, x1, height, levels=levels[::2], colors="#8f98a3", linewidths=0.5,
               linestyles="-")  # fmt: skip
    low, column = np.unravel_index(int(np.nanargmin(value)), value.shape)
    ax.plot(x0[column], x1[low], marker="*", markersize=11, linestyle="",
            color="white", markeredgecolor=style.INK, zorder=9)  # fmt: skip
    ax.set_xlim(x0.min(), x0.max())
    ax.set_ylim(x1.min(), x1.max())


def _crossed(grid: pd.DataFrame, paths: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Draw the part of the grid that holds the minimum and every path, with a margin.

    The contours keep their levels over it; a path that leaves the grid is cut off at its edge.
    """
    least = grid.loc[[grid["value"].idxmin()]]
    points = pd.concat([frame[["x0", "x1"]] for frame in (*paths, least)])
    kept = grid
    for name in ("x0", "x1"):
        low, high = float(grid[name].min()), float(grid[name].max())
        inside = points[name].replace([np.inf, -np.inf], np.nan).dropna().clip(low, high)
        margin = 0.12 * float(inside.max() - inside.min()) + 0.03 * (high - low)
        near = grid[name].between(inside.min() - margin, inside.max() + margin)
        kept = kept[near.reindex(kept.index)]
    return kept


def _paths(ax: Axes, path: pd.DataFrame, looks: Looks) -> None:
    by_optimizer = by(path, "optimizer")
    for name in reversed(list(looks)):
        if name not in by_optimizer:
            continue
        one, look = by_optimizer[name], looks[name]
        (line,) = ax.plot(one["x0"], one["x1"], color=look.color, linestyle=look.dash,
                          linewidth=1.5, zorder=5)  # fmt: skip
        ended = one.iloc[-1]
        (end,) = ax.plot(
            ended["x0"], ended["x1"], color=look.color, marker=look.marker, markersize=6,
            markeredgecolor="white", markeredgewidth=0.6, linestyle="", zorder=6,
        )  # fmt: skip
        style.mark(line, name)
        style.mark(end, name)
    if len(path):
        first = path.sort_values("step").iloc[0]
        ax.plot(first["x0"], first["x1"], color=style.INK, marker="o", markersize=5,
                markerfacecolor="white", linestyle="", zorder=8)  # fmt: skip
