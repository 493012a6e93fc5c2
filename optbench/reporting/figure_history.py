"""Values by commit, one small axis a series, with what changed and by how much."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from optbench.reporting import style
from optbench.reporting.numerals import significant
from optbench.reporting.rows import rows
from optbench.tracking.history import WORSE, Kind

WIDTH, COLUMNS = 10.0, 3
ROW, HEAD, FOOT, LEFT, GAP_X, GAP_Y, RIGHT = 1.35, 0.42, 0.36, 0.62, 0.62, 0.78, 0.15

HASH = 7
"""Characters of a commit at a tick."""

APART = 0.24
"""Share of an axes between two ticks at least."""

SERIES = ["machine", "environment", "benchmark", "metric", "optimizer", "problem", "parameters"]
"""Columns of a change that identify its series."""


def history(values: pd.DataFrame, changes: pd.DataFrame) -> Figure:
    """Place commits at equal distances, in their order, the same on all axes.

    Parameters
    ----------
    values : DataFrame
        ``History.values`` of the series that are to be shown: `SERIES`, ``commit``, ``place``,
        ``value``, ``unit``, ``version``, ``status``. One axes a series, in the order in which they
        appear. Where the version changes the line breaks: the values cannot be compared.
    changes : DataFrame
        ``History.frame()``: `SERIES`, ``kind``, ``likely``, ``commit``, ``ratio``. Those of other
        series are left aside.
    """
    groups = list(values.groupby(SERIES, sort=False, dropna=False))
    columns = max(1, min(COLUMNS, len(groups)))
    lines = max(1, -(-len(groups) // COLUMNS))
    height = HEAD + lines * ROW + (lines - 1) * GAP_Y + FOOT
    width = (WIDTH - LEFT - RIGHT - (COLUMNS - 1) * GAP_X) / COLUMNS
    commits = values.drop_duplicates("commit").set_index("commit")["place"]
    with style.drawing():
        figure = Figure(figsize=(WIDTH, height))
        for index, (key, series) in enumerate(groups):
            row, column = divmod(index, columns)
            left = LEFT + column * (width + GAP_X)
            bottom = height - HEAD - ROW - row * (ROW + GAP_Y)
            box = (left / WIDTH, bottom / height, width / WIDTH, ROW / height)
            ax = figure.add_axes(box)
            own = changes
            for name, part in zip(SERIES, key, strict=True):
                if len(own):
                    own = own[own[name] == part]
            _panel(ax, series.sort_values("place"), own, commits)
    return figure


def _panel(ax: Axes, series: pd.DataFrame, changes: pd.DataFrame, commits: pd.Series[int]) -> None:
    first = series.iloc[0]
    name, problem = str(first["optimizer"]), str(first["problem"])
    what = ", ".join(part for part in (name, problem) if part) or str(first["benchmark"])
    ax.set_title(style.short(what, 42), parse_math=False, pad=13)
    unit = f" [{first['unit']}]" if first["unit"] else ""
    under = f"{first['metric']}{unit}" + (f", {first['parameters']}" if first["parameters"] else "")
    ax.text(0, 1.03, style.short(under, 58), transform=ax.transAxes, fontsize=6.5,
            color=style.FAINT, va="bottom", parse_math=False)  # fmt: skip
    if problem:
        style.tag_problem(ax, problem)

    measured = series[(series["status"] == "measured").to_numpy(dtype=bool)]
    first_place, last_place = int(commits.min()), int(commits.max())
    ax.set_xlim(first_place - 0.5, max(last_place, first_place + 1) + 0.5)
    for _, part in measured.groupby("version", sort=False, dropna=False):
        (line,) = ax.plot(part["place"], part["value"], color=style.FAINT, linewidth=0.8,
                          marker="o", markersize=2.2 if len(part) < 80 else 0)  # fmt: skip
        style.mark(line, name)
    low, high = _range(measured["value"])
    ax.set_ylim(low, high)
    ax.yaxis.set_major_formatter(lambda value, _: significant(value))
    ax.locator_params(axis="y", nbins=4)
    failed = series[(series["status"] == "failed").to_numpy(dtype=bool)]
    (crosses,) = ax.plot(failed["place"], np.full(len(failed), low + 0.05 * (high - low)),
                         color=style.RED, linestyle="", marker="x", markersize=4)  # fmt: skip
    style.mark(crosses, name)
    places = [_change(ax, row, commits) for row in rows(changes)]
    _hashes(ax, commits, [place for place in places if place is not None])


def _range(values: pd.Series[float]) -> tuple[float, float]:
    """All values with some air; at least 10 % of the largest, so that noise does not fill it."""
    if values.empty:
        return 0.0, 1.0
    low, high = float(values.min()), float(values.max())
    air = max(0.12 * (high - low), 0.05 * high - 0.5 * (high - low), 1e-300)
    return low - air, high + 2.2 * air


def _change(ax: Axes, change: Any, commits: pd.Series[int]) -> int | None:
    """Draw a line at the commit that it happened at, if it is among those shown, with its size."""
    known = [commit for commit in (change.likely, change.commit) if commit in commits.index]
    if not known:
        return None
    place = int(commits[known[0]])
    color = style.RED if change.kind in WORSE else style.BLUE
    ax.axvline(place - 0.5, color=color, linewidth=1.0, linestyle=style.SHORT, zorder=1)
    words = f"×{change.ratio:.3g}" if change.ratio == change.ratio else str(Kind(change.kind))
    left, right = ax.get_xlim()
    late = (place - left) / (right - left) > 0.75
    words, side = (f"{words} ", "right") if late else (f" {words}", "left")
    ax.text(place - 0.5, 0.97, words, fontsize=7, color=color, ha=side, va="top",
            transform=ax.get_xaxis_transform())  # fmt: skip
    return place


def _hashes(ax: Axes, commits: pd.Series[int], changed: Sequence[int]) -> None:
    """Short hashes at the changes, then at either end, where there is room."""
    left, right = ax.get_xlim()
    taken: list[int] = []
    for place in (*changed, int(commits.max()), int(commits.min())):
        if all(abs(place - other) / (right - left) >= APART for other in taken):
            taken.append(place)
    by_place = {int(place): str(commit) for commit, place in commits.items()}
    ax.set_xticks(sorted(taken), [style.plain(by_place[place])[:HASH] for place in sorted(taken)],
                  fontsize=6, parse_math=False)  # fmt: skip
