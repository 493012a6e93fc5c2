"""Markdown from names that somebody else chose."""

from __future__ import annotations

import re
import unicodedata

from optbench.reporting.tables import Cell, Table

MARKS = frozenset(("best", "good", "bad"))

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>()#+!|~&$])")
_BEGINS = re.compile(r"^(?:(\d+)(?=[.)])|(?=[-=]))")
_TICKS = re.compile(r"`+")


def escaped(text: object) -> str:
    """Text that Markdown shows as it is: on one line, without markup, links or HTML."""
    # Control characters are no text; what joins and turns letters is.
    visible = (" " if unicodedata.category(c) == "Cc" else c for c in str(text))
    line = " ".join("".join(visible).split())
    return _SPECIAL.sub(r"\\\1", line)


def paragraph(text: object) -> str:
    """Text as a paragraph of its own, which begins no list and underlines nothing."""
    return _BEGINS.sub(r"\1\\", escaped(text))


def fenced(text: object) -> str:
    """Return code in a fence that its content cannot close."""
    kept = (c if c == "\n" or unicodedata.category(c) != "Cc" else " " for c in str(text))
    shown = "".join(kept)
    longest = max((len(ticks) for ticks in _TICKS.findall(shown)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}\n{shown}\n{fence}"


def pipes(table: Table) -> str:
    """Return a table in GitHub's Markdown."""
    head = [escaped(column.text) for column in table.columns]
    rule = ["---:" if column.number else "---" for column in table.columns]
    body = [[_marked(cell) for cell in row] for row in table.rows]
    return "\n".join("| " + " | ".join(row) + " |" for row in [head, rule, *body])


def _marked(cell: Cell) -> str:
    """Return a cell; what is marked in colour on the page is bold here."""
    text = escaped(cell.text)
    return f"**{text}**" if cell.mark in MARKS and text else text
