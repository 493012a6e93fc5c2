"""Claims: folklore and literature, tested on these runs."""

from __future__ import annotations

from collections import Counter

import pandas as pd

from optbench.analysis.claims import Claim, Evidence, Finding, Verdict, judged
from optbench.reporting.figure_claims import claims as draw
from optbench.reporting.material import Material
from optbench.reporting.numerals import interval, significant
from optbench.reporting.section import Fold, Part, Plot, Section, Terms, Text
from optbench.reporting.tables import Cell, Column, Table, name

MARKS = {Verdict.SUPPORTED: "good", Verdict.REFUTED: "bad", Verdict.INCONCLUSIVE: ""}


def claims(material: Material) -> Section:
    """Make a row a claim, a figure of those that have a ratio, and how each is decided."""
    results = material.results
    answers = material.inputs.answers
    found = judged(
        Evidence(
            results,
            material.leagues["default"],
            material.leagues["tuned"],
            pd.DataFrame(columns=ANSWERS) if answers is None else answers,
        )
    )
    counts = Counter(finding.verdict for _, finding in found)
    parts: list[Part] = [
        Text(
            f"{len(found)} statements that people repeat about these optimizers, each with a rule "
            "that decides it (docs/claims.md of optbench has the rules, and what was changed in "
            "them after a first look), evaluated anew in this report: "
            + ", ".join(f"{counts[verdict]} {verdict}" for verdict in Verdict)
            + ". The problems are small, and a verdict is about them: what is refuted here is not "
            "true in general, what is supported here may fail elsewhere."
        ),
        _table(found),
    ]
    drawn = _ratios(found)
    if len(drawn):
        parts.append(
            Plot(
                "claims-with-a-ratio",
                "Claims with a ratio",
                "The effect that each claim is about, as a ratio, with its interval; 1 is no "
                "effect. What is a ratio of what stands beside it: a claim may need it to be above "
                "1, below 1, or near it.",
                f"{len(drawn)} of the claims come down to a ratio.",
                "Forest plot of the effects that the claims are about.",
                draw(drawn),
                drawn,
            )
        )
    rules = tuple(
        (claim.words, f"{claim.source}. {claim.statistic} Needs: {claim.needs}")
        for claim, _ in found
    )
    parts.append(Fold("What decides each claim", (Terms(rules),)))
    return Section("claims", "Claims", tuple(parts))


ANSWERS = ["name", "setting", "expected", "measured", "holds", "statement", "cite"]


def _table(found: list[tuple[Claim, Finding]]) -> Table:
    columns = [
        Column("claim", number=False),
        Column("verdict", number=False),
        Column("what was seen", number=False),
        Column("effect", number=False),
        Column("of what", "what the effect is", number=False),
        Column("runs"),
    ]
    lines, records = [], []
    for claim, finding in found:
        effect = effect_in_words(finding)
        lines.append(
            [
                Cell(claim.words, claim.words, claim.source),
                name(str(finding.verdict), MARKS[finding.verdict]),
                name(finding.text),
                Cell(effect, finding.effect),
                name(finding.unit if effect else ""),
                Cell(f"{finding.runs:,}", float(finding.runs)),
            ]
        )
        records.append(
            {
                **{"claim": claim.name, "words": claim.words, "source": claim.source},
                **{"verdict": str(finding.verdict), "effect": finding.effect},
                **{"low": finding.low, "high": finding.high, "unit": finding.unit},
                **{"text": finding.text, "runs": finding.runs, "statistic": claim.statistic},
            }
        )
    return Table("Claims and verdicts.", columns, lines, "claims", pd.DataFrame(records), text=True)


def effect_in_words(finding: Finding) -> str:
    """Make the effect with its interval, as short as can be."""
    if finding.effect is None:
        return ""
    text = significant(finding.effect)
    if finding.low is not None and finding.high is not None:
        text += f" {interval(finding.low, finding.high)}"
    return text


def _ratios(found: list[tuple[Claim, Finding]]) -> pd.DataFrame:
    drawn = [
        {
            **{"name": claim.words, "group": claim.group, "effect": finding.effect},
            **{"low": finding.low, "high": finding.high, "unit": finding.unit},
            **{"verdict": str(finding.verdict)},
        }
        for claim, finding in found
        if finding.effect is not None and finding.low is not None and " / " in finding.unit
    ]
    columns = ["name", "group", "effect", "low", "high", "unit", "verdict"]
    return pd.DataFrame(drawn, columns=columns)
