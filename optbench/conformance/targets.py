"""What is checked, by name or as a class: optimizers and learning-rate schedulers."""

from __future__ import annotations

import inspect
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from optbench.optimizers import OPTIMIZERS, Optimizer
from optbench.optimizers.recipe import adopt
from optbench.registry import NotAdoptable, import_attribute
from optbench.scenarios.introspect import NotConstructible, introspect, members
from optbench.scenarios.schedulers import TriedScheduler, is_scheduler
from optbench.scenarios.subject import Subject

Target = str | type[torch.optim.Optimizer] | type[torch.optim.lr_scheduler.LRScheduler] | Optimizer
"""A target of checks: a registered name, ``package.module:Name``, a class or a row."""


def subject_of(
    target: Target, *, reference: str = "", settings: Mapping[str, Any] | None = None
) -> Subject | TriedScheduler:
    """Make a subject of an optimizer, or try how a scheduler is built.

    Raises
    ------
    UnknownName, NotAdoptable
        No such target or reference, or neither an optimizer nor a scheduler.
    NotConstructible
        No instance could be made of it.
    """
    found = _scheduler(target)
    if found is None:
        # A scheduler is given by its class, or by its path.
        return introspect(target, reference=reference, settings=settings)  # type: ignore[arg-type]
    try:
        scheduler = TriedScheduler(found, settings, name_of(target))
        if reference:
            other = _scheduler(reference)
            if other is None:
                raise NotAdoptable(f"{reference!r} is no scheduler, as {scheduler.name} is")
            shared = scheduler.shared_with(other, scheduler.arguments)
            scheduler.reference = TriedScheduler(other, shared, reference)
    except ValueError as error:
        raise NotConstructible(str(error)) from error
    return scheduler


def _scheduler(target: Target) -> type | None:
    """Return the class of a scheduler; None of anything else."""
    found = import_attribute(target) if isinstance(target, str) and ":" in target else target
    return found if is_scheduler(found) else None


def is_imported_scheduler(target: Target) -> bool:
    """Whether it is a scheduler, as far as can be said without importing anything."""
    if not isinstance(target, str):
        return _scheduler(target) is not None
    module, _, name = target.partition(":")
    return is_scheduler(getattr(sys.modules.get(module), name, None))


def require_reference(name: str) -> None:
    """Refuse a reference that there is none of.

    Raises
    ------
    UnknownName, NotAdoptable
    """
    if _scheduler(name) is None:
        _ = OPTIMIZERS[name]


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
    """Refuse what is neither a row nor a class of optimizers or schedulers.

    Raises
    ------
    TypeError
        It says what would do.
    """
    __tracebackhide__ = True
    if isinstance(target, torch.optim.Optimizer):
        raise TypeError(f"give the class {type(target).__name__}, not an instance of it")
    if is_scheduler(target):
        return
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
