"""Learning-rate schedulers of two versions: the same rates, in each scenario?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from optbench.comparison.requests import Failure, FindSchedulers, Found, StepScheduler
from optbench.comparison.sides import START_S, Sides, both
from optbench.scenarios.record import disagreements
from optbench.verdicts.comparison import (
    Difference,
    Maths,
    MathsVerdict,
    OptimizerComparison,
    Refusal,
)

ROUNDING = 1e-9
"""Bound on the difference of two rates, relative to the largest one."""


def compare_schedulers(sides: Sides, files: Sequence[str]) -> list[OptimizerComparison | Refusal]:
    """Compare the scheduler classes that these source files define on both sides."""
    modules = [
        name.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for name in files
    ]
    if not modules:
        return []
    answers = both(sides.base, sides.head, FindSchedulers(tuple(modules)), START_S)
    if any(isinstance(answer, Failure) for answer in answers):
        return []
    base, head = answers
    assert isinstance(base, Found)
    assert isinstance(head, Found)
    home = dict(zip(modules, files, strict=True))
    return [
        _compare(sides, target, home[target.partition(":")[0]])
        for target in base.targets
        if target in head.targets
    ]


def _compare(sides: Sides, target: str, file: str) -> OptimizerComparison | Refusal:
    of_base = sides.base.ask(StepScheduler(target))
    files = frozenset({file})
    if isinstance(of_base, Failure):
        return Refusal(target, of_base.text)
    of_head = sides.head.ask(StepScheduler(target, of_base.settings))
    if isinstance(of_head, Failure):
        text = f"cannot be constructed any more: {of_head.text}"
        return OptimizerComparison(target, Maths(MathsVerdict.BROKEN, text), files=files)
    base, head = of_base.record, of_head.record
    differing = list(disagreements(head, base, ROUNDING))
    names = tuple(each.observable for each in differing)
    count = len(base.observations)
    if not differing:
        exact = not any(disagreements(head, base, 0.0))
        verdict = MathsVerdict.IDENTICAL if exact else MathsVerdict.ROUNDING
        return OptimizerComparison(target, Maths(verdict, scenarios=count), files=files)
    broken = [
        name
        for name in names
        if isinstance(head.observations[name], str)
        and isinstance(base.observations[name], np.ndarray)
    ]
    first = differing[0]
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    only = f"only with {'; '.join(names[:3])}{more}"
    text = f"differs in {first}; {'in every scenario' if len(names) == count else only}"
    return OptimizerComparison(
        target,
        Maths(
            MathsVerdict.BROKEN if broken else MathsVerdict.CHANGED,
            text,
            Difference(first.observable, 0, 0.0),
            count,
            names,
        ),
        files=files,
    )
