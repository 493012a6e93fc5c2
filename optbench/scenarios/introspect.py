"""From a target to a subject: find it, construct it, find out how it wants to be fed."""

from __future__ import annotations

import inspect
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from types import ModuleType
from typing import Any

import torch

from optbench.engine.error_text import describe
from optbench.engine.stepping import reads_gradients_first
from optbench.optimizers import OPTIMIZERS, Optimizer
from optbench.optimizers.builders import BASE, NotAnOptimizer
from optbench.optimizers.recipe import adopt, default_lr
from optbench.optimizers.textbook_optimizers import ORACLES
from optbench.registry import NotAdoptable, UnknownName, import_attribute, import_module
from optbench.scenarios.requirements import Requirements
from optbench.scenarios.schedulers import scheduler_classes
from optbench.scenarios.session import Session
from optbench.scenarios.subject import Subject


class NotConstructible(Exception):
    """No instance could be made that takes a step; the text says why."""


WAYS = tuple(
    Requirements(closure, sparse, graph, matrices)
    for matrices in (False, True)
    for closure, sparse, graph in (
        (False, False, False),
        (False, True, False),
        (True, False, False),
        (False, False, True),
        (True, False, True),
    )
)
"""Requirements to try, the most usual first."""

STEPS = 2
"""Steps after which it is taken to be fed as it wants."""

PATIENCE_S = 0.5
"""Seconds that are spent on more steps than those: one that takes its time is not waited for."""


def members(target: str) -> list[str]:
    """Expand a target: ``module:*`` is every optimizer class in a module, else every scheduler.

    Raises
    ------
    UnknownName, NotAdoptable
        A module that does not import, or one without an optimizer.
    """
    module_name, colon, attribute = target.strip().partition(":")
    if colon and not module_name:
        raise UnknownName(f"{target!r} is not of the form package.module:Name")
    if not colon:
        return [row.name for row in OPTIMIZERS.select(target)]
    if attribute != "*":
        return [target]
    module = import_module(module_name, target)
    found: dict[type, str] = {}
    for name, cls in [*optimizer_classes(module)] or scheduler_classes(module):
        found.setdefault(cls, f"{module_name}:{name}")
    if not found:
        raise NotAdoptable(
            f"module {module_name!r} exports no class of torch.optim.Optimizer or LRScheduler"
        )
    # What it merely imports is somebody else's, unless it says that it is part of it.
    home = module_name.partition(".")[0]
    own = [name for cls, name in found.items() if cls.__module__.partition(".")[0] == home]
    return own if own and not hasattr(module, "__all__") else list(found.values())


def optimizer_classes(module: ModuleType) -> Iterator[tuple[str, type]]:
    """Return the optimizer classes that a module exports: by ``__all__``, else by public names."""
    for name in getattr(module, "__all__", None) or sorted(vars(module)):
        value = getattr(module, name, None)
        if (
            inspect.isclass(value)
            and issubclass(value, torch.optim.Optimizer)
            and value is not torch.optim.Optimizer
            and not name.startswith("_")
            and not inspect.isabstract(value)
        ):
            yield name, value


def introspect(
    target: str | type[torch.optim.Optimizer] | Optimizer,
    *,
    reference: str = "",
    settings: Mapping[str, Any] | None = None,
    steps: int = STEPS,
) -> Subject:
    """Make a subject of a target: construct it, find out how it wants to be fed.

    With more ``steps`` those are found out, too, who ask for more only every tenth step; one that
    raises on the way however it is fed is taken as it stands.

    Raises
    ------
    UnknownName, NotAdoptable
        No such target, or no optimizer.
    NotConstructible
        Every attempt to construct it and to take two steps failed, with the reason.
    """
    subject = _unfed(target)
    subject.settings = {**subject.settings, **(settings or {})}
    if reference:
        subject.reference = OPTIMIZERS[reference]
    _fill_required(subject)
    refusals: list[str] = []
    begun: Requirements | None = None
    for wants in WAYS:
        subject.wants = wants
        try:
            session = Session(subject, subject.sequence())
        except NotAnOptimizer as error:
            raise NotConstructible(f"{subject.name} {error}") from error
        # A constructor is anybody's code: whatever it raises is its answer.
        except (Exception, SystemExit) as error:  # noqa: BLE001
            refusals.append(_on_a_line(error))
            continue
        taken, start = 0, time.monotonic()
        try:
            while taken < STEPS or (taken < steps and time.monotonic() - start < PATIENCE_S):
                session.advance(1)
                taken += 1
        except (Exception, SystemExit) as error:  # noqa: BLE001
            refusals.append(f"cannot take a step: {_on_a_line(error)}")
            if begun is None and taken >= STEPS:
                begun = wants
            continue
        if wants.closure and not session.closure_calls:
            refusals.append("step(closure) never calls the closure")
            continue
        return _fed(subject, wants)
    if begun is not None:
        # It steps, and raises later however it is fed: that is for the checks to say.
        return _fed(subject, begun)
    # The first is what it says to ordinary use.
    raise NotConstructible(refusals[0] + _narrow(subject))


