"""What outsiders name optimizers by, in a test file: classes, rows, and strings."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Sequence

import torch

from optbench.optimizers import OPTIMIZERS, Optimizer
from optbench.optimizers.recipe import adopt
from optbench.scenarios.introspect import members

Target = str | type[torch.optim.Optimizer] | Optimizer
"""A target of checks: a registered name, ``package.module:Name``, a class or a row."""


def targets_of(optimizers: Sequence[Target]) -> list[Target]:
    """Every single target, or an answer that helps."""
    __tracebackhide__ = True
    example = "parametrize_with_checks([MyAdam, 'torch.optim:SGD'])"
    if isinstance(optimizers, str) or not isinstance(optimizers, Sequence):
        raise TypeError(f"give a list of optimizers, as in {example}, not {optimizers!r}")
    if not optimizers:
        raise ValueError(f"the list of optimizers is empty: name some, as in {example}")
    targets: list[Target] = []
    for each in optimizers:
        if isinstance(each, str):
            # Only what stands for several is looked up now: to collect is to import nothing.
            targets += members(each) if "*" in each or "?" in each else [each]
        else:
            require_optimizer(each)
            targets.append(each)
    return targets


def require_optimizer(target: object) -> None:
    """Refuse what is neither a row nor a class of optimizers.

    Raises
    ------
    TypeError
        It says what would do.
    """
    __tracebackhide__ = True
    if isinstance(target, torch.optim.Optimizer):
        raise TypeError(f"give the class {type(target).__name__}, not an instance of it")
    is_class = inspect.isclass(target) and issubclass(target, torch.optim.Optimizer)
    if not isinstance(target, Optimizer) and (not is_class or target is torch.optim.Optimizer):
        raise TypeError(
            f"{target!r} is not an optimizer: give torch.optim.Optimizer classes, optbench "
            "Optimizer rows, registered names, or 'package.module:Name'"
        )


def labelled(targets: Sequence[Target]) -> dict[str, Target]:
    """Targets by what their tests are called: short names, and paths where those are not unique."""
    __tracebackhide__ = True
    short = [each.__name__ if isinstance(each, type) else name_of(each) for each in targets]
    counts = Counter(short)
    found: dict[str, Target] = {}
    for label, target in zip(short, targets, strict=True):
        name = label if counts[label] == 1 else name_of(target)
        if name in found:
            raise ValueError(f"{name} is in the list twice: tests would share a name")
        found[name] = target
    return found


def name_of(target: Target) -> str:
    """As the command line calls it."""
    if isinstance(target, str):
        return target
    if isinstance(target, Optimizer):
        return target.name
    return f"{target.__module__}:{target.__qualname__}"


def row_of(target: Target) -> Optimizer:
    """Return the row itself, or one made of a class.

    Raises
    ------
    TypeError
        Neither a name nor an optimizer.
    UnknownName, NotAdoptable
        No such name, no optimizer, or one without an lr.
    """
    __tracebackhide__ = True
    if isinstance(target, str):
        return OPTIMIZERS[target]
    require_optimizer(target)
    return target if isinstance(target, Optimizer) else adopt(target, name_of(target))
