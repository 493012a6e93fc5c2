"""A comparison back from the JSON that it was written as."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter, ValidationError

from optbench.plain_text import first_mistake, shown
from optbench.verdicts.comparison import SCHEMA, Comparison

_COMPARISON = TypeAdapter(Comparison)


class NotAComparison(ValueError):
    """Something that no comparison was written as; the text says where it departs."""


def read_comparison(content: Any) -> Comparison:
    """Return the value whose `Comparison.as_json` gives this content.

    Raises
    ------
    NotAComparison
    """
    if not isinstance(content, Mapping):
        raise NotAComparison(f"it holds a {type(content).__name__}, not a mapping")
    if content.get("schema") != SCHEMA:
        raise NotAComparison(f"its schema is {shown(content.get('schema'))}, not {SCHEMA}")
    rows = content.get("optimizers")
    if not isinstance(rows, list) or not all(isinstance(row, Mapping) for row in rows):
        raise NotAComparison("it has no list of optimizers")
    try:
        return _COMPARISON.validate_python(
            {**content, "optimizers": [_optimizer(row) for row in rows]}
        )
    except ValidationError as error:
        raise NotAComparison(first_mistake(error)) from error


def _optimizer(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row in the layout of the value: the maths in one part."""
    maths = {
        "verdict": row.get("maths"),
        "text": row.get("maths_text", ""),
        "scenarios": row.get("scenarios", 0),
        "first": row.get("first_difference"),
        "differing": row.get("differing_scenarios", ()),
    }
    kept = ("name", "convergence", "convergence_text", "problems", "speed", "memory", "cost")
    return {"maths": maths, **{name: row[name] for name in (*kept, "seconds") if name in row}}
