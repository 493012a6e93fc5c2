"""Markdown from names that somebody else chose."""

from __future__ import annotations

import re
import unicodedata

from optbench.report.tables import Table

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>()#+!|~&$])")


def escaped(text: object) -> str:
    """Text that Markdown shows as it is: on one line, without markup, links or HTML."""
    # Control characters are no text; what joins and turns letters is.
    visible = (" " if unicodedata.category(c) == "Cc" else c for c in str(text))
    line = " ".join("".join(visible).split())
    return _SPECIAL.sub(r"\\\1", line)


def pipes(table: Table) -> str:
    """A table in GitHub's Markdown."""
    head = [escaped(column.text) for column in table.columns]
    rule = ["---:" if column.number else "---" for column in table.columns]
    body = [[escaped(cell.text) for cell in row] for row in table.rows]
    return "\n".join("| " + " | ".join(row) + " |" for row in [head, rule, *body])
