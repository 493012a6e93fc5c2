"""What got worse, from the history and from a comparison, and the line that shows it again."""

from __future__ import annotations

import inspect
import shlex
from collections.abc import Iterator, Mapping

from optbench.nightly.outcome import Regression
from optbench.optimizers import OPTIMIZERS
from optbench.registry import NotAdoptable, UnknownName
from optbench.reporting.history_text import sized
from optbench.tracking.history import Change, Kind
from optbench.verdicts.comparison import Comparison

FAIL_ON = ("broken", "regressed", "slower", "more", "leak")
"""Findings that fail a nightly run."""


def of_change(change: Change, subjects: Mapping[str, str]) -> Regression:
    """Return a regression that the history shows."""
    what = "fails" if change.kind is Kind.FAILS else "got worse"
    key = ("history", change.benchmark, change.metric, change.optimizer, change.problem,
           change.parameters, change.machine, change.environment)  # fmt: skip
    target = _target(change.optimizer)
    if target and change.first == change.commit:
        reproduce = f"optbench compare {change.first[:10]}~1 {change.commit[:10]} -o {target}"
    elif target:
        reproduce = f"optbench bisect {change.first[:10]}~1 {change.commit[:10]} -o {target}"
    else:
        reproduce = f"optbench history --metric {shlex.quote(change.metric)}"
        if change.optimizer:
            reproduce += f" --optimizer {shlex.quote(change.optimizer)}"
    text = f"{change.metric} {what}"
    if change.parameters:
        text += f" ({change.parameters})"
    return Regression(
        key="/".join(key),
        metric=change.metric,
        optimizer=change.optimizer,
        problem=change.problem or None,
        first=change.first,
        commit=change.commit,
        # Of several commits the last one's words would accuse it, and it may be innocent.
        subject=subjects.get(change.commit, "") if change.first == change.commit else "",
        size=sized(change),
        text=text,
        reproduce=reproduce,
    )


def _target(optimizer: str) -> str:
    """As a comparison of commits names it; empty for torch's own, which no commit changes."""
    if ":" in optimizer:
        return shlex.quote(optimizer)
    try:
        factory = OPTIMIZERS[optimizer].factory if optimizer else None
    except (UnknownName, NotAdoptable):
        return ""
    if not inspect.isclass(factory) or factory.__module__.partition(".")[0] == "torch":
        return ""
    return shlex.quote(f"{factory.__module__}:{factory.__qualname__}")


def of_comparison(
    comparison: Comparison, words: frozenset[str], first: str, subjects: Mapping[str, str]
) -> Iterator[Regression]:
    """Return what a comparison found, a row for each optimizer and finding of those words."""
    base, head = comparison.base.commit, comparison.head.commit
    for row in comparison.optimizers:
        speed = f"x{row.cost.step_ratio:.3g}" if row.cost.step_ratio is not None else ""
        for rung, word, size, text in (
            ("maths", row.maths.verdict, "", row.maths.text),
            ("convergence", row.convergence, "", row.convergence_text),
            ("speed", row.speed, speed, row.cost.text),
            ("memory", row.memory, "", row.cost.text),
        ):
            if word not in words:
                continue
            name = shlex.quote(row.name)
            yield Regression(
                key=f"compare/{rung}/{row.name}",
                metric=rung,
                optimizer=row.name,
                problem=None,
                first=first,
                commit=head,
                subject=subjects.get(head, "") if first == head else "",
                size=size,
                text=f"{word}: {text}" if text else str(word),
                reproduce=f"optbench bisect {base[:10]} {head[:10]} -o {name} --on {rung}",
            )
