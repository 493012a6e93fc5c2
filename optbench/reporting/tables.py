"""Tables as rows of cells, for the page and for Markdown alike."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

import pandas as pd

from optbench.reporting import numerals
from optbench.reporting.numerals import MISSING
from optbench.reporting.rows import rows

TEXT_LENGTH = 400
"""Longest error text in the page; the CSV has all of it."""


@dataclass(frozen=True)
class Cell:
    """What is shown, what it sorts by (None: always last), and what it says on hovering.

    ``optimizer`` and ``problem`` say what the whole row is about, on one cell of it.
    """

    text: str
    sort: float | str | None = None
    title: str = ""
    mark: str = ""
    optimizer: str = ""
    problem: str = ""


@dataclass(frozen=True)
class Column:
    """A heading, what it means, whether it holds numbers, and the problem that it is about."""

    text: str
    title: str = ""
    number: bool = True
    problem: str = ""


@dataclass(frozen=True)
class Table:
    """A table, with the frame behind it and the name that its file has.

    Attributes
    ----------
    wide : bool
        It has a column a problem, or more than fit a page.
    text : bool
        Its cells hold words, and wrap.
    """

    caption: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    name: str = ""
    data: pd.DataFrame | None = field(default=None, compare=False)
    wide: bool = False
    text: bool = False

    @property
    def csv(self) -> str:
        """Where its data lies, seen from the page; empty where it has no file."""
        return f"tables/{self.name}.csv" if self.name else ""


def number(value: float, text: str, title: str = "", mark: str = "") -> Cell:
    """Return a cell that sorts by its value; a missing one comes last."""
    known = not math.isnan(value)
    return Cell(text if known else MISSING, float(value) if known else None, title, mark)


def name(text: str, mark: str = "", *, optimizer: str = "", problem: str = "") -> Cell:
    """Return a cell that sorts as text."""
    return Cell(text, text, mark=mark, optimizer=optimizer, problem=problem)


def plain_table(
    frame: pd.DataFrame, caption: str, file: str, data: pd.DataFrame | None = None
) -> Table:
    """Return a frame as it is: text by name, numbers by value; ``data`` where its file has more."""
    numeric = [
        pd.api.types.is_numeric_dtype(frame[column]) and frame[column].dtype != bool
        for column in frame.columns
    ]
    columns = [
        Column(str(one).replace("_", " "), number=is_number)
        for one, is_number in zip(frame.columns, numeric, strict=True)
    ]
    lines = []
    for record in rows(frame):
        row = []
        for value, column, is_number in zip(record, frame.columns, numeric, strict=True):
            if is_number:
                whole = float(value).is_integer()
                shown = numerals.integer(value) if whole else numerals.significant(float(value))
                row.append(number(float(value), shown))
            else:
                text = "" if value is None or value != value else str(value)
                cut = text if len(text) <= TEXT_LENGTH else text[: TEXT_LENGTH - 1] + "…"
                about = {column: cut} if column in ("optimizer", "problem") else {}
                row.append(name(cut, **about))
        lines.append(row)
    return Table(caption, columns, lines, file, frame if data is None else data, text=True)


FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""First characters of a cell that spreadsheets take for a formula (OWASP, CSV Injection)."""


NUMBERS = re.compile(r"[-+]?[\d.]+(?:e[-+]?\d+)?(?: [-+]?[\d.]+(?:e[-+]?\d+)?)*")


def csv_text(frame: pd.DataFrame) -> str:
    """Return a frame as CSV, the same on every system; seeds as JSON lists.

    A text that a spreadsheet would run has an apostrophe before it. No name of ours begins so, and
    numbers stay numbers; who wants strangers' texts as they are takes Parquet.
    """
    shown = frame.copy()
    for column in filter(lambda name: not _is_number(shown[name]), shown.columns):
        # Few texts are distinct, and hardly ever one is not harmless.
        texts = {value for value in shown[column] if isinstance(value, str)}
        if any(_harmless(text) != text for text in texts):
            shown[column] = shown[column].map(_harmless).astype(object)
    for column in filter(lambda name: pd.api.types.is_object_dtype(shown[name]), shown.columns):
        if shown[column].map(lambda value: isinstance(value, tuple)).any():
            shown[column] = shown[column].map(json.dumps)
    text: str = shown.to_csv(index=False, lineterminator="\n")
    return text


def _is_number(column: pd.Series) -> bool:
    return bool(pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column))


def _harmless(value: object) -> object:
    if not isinstance(value, str):
        return value
    # Half a character cannot be written, and a return by itself ends a row for some readers.
    text = value.encode("utf-8", "replace").decode("utf-8").replace("\r", "\\r")
    return f"'{text}" if text.startswith(FORMULA) and not NUMBERS.fullmatch(text) else text
