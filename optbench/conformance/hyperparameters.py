"""Does every argument of the constructor do what it is there for?"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch

from optbench.conformance.course import tiny
from optbench.conformance.neighbours import neighbours, with_item
from optbench.conformance.promise import Broken, NotApplicable
from optbench.conformance.session import Session
from optbench.conformance.subject import Subject
from optbench.engine.certify import same_bits

STEPS = 40

SWITCHES = frozenset(
    ("nesterov", "amsgrad", "maximize", "centered", "decoupled_weight_decay", "weight_decouple")
)
"""Those whose name says that they change the rule. Others may compress a checkpoint."""

LONGER = 450
"""For what shows only after a warm-up or an interval."""


def every_hyperparameter_matters(subject: Subject) -> str:
    """Changing any number or switch of the constructor changes the trajectory somewhere."""
    candidates = {
        name: options
        for name, value in subject.hyperparameters.items()
        # A rate of None is chosen by the method; given one, it has to heed it.
        if (
            options := [1e-2, 1e-1] if (name, value) == ("lr", None) else [*neighbours(name, value)]
        )
    }
    if not candidates:
        raise NotApplicable("its constructor takes neither a number nor a switch")
    idle: list[str] = []
    untried: list[str] = []
    silent: list[str] = []
    for name, options in candidates.items():
        answer = _matters(subject, name, options)
        if answer is None:
            untried.append(name)
        elif answer:
            continue
        elif isinstance(options[0], bool) and name not in SWITCHES:
            silent.append(name)
        else:
            idle.append(f"{name} (tried {', '.join(map(repr, options))})")
    if idle:
        raise Broken(
            f"no effect on any of the parameters in {LONGER} steps, alone or beside momentum, "
            f"decay and every switch: {'; '.join(idle)}"
        )
    text = f"{len(candidates) - len(untried) - len(silent)} matter"
    if silent:
        text += (
            f"; no effect of the switches {', '.join(silent)}, which may be about something else"
        )
    return text + (f"; refused whatever we tried: {', '.join(untried)}" if untried else "")


def wrong_values_are_refused(subject: Subject) -> str:
    """A negative rate, decay, momentum or eps, or a beta of one and more, is refused."""
    wrong = list(_wrong_values(subject))
    if not wrong:
        raise NotApplicable("it has none of the hyperparameters whose range everybody knows")
    taken = []
    for name, value in wrong:
        try:
            subject.make(_some_parameters(subject), **{name: value})
        # Packages have exceptions of their own for it: what counts is that it is said.
        except Exception:  # noqa: BLE001
            continue
        taken.append(f"{name}={value!r}")
    if taken:
        raise Broken(f"its constructor takes {', '.join(taken)} without a word")
    return f"{len(wrong)} refused"


def _wrong_values(subject: Subject) -> Iterator[tuple[str, Any]]:
    for name, value in subject.hyperparameters.items():
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if name in ("lr", "weight_decay", "eps") and number:
            yield name, -1.0
        elif name == "momentum" and number:
            yield name, -0.5
        elif name == "betas" and isinstance(value, tuple | list):
            for index, each in enumerate(value):
                if isinstance(each, float) and 0 <= each < 1:
                    yield name, with_item(value, index, 1.5)
                    yield name, with_item(value, index, -0.1)


def _some_parameters(subject: Subject) -> list[torch.nn.Parameter]:
    return [torch.nn.Parameter(torch.ones(shape)) for shape in subject.shapes]


def _matters(subject: Subject, name: str, options: list[Any]) -> bool | None:
    """Whether any of the values changes the path; None where every one is refused."""
    tried = False
    for steps in (STEPS, LONGER):
        for context in _contexts(subject, name):
            base = _path(subject, context, steps)
            if base is None:
                continue
            for value in options:
                other = _path(subject, {**context, name: value}, steps)
                if other is None:
                    continue
                tried = True
                if base.shape != other.shape or not same_bits(base, other):
                    return True
        if not tried:
            return None
    return False


def _contexts(subject: Subject, name: str) -> Iterator[dict[str, Any]]:
    """Settings in which a hyperparameter may matter that is idle at the defaults."""
    yield {}
    company: dict[str, Any] = {}
    # A rate of one hides whether it is there.
    rate = None if subject.lr is None else subject.lr / 2
    for other, value in (("momentum", 0.9), ("weight_decay", 0.1), ("lr", rate)):
        if subject.takes(other) and other != name and value is not None:
            company[other] = value
            yield {other: value}
    if len(company) > 1:
        yield company
    for other, value in subject.hyperparameters.items():
        if isinstance(value, bool) and other != name:
            yield {other: not value}
            if company:
                yield {**company, other: not value}


def _path(subject: Subject, settings: dict[str, Any], steps: int) -> torch.Tensor | None:
    """The parameters on the way along shrinking gradients and, the second time, along tiny ones.

    Four decades of scales make clipping and thresholds show, gradients of 1e-7 an eps, and
    parameters of half precision what is done about lost bits.
    """
    seen = []
    with contextlib.suppress(Exception):
        session = Session(subject, subject.shrinking(steps), settings)
        seen += [session.advance(steps // 2).position() for _ in range(2)]
        if steps == LONGER:
            seen.append(
                Session(subject, tiny(subject.shapes, STEPS), settings).advance(STEPS).position()
            )
            with contextlib.suppress(Exception):
                half = Session(subject, subject.course(), settings, dtype=torch.bfloat16)
                seen.append(half.advance(STEPS).position())
        return torch.cat(seen)
    return None
