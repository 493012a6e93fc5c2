"""A comparison in words: lines for a terminal, and what any output says of one optimizer."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from optbench.reporting.numerals import MISSING, significant
from optbench.verdicts.comparison import (
    Comparison,
    Counted,
    InFunction,
    OnProblem,
    OptimizerComparison,
    SideOfComparison,
    SpeedVerdict,
)

QUIET = frozenset(("identical", "equivalent", "same"))
"""Verdicts that ask for no attention."""


@dataclass(frozen=True)
class Teller:
    """Tells of optimizers as they are compared.

    Attributes
    ----------
    verbose : bool
        Details also of what is the same.
    rungs : tuple of str
        That are told of.
    """

    verbose: bool
    rungs: tuple[str, ...]

    def line(self, row: OptimizerComparison) -> str:
        """One line an optimizer; below it, what asks for attention."""
        words = "  ".join(f"{rung} {word:<12}" for rung, word in verdicts(row, self.rungs))
        lines = [f"{row.name:<36}  {words}".rstrip()]
        lines += [f"    {name}: {text}" for name, text in details(row, verbose=self.verbose)]
        shown = row.problems if self.verbose else [p for p in row.problems if speaks(p)]
        lines += [f"      {on_problem(each)}" for each in shown]
        return "\n".join(lines)

    def rest(self, comparison: Comparison) -> Iterator[str]:
        """Whom there was nothing to compare with, who could not be constructed, and notes."""
        for side, names in (
            ("base", comparison.only_in_base),
            ("head", comparison.only_in_head),
        ):
            if names:
                yield f"only in the {side}: {', '.join(names)}"
        for each in comparison.not_constructible:
            yield f"not compared: {each.name}: {each.reason}"
        yield from comparison.notes


def speaks(each: OnProblem) -> bool:
    """Whether it found a difference."""
    return each.verdict.value in ("improved", "regressed")


def verdicts(row: OptimizerComparison, rungs: Sequence[str]) -> list[tuple[str, str]]:
    """Rung and word, for the rungs asked for; a dash where one was not climbed."""
    words = {
        "maths": row.maths.verdict.value,
        "convergence": row.convergence.value if row.convergence else MISSING,
        "speed": row.speed.value if row.speed else MISSING,
        "memory": row.memory.value if row.memory else MISSING,
    }
    return [(rung, words[rung]) for rung in words if rung in rungs]


def details(row: OptimizerComparison, *, verbose: bool = False) -> list[tuple[str, str]]:
    """Return the details of an optimizer's verdicts: (rung, text)."""
    told = []
    if row.maths.text:
        told.append(("maths", row.maths.text))
    if row.convergence_text:
        told.append(("convergence", row.convergence_text))
    loud = any(v and v.value not in QUIET for v in (row.speed, row.memory))
    if (loud or verbose) and (text := cost_in_words(row)):
        told.append(("cost", text))
    if row.cost.compiled:
        told.append(("torch.compile", row.cost.compiled))
    return told


def cost_in_words(row: OptimizerComparison) -> str:
    """Return the ratio that decides, with its interval, and what else was seen."""
    cost = row.cost
    parts = []
    # In a file of somebody else's there may be the one without the others.
    if cost.step_ratio is not None and cost.low is not None and cost.high is not None:
        parts.append(f"{cost.step_ratio:.2f}x [{cost.low:.2f}, {cost.high:.2f}] the time a step")
        if row.speed is not None and row.speed.value == "inconclusive":
            parts[-1] += " (the same is within 10 %)"
        elif cost.counted is not None and cost.counted.decides:
            parts[-1] += " (inconclusive)"
    if cost.text:
        parts.append(cost.text)
    timed = " ".join(parts)
    return "; ".join(filter(None, (timed, counts_in_words(cost.counted, row.speed))))


