"""What got worse, as a night tells of it: a row, and the line that shows it again."""

from __future__ import annotations

import inspect
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from optbench.optimizers import OPTIMIZERS
from optbench.registry import NotAdoptable, UnknownName
from optbench.reporting.history_text import sized
from optbench.tracking.history import Change, Kind
from optbench.verdicts.comparison import RUNGS

ALL_WORDS = (
    "broken",
    "changed",
    "regressed",
    "improved",
    "slower",
    "faster",
    "more",
    "less",
    "leak",
)
"""Every finding of a comparison, of those that say something."""

FAIL_ON = ("broken", "regressed", "slower", "more", "leak")
"""Findings that fail a night."""


@dataclass(frozen=True)
class Regression:
    """What got worse.

    Attributes
    ----------
    key : str
        The same every night that sees it.
    first, commit : str
        The oldest and the newest commit that it may have come with.
    reproduce : str
        A line for a shell, in the repository.
    """

    key: str
    metric: str
    optimizer: str
    problem: str | None
    first: str
    commit: str
    subject: str
    size: str
    text: str
    reproduce: str


def of_change(change: Change, subjects: Mapping[str, str]) -> Regression:
    """A regression that the history shows."""
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
        "/".join(key),
        change.metric,
        change.optimizer,
        change.problem or None,
        change.first,
        change.commit,
        # Of several commits the last one's words would accuse it, and it may be innocent.
        subjects.get(change.commit, "") if change.first == change.commit else "",
        sized(change),
        text,
        reproduce,
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
    content: Mapping[str, Any], words: frozenset[str], first: str, subjects: Mapping[str, str]
) -> Iterator[Regression]:
    """What a comparison found, from its JSON: a row an optimizer and finding of those words."""
    base, head = content["base"]["commit"], content["head"]["commit"]
    for row in content["optimizers"]:
        for rung in RUNGS:
            word = row[rung]
            if word not in words:
                continue
            reproduce = (
                f"optbench bisect {base[:10]} {head[:10]} -o {shlex.quote(row['name'])} --on {rung}"
            )
            size, text = _evidence(row, rung)
            yield Regression(
                f"compare/{rung}/{row['name']}",
                rung,
                row["name"],
                None,
                first,
                head,
                subjects.get(head, "") if first == head else "",
                size,
                f"{word}: {text}" if text else str(word),
                reproduce,
            )


def _evidence(row: Mapping[str, Any], rung: str) -> tuple[str, str]:
    """The size of a finding, where it has one, and its text."""
    if rung in ("maths", "convergence"):
        return "", str(row[f"{rung}_text"])
    ratio = row["cost"].get("step_ratio")
    size = f"x{ratio:.3g}" if rung == "speed" and isinstance(ratio, int | float) else ""
    return size, str(row["cost"].get("text", ""))
