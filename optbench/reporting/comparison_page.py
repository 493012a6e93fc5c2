"""A comparison as a page that opens anywhere, and as Markdown for a pull request."""

from __future__ import annotations

import math
from typing import Any

from optbench.reporting.comparison_text import (
    QUIET,
    cost_in_words,
    details,
    on_problem,
    short,
    speaks,
    summary,
    times,
    verdicts,
)
from optbench.reporting.numerals import MISSING, significant
from optbench.reporting.templating import templates
from optbench.verdicts.comparison import Comparison, OptimizerComparison, SideOfComparison

TONES = {
    **dict.fromkeys(("regressed", "broken", "slower", "more", "leak"), "bad"),
    "changed": "changed",
    **dict.fromkeys(("improved", "faster", "less"), "good"),
    **dict.fromkeys(("inconclusive", "rounding"), "open"),
}
"""Tone of each verdict, the most urgent first."""


def page(comparison: Comparison) -> str:
    """One HTML file, with nothing beside it."""
    template = templates(autoescape=True).get_template("comparison.html.j2")
    return template.render(**_content(comparison))


def as_markdown(comparison: Comparison) -> str:
    """Return a comment for a pull request, or a job's summary."""
    template = templates(autoescape=False).get_template("comparison.md.j2")
    return template.render(**_content(comparison))


def _content(comparison: Comparison) -> dict[str, Any]:
    rows = sorted(comparison.optimizers, key=_attention)
    return {
        "comparison": comparison,
        "where": ", ".join(
            f"{name} {comparison.environment[key]}" if name else str(comparison.environment[key])
            for name, key in (("torch", "torch"), ("Python", "python"), ("", "cpu"))
            if comparison.environment.get(key)
        ),
        "base": _side(comparison.base),
        "head": _side(comparison.head),
        "summary": summary(comparison),
        "rungs": comparison.rungs,
        "rows": [
            {
                "name": row.name,
                "verdicts": [
                    {"word": word, "tone": TONES.get(word, "")}
                    for _, word in verdicts(row, comparison.rungs)
                ],
                "details": details(row),
                "effect": _effect(row),
                "problems": [
                    {
                        "text": on_problem(each),
                        "tone": TONES.get(each.verdict.value, ""),
                        "row": each,
                    }
                    for each in row.problems
                ],
                "sizes": [
                    {"row": each, "tone": TONES.get(each.verdict.value, "")}
                    for each in row.cost.sizes
                ],
                "cost": cost_in_words(row),
                "state": row.cost.state_bytes_per_parameter,
            }
            for row in rows
        ],
        "times": times,
        "significant": significant,
        "missing": MISSING,
    }


def _attention(row: OptimizerComparison) -> tuple[int, str]:
    """Sort optimizers that need attention first."""
    words = [word for _, word in verdicts(row, ("maths", "convergence", "speed", "memory"))]
    tones = [TONES.get(word, "") for word in words if word not in QUIET]
    order = list(dict.fromkeys(TONES.values()))
    rank = min((order.index(tone) for tone in tones if tone), default=len(order))
    return rank - ("broken" in words), row.name


def _effect(row: OptimizerComparison) -> str:
    """Return the largest effect on convergence, in a few characters."""
    told = [each for each in row.problems if speaks(each)]
    if not told:
        return ""
    largest = max(told, key=lambda p: abs(math.log(p.ratio)) if p.ratio else math.inf)
    word = "slower" if largest.verdict.value == "regressed" else "faster"
    return f"{word}: {times(largest.ratio)} times the steps, {largest.problem}, {largest.league}"


def _side(side: SideOfComparison) -> dict[str, str]:
    return {"source": side.source, "commit": short(side.commit), "note": side.note}
