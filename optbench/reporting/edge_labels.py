"""Names where the lines end: nearer to what they name than a legend is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes

from optbench.reporting import style
from optbench.reporting.style import Looks

HEIGHT = 7.8
"""Points between two labels."""

SIZE = 6.8
"""Points of print."""


@dataclass(frozen=True)
class End:
    """Where an optimizer's line ends, in axes coordinates.

    Attributes
    ----------
    optimizer : str
    place : float
        From 0, the lower edge of the axes, to 1.
    note : str
        Follows the name.
    at : float
        From 0, the left edge, to 1, where nearly all lines end.
    """

    optimizer: str
    place: float
    note: str = ""
    at: float = 1.0


def place(value: float, low: float, high: float) -> float:
    """Where a value stands on a log axis, from 0 to 1; what is outside stands at the edge."""
    inside = min(max(value, low), high)
    return math.log(inside / low) / math.log(high / low)


def edge_labels(ax: Axes, ends: Sequence[End], looks: Looks, length: int = 18) -> None:
    """Write names to the right of the axes.

    Those in colour are all named, and moved apart where they would overlap; a grey one is named
    where there is room beside the end of its line: a fan of twenty names would tell nothing.

    Parameters
    ----------
    ax : Axes
        Placed by hand, with room at its right.
    ends : sequence of End
    looks : mapping
        Optimizers that are not in it are grey.
    length : int
        Characters of a name at most.
    """
    with_look = [end for end in ends if end.optimizer in looks]
    gap = HEIGHT / (72 * _inches(ax)[1])
    taken = style.spread([end.place for end in with_look], gap, -0.04, 1.04)
    for end, to in zip(with_look, taken, strict=True):
        _label(ax, end, to, looks[end.optimizer].color, style.INK, length)
    for end in sorted(ends, key=lambda end: (-end.place, end.optimizer)):
        if end.optimizer not in looks and all(abs(end.place - one) >= gap for one in taken):
            taken.append(end.place)
            _label(ax, end, end.place, style.REST, style.FAINT, length)


def _label(ax: Axes, end: End, to: float, color: str, ink: str, length: int) -> None:
    width = _inches(ax)[0]
    bend, begin = 1 + 0.13 / width, 1 + 0.17 / width
    early = end.at < 1
    (leader,) = ax.plot(
        [end.at, 1.0, bend] if early else [1.0, bend],
        [end.place, end.place, to] if early else [end.place, to],
        transform=ax.transAxes, clip_on=False, color=color, linewidth=0.6,
        # Dotted across the axes, where a line would look like a measurement.
        linestyle=style.DOT if early else style.SOLID,
    )  # fmt: skip
    text = ax.text(
        begin, to, style.short(end.optimizer, length) + end.note, transform=ax.transAxes,
        fontsize=SIZE, va="center_baseline", color=ink, parse_math=False,
    )  # fmt: skip
    style.mark(leader, end.optimizer)
    style.mark(text, end.optimizer)


def _inches(ax: Axes) -> tuple[float, float]:
    """Width and height of an axes that was placed by hand."""
    figure = ax.get_figure(root=True)
    if figure is None:
        raise ValueError("the axes is in no figure")
    box = ax.get_position()
    return box.width * figure.get_figwidth(), box.height * figure.get_figheight()
