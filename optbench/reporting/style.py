"""How figures look: one colour, dash and marker an optimizer, in every figure alike."""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Polygon
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

FLOOR = 1e-12
"""Lower end of log axes of gaps, below which all is rounding."""

INK = "#1f2328"
FAINT = "#6a737d"
REST = "#c9ced6"
"""Lines that are there for context only."""
GRID = "#e7eaee"

# petroff10 (Petroff 2021), ten colours that stay apart for colour-blind readers. Its grey is
# left out: grey means "the rest" here.
BLUE, ORANGE, RED, PURPLE = "#3f90da", "#ffa90e", "#bd1f01", "#832db6"
BROWN, VERMILION, SAND, SLATE, CYAN = "#a96b59", "#e76300", "#b9ac70", "#717581", "#92dadd"

Dash = Any
"""A line style of matplotlib, whose stubs spell out every one and change with its versions."""

SOLID: Dash = "-"
LONG: Dash = (0, (6.0, 1.6))
SHORT: Dash = (0, (3.0, 1.4))
DOT: Dash = (0, (1.2, 1.3))
MIXED: Dash = (0, (6.0, 1.5, 1.2, 1.5))
DASHES = (SOLID, LONG, SHORT, DOT, MIXED)


@dataclass(frozen=True)
class Look:
    """How one optimizer is drawn."""

    color: str
    dash: Dash
    marker: str


LOOKS: dict[str, Look] = {
    "adam": Look(BLUE, SOLID, "o"),
    "adamw": Look(VERMILION, SOLID, "s"),
    "amsgrad": Look(BLUE, SHORT, "v"),
    "nadam": Look(PURPLE, SHORT, "^"),
    "radam": Look(VERMILION, SHORT, "D"),
    "adamax": Look(CYAN, SOLID, "P"),
    "adam-swarm": Look(ORANGE, DOT, "*"),
    "sgd": Look(SLATE, SOLID, "s"),
    "momentum": Look(RED, SOLID, "^"),
    "nesterov": Look(RED, SHORT, "v"),
    "asgd": Look(SLATE, SHORT, "x"),
    "adagrad": Look(BROWN, SOLID, "D"),
    "adadelta": Look(BROWN, SHORT, "P"),
    "rmsprop": Look(ORANGE, SOLID, "v"),
    "rmsprop-centered": Look(ORANGE, SHORT, "o"),
    "rprop": Look(SAND, SOLID, "X"),
    "adafactor": Look(SAND, SHORT, "h"),
    "lion": Look(PURPLE, SOLID, "P"),
    "signum": Look(PURPLE, DOT, "X"),
    "muon": Look(INK, LONG, "D"),
    "lbfgs": Look(INK, SOLID, "*"),
    "sparseadam": Look(CYAN, DOT, "h"),
}
"""The catalogue's bases. A name alone decides, so that a page does not recolour an optimizer
because another one took part."""

UNKNOWN_COLORS = ("#24292f", "#444d56", "#586069")
UNKNOWN_MARKERS = ("o", "s", "^", "v", "D", "P", "X")


def look(optimizer: str, base: str, variant: str = "") -> Look:
    """Return an optimizer's look: a variant has its base's colour and another dash."""
    known = LOOKS.get(base)
    if known is None:
        # Not `hash`, which differs from process to process.
        code = zlib.crc32(optimizer.encode("utf-8", "surrogatepass"))
        return Look(
            UNKNOWN_COLORS[code % len(UNKNOWN_COLORS)],
            DASHES[(code >> 8) % len(DASHES)],
            UNKNOWN_MARKERS[(code >> 16) % len(UNKNOWN_MARKERS)],
        )
    if not variant:
        return known
    others = [dash for dash in DASHES if dash != known.dash]
    code = zlib.crc32(variant.encode("utf-8", "surrogatepass"))
    return Look(known.color, others[code % len(others)], known.marker)


