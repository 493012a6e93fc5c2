"""Ranks: optimizers by problems as a heat map, and which mean ranks can be told apart."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from optbench.analysis.ranks import CriticalDifference
from optbench.reporting import style
from optbench.reporting.style import Looks

WIDTH, LEFT, RIGHT = 10.0, 1.35, 0.95
CELL, HEAD, FOOT = 0.215, 1.25, 0.12

SHADES = LinearSegmentedColormap.from_list("steps", ["#1c5d9e", "#3f90da", "#cfe2f5"])
"""From the fewest steps to `FAR` times as many; of the palette's blue."""

FAR = 10.0
"""Times the fewest steps, from where on the shade is the lightest."""

ON_DARK, ON_LIGHT = "#fefefe", "#000000"
"""Text on a shade. No neutrals of `style`: on a dark page those turn over, and shades do not."""

LINE, BAR = 0.19, 0.13


def heatmap(
    scores: pd.DataFrame, ranks: pd.DataFrame, problems: Sequence[str], order: Sequence[str]
) -> Figure:
    """Draw a cell an optimizer and problem: its rank, on a shade that tells how far from the best.

    Parameters
    ----------
    scores : DataFrame
        Of `analysis.scores`: ``optimizer``, ``problem``, ``median_steps`` (NaN: missed).
    ranks : DataFrame
        Of `analysis.ranks`: problems by optimizers. The best of a problem is that of its columns.
    problems : sequence of str
        Columns; those that ``ranks`` lacks are left out.
    order : sequence of str
        Optimizers from the top; those that ``ranks`` lacks are left out.
    """
    columns = [name for name in problems if name in ranks.index]
    lines = [name for name in order if name in ranks.columns]
    height = HEAD + max(1, len(lines)) * CELL + FOOT
    with style.drawing():
        figure, ax = style.framed(WIDTH, height, left=LEFT, right=RIGHT, head=HEAD, foot=FOOT)
        _bare(ax, len(columns), len(lines))
        steps = scores.pivot_table(index="problem", columns="optimizer", values="median_steps")
        steps = steps.reindex(index=columns, columns=ranks.columns).clip(lower=1)
        ratio = steps.div(steps.min(axis=1), axis=0)
        for place, name in enumerate(columns):
            ax.text(place + 0.5, -0.35, style.short(name, 26), rotation=45, ha="left",
                    va="bottom", rotation_mode="anchor", fontsize=7, parse_math=False)  # fmt: skip
        for place, name in enumerate(lines):
            _line(ax, place, name, ratio[name].to_numpy(), ranks.loc[columns, name].to_numpy())
        _key(figure, height)
    return figure


def _line(ax: Axes, place: int, name: str, ratio: np.ndarray, ranks: np.ndarray) -> None:
    reached = np.flatnonzero(np.isfinite(ratio))
    far = np.log(ratio[reached]) / math.log(FAR)
    shades = SHADES(np.clip(far, 0, 1))
    cells = [_square(int(column), place) for column in reached]
    missed = [_square(int(column), place) for column in np.flatnonzero(~np.isfinite(ratio))]
    drawn = [
        ax.add_collection(PolyCollection(cells, facecolors=shades, linewidths=0), autolim=False),
        ax.add_collection(
            PolyCollection(missed, facecolors="white", edgecolors=style.GRID, linewidths=0.6),
            autolim=False,
        ),
        ax.text(-0.25, place + 0.5, style.short(name, 20), ha="right", va="center_baseline",
                parse_math=False),
    ]  # fmt: skip
    for column, rank in enumerate(ranks):
        text, color = "–", style.FAINT
        if column in reached:
            text = f"{rank:g}"
            color = ink(ratio[column])
        drawn.append(ax.text(column + 0.5, place + 0.5, text, ha="center", fontsize=6.3,
                             va="center_baseline", color=color))  # fmt: skip
    for artist in drawn:
        style.mark(artist, name)


def ink(ratio: float) -> str:
    """Return a text colour with a contrast of at least 4.5 (WCAG) on the shade of a ratio."""
    return ON_DARK if ratio < FAR**0.265 else ON_LIGHT


def _square(column: int, line: int) -> list[tuple[float, float]]:
    left, right, top, bottom = column + 0.03, column + 0.97, line + 0.04, line + 0.96
    return [(left, top), (right, top), (right, bottom), (left, bottom)]


def _bare(ax: Axes, columns: int, lines: int) -> None:
    ax.set_xlim(0, max(1, columns))
    ax.set_ylim(max(1, lines), 0)
    ax.set_axis_off()


