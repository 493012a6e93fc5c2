"""Learning-rate schedulers of two versions: the same rates, in each scenario?"""

from __future__ import annotations

import fnmatch
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


def compare_schedulers(
    sides: Sides, files: Sequence[str], targets: Sequence[str] = ()
) -> list[OptimizerComparison | Refusal]:
    """Compare the scheduler classes that these source files define on both sides.

    ``targets``: names or globs of classes that are compared whether their file has changed or not.
    """
    home = {
        name.removesuffix(".py").removesuffix("/__init__").replace("/", "."): name for name in files
    }
    named = {target.partition(":")[0] for target in targets if ":" in target}
    modules = (*home, *sorted(named - home.keys()))
    if not modules:
        return []
    answers = both(sides.base, sides.head, FindSchedulers(modules), START_S)
    if any(isinstance(answer, Failure) for answer in answers):
        return []
    base, head = answers
    assert isinstance(base, Found)
    assert isinstance(head, Found)
    found = []
    for target in base.targets:
        module = target.partition(":")[0]
        wanted = module in home or any(fnmatch.fnmatchcase(target, each) for each in targets)
        if wanted and target in head.targets:
            file = home.get(module, f"{module.replace('.', '/')}.py")
            found.append(_compare(sides, target, file))
    return found


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
    where = "in every scenario" if len(names) == count else f"in {len(names)} of {count} scenarios"
    if len(names) <= 3:
        where = f"only with {'; '.join(names)}"
    text = f"differs in {first}; {where}"
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