Looks = Mapping[str, Look]

RC: Any = {
    "font.size": 8.0,
    "font.family": "DejaVu Sans",
    "axes.edgecolor": "#aab1ba",
    "axes.labelcolor": INK,
    "axes.linewidth": 0.6,
    "axes.titlesize": 8.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 5.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "xtick.color": "#8c939c",
    "ytick.color": "#8c939c",
    "xtick.labelcolor": FAINT,
    "ytick.labelcolor": FAINT,
    "xtick.labelsize": 7.0,
    "ytick.labelsize": 7.0,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "text.color": INK,
    "lines.linewidth": 1.4,
    "lines.solid_capstyle": "round",
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "path.simplify": True,
    "svg.fonttype": "none",
}


def drawing() -> AbstractContextManager[None]:
    """Set the style for making and writing figures."""
    return mpl.rc_context(RC)


def framed(
    width: float, height: float, *, left: float, right: float, head: float, foot: float
) -> tuple[Figure, Axes]:
    """Return a figure with one axes, placed by hand; all sizes are inches."""
    figure = Figure(figsize=(width, height))
    box = (
        *(left / width, foot / height),
        *((width - left - right) / width, (height - head - foot) / height),
    )
    return figure, figure.add_axes(box)


def mark(artist: Artist, optimizer: str) -> None:
    """Tag an artist with its optimizer.

    Its group in the SVG is then named after the optimizer, and the page can show, hide or bring
    it out along with everything else of that optimizer. An artist of many optimizers at once,
    such as a collection of lines, cannot be marked: each has its own.
    """
    artist.set_gid(f"o:{optimizer}")


def tag_problem(axes: Axes, problem: str) -> None:
    """Say which problem an axes shows, as `mark` does for an optimizer."""
    axes.set_gid(f"p:{problem}")


def band(
    axes: Axes, at: pd.Series[float], low: pd.Series[float], high: pd.Series[float], color: str
) -> Polygon:
    """Fill the area between two lines, pale; limits of the axes are left to the caller.

    A polygon, where `Axes.fill_between` makes a collection: that takes twice the time, and half
    as many bytes again in an SVG. Without numbers nothing is seen.
    """
    known = np.isfinite(low) & np.isfinite(high)
    there, back = at[known], at[known][::-1]
    edge = np.column_stack([[*there, *back], [*low[known], *high[known][::-1]]])
    area = Polygon(edge, facecolor=color, alpha=0.16, linewidth=0)
    axes.add_artist(area)
    return area


def pen(look: Look | None, width: float) -> dict[str, Any]:
    """Return how a line is drawn: as an optimizer looks, or thin and grey."""
    if look is None:
        return {"color": REST, "linestyle": SOLID, "linewidth": 0.8}
    return {"color": look.color, "linestyle": look.dash, "linewidth": width}


def below_first(names: Iterable[str], shown: dict[str, Look]) -> list[str]:
    """Order names for drawing: grey ones, then those in colour, the first of these on top."""
    there = list(names)
    colored = [name for name in reversed(shown) if name in there]
    return [*(name for name in there if name not in shown), *colored]