def _fed(subject: Subject, wants: Requirements) -> Subject:
    """Return the subject with the requirements that were found, and its row."""
    if wants.closure:
        first = reads_gradients_first(lambda named: subject.make([p for _, p in named]))
        wants = replace(wants, gradients_first=first)
    subject.wants = wants
    if subject.row is not None:
        needs = {"sparse"} if wants.sparse else set()
        needs |= {"only matrices"} if wants.matrices else set()
        subject.row = replace(
            subject.row,
            closure=wants.closure,
            gradients_first=wants.gradients_first,
            sparse_gradients=wants.sparse,
            needs=subject.row.needs | needs,
            defaults={**subject.row.defaults, **subject.settings},
        )
    return subject


def _on_a_line(error: BaseException) -> str:
    return ", ".join(line.strip() for line in describe(error).splitlines())


def _narrow(subject: Subject) -> str:
    """Explain that a class that steps only in float32 cannot be checked in float64."""
    subject.wants = WAYS[0]
    try:
        Session(subject, subject.sequence(), dtype=torch.float32).advance(2)
    except (Exception, SystemExit):  # noqa: BLE001
        return ""
    return " (with float64 parameters; it takes float32 ones)"


def _fill_required(subject: Subject) -> None:
    missing = [
        name
        for name, p in subject.parameters.items()
        if p.default is p.empty and name not in subject.settings
    ]
    lr = default_lr(subject.factory)
    declared = subject.parameters["lr"].default if "lr" in subject.parameters else None
    if (
        lr is not None
        and "lr" not in subject.settings
        and declared in (None, inspect.Parameter.empty)
    ):
        subject.settings = {**subject.settings, "lr": lr}
        missing = [name for name in missing if name != "lr"]
    if BASE in missing:
        raise NotConstructible(
            f"it wraps another optimizer: --set {BASE}=torch.optim:SGD names its class"
        )
    if missing:
        how = " ".join(f"--set {name}=..." for name in missing)
        raise NotConstructible(f"its constructor needs {', '.join(missing)}: {how}, or a row")


def _unfed(target: str | type[torch.optim.Optimizer] | Optimizer) -> Subject:
    if isinstance(target, Optimizer):
        found: Any = target
        name = target.name
    elif not isinstance(target, str):
        found = target
        name = f"{getattr(target, '__module__', '')}:{getattr(target, '__qualname__', target)}"
    elif ":" in target:
        found, name = import_attribute(target), target
    else:
        found, name = OPTIMIZERS[target], target
    if isinstance(found, Optimizer):
        row, factory, settings = found, found.factory, dict(found.defaults)
    else:
        if isinstance(found, torch.optim.Optimizer):
            raise NotAdoptable(f"{name!r} is an instance: give its class, {type(found).__name__}")
        row, settings = adopt(found, name), {}
        factory = row.factory
    known = row.oracle or ORACLES.get(factory, "")  # type: ignore[call-overload]
    return Subject(
        name,
        factory,
        settings,
        row=row,
        oracle=OPTIMIZERS[known] if known else None,
        stochastic=row.stochastic,
        before_step=row.before_step,
    )
