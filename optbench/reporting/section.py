"""What a report is made of: sections, each a few parts, that HTML and Markdown draw alike.

All text in them is plain: names in it may come from anybody, and the drawing escapes them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import pandas as pd
from matplotlib.figure import Figure

from optbench.reporting.tables import Table


@dataclass(frozen=True)
class Text:
    """A paragraph; a ``note`` is set smaller."""

    words: str
    note: bool = False


@dataclass(frozen=True)
class Code:
    """What a reader may type, as it is."""

    words: str


@dataclass(frozen=True)
class Heading:
    """A heading within a section."""

    words: str


@dataclass(frozen=True)
class Terms:
    """Words and what they mean."""

    entries: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Points:
    """A list of sentences."""

    entries: tuple[str, ...]


@dataclass(frozen=True)
class Link:
    """A sentence that is a link to a file beside the page."""

    words: str
    path: str


@dataclass(frozen=True)
class Plot:
    """A figure, how to read it, what it shows here, its data, and what it says to who cannot see.

    Attributes
    ----------
    name : str
        A slug, unique in the page; names the files.
    title : str
    reading : str
        How to read it: the same whatever was run.
    shows : str
        What it shows here: a sentence or two with numbers, drawn from the data.
    alt : str
        The alternative text.
    figure : Figure
    data : DataFrame
        What is drawn.
    """

    name: str
    title: str
    reading: str
    shows: str
    alt: str
    figure: Figure
    data: pd.DataFrame

    @property
    def svg(self) -> str:
        """Where its drawing lies, seen from the page."""
        return f"figures/{self.name}.svg"

    @property
    def png(self) -> str:
        """Where its picture lies."""
        return f"figures/{self.name}.png"

    @property
    def csv(self) -> str:
        """Where its data lies."""
        return f"tables/{self.name}.csv"


@dataclass(frozen=True)
class Fold:
    """Parts that are shut at first."""

    title: str
    parts: tuple[Part, ...]


Part = Text | Code | Heading | Terms | Points | Link | Plot | Table | Fold


def unfolded(parts: Iterable[Part]) -> Iterator[Part]:
    """Yield parts in the order of the page, those within folds in the place of the fold."""
    for part in parts:
        if isinstance(part, Fold):
            yield from unfolded(part.parts)
        else:
            yield part


@dataclass(frozen=True)
class Section:
    """A section of a report.

    Attributes
    ----------
    name : str
        A slug; the section's anchor.
    title : str
    parts : tuple of Part
    menu : str
        What the menu says; the title where empty.
    """

    name: str
    title: str
    parts: tuple[Part, ...] = field(default=())
    menu: str = ""
