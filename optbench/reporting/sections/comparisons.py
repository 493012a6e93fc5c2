"""Results of ``optbench compare``, where there are some."""

from __future__ import annotations

import pandas as pd

from optbench.reporting.comparison_page import TONES
from optbench.reporting.comparison_text import cost_in_words, details, sides, summary, verdicts
from optbench.reporting.material import Material
from optbench.reporting.section import Heading, Part, Section, Text
from optbench.reporting.tables import Column, Table, name
from optbench.verdicts.comparison import Comparison


def comparisons(material: Material) -> Section | None:
    """Make a table each."""
    parts: list[Part] = []
    for number, each in enumerate(material.inputs.comparisons, 1):
        parts += [Heading(_sentence(sides(each))), Text(_sentence(summary(each)) + ".")]
        parts.append(_table(each, f"comparison-{number}"))
    return Section("compare", "Compared versions", tuple(parts), "Compared") if parts else None


def _table(comparison: Comparison, file: str) -> Table:
    columns = [
        Column("optimizer", number=False),
        *(Column(rung, number=False) for rung in comparison.rungs),
        Column("what was seen", number=False),
    ]
    lines, records = [], []
    for row in comparison.optimizers:
        words = verdicts(row, comparison.rungs)
        seen = "; ".join(f"{rung}: {text}" for rung, text in details(row))
        lines.append(
            [
                name(row.name, optimizer=row.name),
                *(name(word, MARKS.get(TONES.get(word, ""), "")) for _, word in words),
                name(seen),
            ]
        )
        records.append({"optimizer": row.name, **dict(words), "cost": cost_in_words(row)})
    return Table("Verdicts.", columns, lines, file, pd.DataFrame(records), text=True)


MARKS = {"bad": "bad", "changed": "bad", "good": "good"}


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