def plain(text: object) -> str:
    """Return a name as one line that XML can hold: no control characters, which SVG forbids."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in str(text))


def short(text: object, length: int = 34) -> str:
    """Return a name cut in its middle, where it is longer than a figure has room for."""
    name = plain(text)
    if len(name) <= length:
        return name
    tail = length // 2
    return f"{name[: length - tail - 1]}…{name[-tail:]}"


SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def power_of_ten(value: float, _position: object = None) -> str:
    """1, 10, 1000, 10⁻⁴ — as text: mathtext is slow, and its SVG large."""
    if not value > 0:
        return ""
    exponent = math.log10(value)
    if abs(exponent - round(exponent)) > 1e-6:
        return f"{value:g}"
    whole = round(exponent)
    if 0 <= whole <= 3:
        return str(10**whole)
    return "10" + str(whole).translate(SUPERSCRIPT)


def decades(low: float, high: float, most: int = 6) -> list[float]:
    """Powers of ten within an interval, every n-th so that at most ``most`` are left."""
    first, last = math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9)
    every = max(1, math.ceil((last - first + 1) / most))
    return [10.0**k for k in range(first, last + 1) if k % every == 0]


def log_axis(axes: Axes, which: str, low: float, high: float, most: int = 6) -> None:
    """Set up a log axis with limits and ticks at powers of ten alone (others cost time)."""
    if which == "x":
        axes.set_xscale("log")
        axes.set_xlim(low, high)
        axis: Any = axes.xaxis
    else:
        axes.set_yscale("log")
        axes.set_ylim(low, high)
        axis = axes.yaxis
    if len(decades(low, high, 99)) < 3:
        axis.set_major_locator(FixedLocator(_between(low, high, most)))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    else:
        axis.set_major_locator(FixedLocator(decades(low, high, most)))
        axis.set_major_formatter(FuncFormatter(power_of_ten))
    axis.set_minor_locator(NullLocator())


def _between(low: float, high: float, most: int) -> list[float]:
    """Ticks for a decade or two: 1, 2, 5 times a power of ten, or 1, 3 where those are many."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for digits in ((1, 1.2, 1.5, 2, 3, 5, 7), (1, 2, 5), (1, 3)):
        steps = [digit * 10.0**k for k in powers for digit in digits]
        inside = [step for step in steps if low <= step <= high]
        if len(inside) <= most:
            break
    return inside


def legend(figure: Figure, entries: Iterable[tuple[str, Look]], rest: str, y: float) -> None:
    """One line of names above small multiples; wraps where there are many.

    Parameters
    ----------
    figure : Figure
    entries : iterable of (optimizer, look)
    rest : str
        What the grey lines are; empty where there are none.
    y : float
        Its upper edge, as a share of the figure's height.
    """
    named = list(entries)
    handles = [
        Line2D([], [], color=one.color, linestyle=one.dash, linewidth=1.8, label=short(name, 22))
        for name, one in named
    ]
    if rest:
        handles.append(Line2D([], [], color=REST, linewidth=1.2, label=rest))
    box = figure.legend(
        handles=handles, loc="upper left", bbox_to_anchor=(0.0, y), ncols=min(len(handles), 7),
        frameon=False, fontsize=8, handlelength=2.4, columnspacing=1.6, borderaxespad=0.0,
    )  # fmt: skip
    for text in box.get_texts():
        text.set_parse_math(False)
    for (name, _), line, text in zip(named, box.legend_handles, box.get_texts(), strict=False):
        if line is not None:
            mark(line, name)
        mark(text, name)


def spread(wanted: list[float], gap: float, low: float, high: float) -> list[float]:
    """Places for labels as near to where they belong as ``gap`` between them allows.

    Labels that would overlap form a block about their mean; blocks that touch merge (the pool
    adjacent violators of isotonic regression, on places less their rank times the gap). Where
    there is no room at all the gap shrinks.
    """
    if not wanted:
        return []
    if len(wanted) > 1:
        gap = min(gap, (high - low) / (len(wanted) - 1))
    order = sorted(range(len(wanted)), key=lambda i: (wanted[i], i))
    blocks: list[tuple[float, int]] = []
    for rank, index in enumerate(order):
        mean, size = wanted[index] - rank * gap, 1
        while blocks and blocks[-1][0] > mean:
            before, count = blocks.pop()
            mean, size = (before * count + mean * size) / (count + size), count + size
        blocks.append((mean, size))
    level = [mean for mean, size in blocks for _ in range(size)]
    top = high - (len(wanted) - 1) * gap
    places = [0.0] * len(wanted)
    for rank, index in enumerate(order):
        places[index] = min(max(level[rank], low), top) + rank * gap
    return places