def _key(figure: Figure, height: float) -> None:
    """Draw the legend of the shades at the upper left."""
    ax = figure.add_axes((0.12 / WIDTH, 1 - 0.62 / height, 1.0 / WIDTH, 0.13 / height))
    _bare(ax, 12, 1)
    for step in range(12):
        ax.fill([step, step + 1, step + 1, step], [0, 0, 1, 1], color=SHADES(step / 11),
                linewidth=0)  # fmt: skip
    ax.text(0, -0.5, "steps by the fewest", fontsize=7, color=style.FAINT, va="bottom")
    ax.text(0, 1.3, "1", fontsize=6.5, color=style.FAINT, va="top")
    ax.text(12, 1.3, f"{FAR:g} or more", fontsize=6.5, color=style.FAINT, va="top", ha="right")


def critical_difference(value: CriticalDifference, looks: Looks) -> Figure:
    """Mean ranks, best at the top, and bars that join those not told apart.

    The diagram of Demsar 2006, figure 1, on its side: with twenty names the lines that lead to
    them would cross the bars.

    Parameters
    ----------
    value : CriticalDifference
        Of `analysis.critical_difference`.
    looks : mapping
        Of every optimizer in it.
    """
    ranks = value.mean_ranks
    count = max(1, len(ranks))
    height = 0.72 + count * LINE + 0.5
    bars = max(1, len(value.groups)) * BAR + 0.25
    with style.drawing():
        figure = Figure(figsize=(WIDTH, height))
        room = WIDTH - LEFT - bars - 0.75
        box = (LEFT / WIDTH, 0.5 / height, room / WIDTH, count * LINE / height)
        ax = figure.add_axes(box)
        first, last = (float(ranks.min()), float(ranks.max())) if len(ranks) else (1.0, 2.0)
        left = math.floor(first - 0.5)
        ax.set_xlim(left, math.ceil(last + 0.2))
        ax.set_ylim(count - 0.4, -0.6)
        ax.set_yticks([])
        ax.spines["left"].set_visible(False)
        ax.set_xlabel(f"mean rank over {value.problems} problems, 1 is the best")
        across = ax.get_yaxis_transform()
        for place, (optimizer, rank) in enumerate(ranks.items()):
            name = str(optimizer)
            look = looks[name]
            drawn = [
                *ax.plot([left, rank], [place, place], color=style.GRID, linewidth=0.8, zorder=1),
                *ax.plot([rank], [place], color=look.color, marker=look.marker, markersize=5.5,
                         linestyle=""),
                ax.text(-0.12 / room, place, style.short(name, 20), transform=across, ha="right",
                        va="center_baseline", parse_math=False),
                ax.text(1 + 0.12 / room, place, f"{rank:.1f}", transform=across, color=style.FAINT,
                        va="center_baseline", fontsize=7),
            ]  # fmt: skip
            for artist in drawn:
                style.mark(artist, name)
        _groups(ax, value, room)
        if math.isfinite(value.difference):
            _ruler(ax, value.difference, count)
    return figure


def _groups(ax: Axes, value: CriticalDifference, room: float) -> None:
    """Draw a bar a group, each in a column of its own."""
    place = {str(name): line for line, name in enumerate(value.mean_ranks.index)}
    across = ax.get_yaxis_transform()
    for column, group in enumerate(value.groups):
        lines = [place[name] for name in group]
        x = 1 + (0.62 + column * BAR) / room
        ax.plot([x, x], [min(lines) - 0.3, max(lines) + 0.3], transform=across, color=style.INK,
                linewidth=2.2, solid_capstyle="butt", clip_on=False)  # fmt: skip
    if value.groups:
        x = 1 + (0.62 + (len(value.groups) - 1) * BAR / 2) / room
        ax.text(x, -0.9, "no significant difference", transform=across, ha="center", va="bottom",
                color=style.FAINT, fontsize=7)  # fmt: skip


def _ruler(ax: Axes, difference: float, count: int) -> None:
    """How long a critical difference is on the axis."""
    left = ax.get_xlim()[0]
    y = -0.6 - 0.28 / LINE
    ends = [left, left + difference]
    ax.plot(ends, [y, y], color=style.INK, linewidth=1.2, clip_on=False, marker="|", markersize=6)
    ax.text(left + difference, y, f"  critical difference {difference:.2f}", va="center_baseline",
            fontsize=7.5)  # fmt: skip
