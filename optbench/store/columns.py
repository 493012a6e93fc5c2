"""Rows of a query as columns, portion by portion: a text that many rows share is kept once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sqlalchemy import Boolean, Connection, Integer, Select, String
from sqlalchemy.types import TypeEngine

PORTION = 20_000
"""Rows in Python's objects at a time; of a million at once these would be gigabytes."""


@dataclass(frozen=True)
class Texts:
    """A column of texts.

    Attributes
    ----------
    codes : array [rows]
        Places in ``texts``.
    texts : list of (str or None)
        Each once, in the order of their first appearance.
    """

    codes: npt.NDArray[np.int32]
    texts: list[str | None]

    def ranks(self) -> npt.NDArray[np.int32]:
        """Numbers [rows] that sort as the texts do, by code points; a missing one is last."""
        order = sorted(range(len(self.texts)), key=lambda i: _last_if_missing(self.texts[i]))
        rank = np.empty(len(order), dtype=np.int32)
        rank[order] = np.arange(len(order), dtype=np.int32)
        return rank[self.codes]

    def mapped(self, function: Callable[[Any], str]) -> Texts:
        """Return the column of what a function makes of each text."""
        return Texts(self.codes, [function(text) for text in self.texts])

    def taken(self, rows: npt.NDArray[np.intp]) -> pd.Series[Any]:
        """Rows of it, as pandas has a column of texts."""
        each = pd.Series(self.texts)
        return each.take(self.codes[rows]).reset_index(drop=True)


Column = npt.NDArray[Any] | Texts


def columns(connection: Connection, query: Select[Any]) -> dict[str, Column]:
    """Return the columns of a query, by name.

    Texts as `Texts`; truth as bool; integers as int64 where the table has no empty ones; all other
    numbers as float64, NaN where there is none.
    """
    selected = [(column.name, column.type, _nullable(column)) for column in query.selected_columns]
    parts: list[list[npt.NDArray[Any]]] = [[] for _ in selected]
    places: list[dict[str | None, int]] = [{} for _ in selected]
    for rows in portions(connection, query):
        cells = list(zip(*rows, strict=True))
        for (_, type_, nullable), part, place, column in zip(
            selected, parts, places, cells, strict=True
        ):
            part.append(_array(column, type_, place, nullable=nullable))
    found: dict[str, Column] = {}
    for (name, type_, nullable), part, place in zip(selected, parts, places, strict=True):
        empty = _array((), type_, place, nullable=nullable)
        whole = np.concatenate([empty, *part])
        found[name] = Texts(whole, list(place)) if isinstance(type_, String) else whole
    return found


def portions(connection: Connection, query: Select[Any]) -> Iterator[Sequence[Any]]:
    """Return the rows of a query, so many at a time; a server sends no more than that ahead."""
    found = connection.execute(query, execution_options={"yield_per": PORTION})
    yield from found.partitions()


def _array(
    cells: Sequence[Any], type_: TypeEngine[Any], place: dict[str | None, int], *, nullable: bool
) -> npt.NDArray[Any]:
    if isinstance(type_, String):
        codes = (place.setdefault(cell, len(place)) for cell in cells)
        return np.fromiter(codes, dtype=np.int32, count=len(cells))
    if isinstance(type_, Boolean):
        return np.array(cells, dtype=bool)
    if isinstance(type_, Integer) and not nullable:
        return np.array(cells, dtype=np.int64)
    return np.array(cells, dtype=np.float64)


def _nullable(column: Any) -> bool:
    # A label knows its column by its element.
    return bool(getattr(getattr(column, "element", column), "nullable", True))


def _last_if_missing(text: str | None) -> tuple[bool, str]:
    return text is None, text or ""