def counts_in_words(counted: Counted | None, speed: SpeedVerdict | None) -> str:
    """Return the work of a step on both sides, and the functions that it grew in."""
    if counted is None:
        return ""
    work = (counted.operations, "tensor operations")
    if counted.operations[0] == counted.operations[1] and counted.bytes[0] != counted.bytes[1]:
        work = (counted.bytes, "bytes read")
    text = "decided by counts, a step: " if counted.decides else "counted, a step: "
    text += "; ".join(
        f"as many {words}"
        if base == head
        else f"{_count(head)} {words}, {_count(base)} in the base"
        for (base, head), words in (work, (counted.calls, "Python calls"))
    )
    if counted.dearer and speed is not None and speed.value == "slower":
        text += f"; dearer: {', '.join(map(_dearer, counted.dearer))}"
    return text


def _dearer(each: InFunction) -> str:
    kinds = ((each.operations, "tensor operations"), (each.bytes, "bytes"), (each.calls, "calls"))
    (base, head), words = next((pair, w) for pair, w in kinds if pair[1] > pair[0])
    new = " (new)" if not any((each.operations[0], each.bytes[0], each.calls[0])) else ""
    return f"{each.function}{new} +{_count(head - base)} {words}"


def _count(number: float) -> str:
    return f"{number:,.1f}".removesuffix(".0")


def on_problem(each: OnProblem) -> str:
    """Return a question and its answer: the ratio, its interval, the target, the seeds won."""
    head = f"{each.problem}, {each.league}: {each.verdict.value}"
    if each.ratio is None or each.low is None or each.high is None or each.target is None:
        return f"{head}; {each.text}"
    rates = "" if each.league.startswith("default") else f", lr {each.lr[0]:g} and {each.lr[1]:g}"
    more = f"; {each.more_seeds:,} more seeds would settle it" if each.more_seeds else ""
    return (
        f"{head}, {times(each.ratio)} [{times(each.low)}, {times(each.high)}] the steps to a gap "
        f"of {significant(each.target, 2)}, {each.won} of {each.seeds} seeds won{rates}{more}"
    )


def times(ratio: float | None) -> str:
    """1.31, or a word for who does not arrive."""
    if ratio is None:
        return MISSING
    return "∞" if math.isinf(ratio) else f"{ratio:.2f}"


def summary(comparison: Comparison) -> str:
    """``10 optimizers: maths 9 identical, 1 changed; ... in 41 s``."""
    rows = comparison.optimizers
    parts = []
    for rung in comparison.rungs:
        counts = Counter(dict(verdicts(row, (rung,)))[rung] for row in rows)
        counts.pop(MISSING, None)
        if counts:
            parts.append(f"{rung} " + ", ".join(f"{n} {word}" for word, n in counts.items()))
    s = "s" * (len(rows) != 1)
    counted = ": ".join(filter(None, (f"{len(rows)} optimizer{s}", "; ".join(parts))))
    return f"{counted}; in {comparison.seconds:.0f} s"


def sides(comparison: Comparison) -> str:
    """Name both sides: ``base main 1a2b3c4d5e, head working tree 1a2b3c4d5e (2 ...)``."""
    base, head = comparison.base, comparison.head
    text = f"base {_side(base)}, head {_side(head)}"
    if base.commit and base.commit == head.commit and not head.note:
        text += ": the same commit on both sides, with nothing uncommitted"
    return text


def short(version: str) -> str:
    """Return a commit's first ten digits; a release's version as it is."""
    return version[:10] if len(version) >= 40 else version


def _side(side: SideOfComparison) -> str:
    commit = short(side.commit)
    shown = side.source if commit in side.source else f"{side.source} {commit}"
    return f"{shown} ({side.note})" if side.note else shown


def told_apart(comparison: Comparison) -> str:
    """Who is not the same: ``changed: Adam, SGD; slower: Lion``; the empty string where all are."""
    words: dict[str, list[str]] = {}
    for row in comparison.optimizers:
        for word in sorted(row.findings - QUIET - {"rounding", "inconclusive"}):
            words.setdefault(word, []).append(row.name.partition(":")[2] or row.name)
    return "; ".join(f"{word}: {', '.join(names)}" for word, names in sorted(words.items()))


def without_infinities(value: Any) -> Any:
    """Return the content with infinities as the text ``inf`` and NaN as null, for strict JSON."""
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else ("inf" if value > 0 else "-inf")
    if isinstance(value, dict):
        return {key: without_infinities(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [without_infinities(each) for each in value]
    return value
