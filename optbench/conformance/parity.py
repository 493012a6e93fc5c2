"""Does it compute the same as somebody who was not asked?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

from optbench.conformance.agreement import (
    EXACT,
    FLOAT32,
    require_agreement,
    shown,
)
from optbench.conformance.course import Course, tiny
from optbench.conformance.neighbours import disturbances
from optbench.conformance.promise import Broken, NotApplicable
from optbench.conformance.session import Session
from optbench.conformance.subject import IMPLEMENTATION, Subject
from optbench.optimizers import Optimizer

STEPS = 300
"""Past the step where bfloat16 stops counting (256)."""

SHORT = 60
"""For settings beside the default."""


def follows_its_oracle(subject: Subject) -> str:
    """Its float64 trajectory is that of an independent transcription of its paper."""
    if subject.oracle is None:
        raise NotApplicable(
            "no oracle is known for it; --reference NAME compares it with one you choose"
        )
    return _parity(subject, subject.oracle, torch.float64)


def follows_its_oracle_in_float32(subject: Subject) -> str:
    """With float32 parameters it stays near the transcription that computes in float64."""
    if subject.oracle is None:
        raise NotApplicable("no oracle is known for it")
    if subject.wants.closure:
        raise NotApplicable("it compares losses, and a rounding decides which is the less")
    return _parity(subject, subject.oracle, torch.float32)


def follows_the_reference(subject: Subject) -> str:
    """Its float64 trajectory is that of the reference that was asked for."""
    if subject.reference is None:
        raise NotApplicable("no --reference was given")
    return _parity(subject, subject.reference, torch.float64)


def foreach_equals_the_loop(subject: Subject) -> str:
    """``foreach=True`` computes what ``foreach=False`` does, states included."""
    return _same_by_another_way(subject, "foreach")


def fused_equals_the_loop(subject: Subject) -> str:
    """``fused=True`` computes what the loop does, states included."""
    return _same_by_another_way(subject, "fused")


def differentiable_equals_the_loop(subject: Subject) -> str:
    """``differentiable=True`` computes what the loop does."""
    return _same_by_another_way(subject, "differentiable")


def capturable_equals_the_loop(subject: Subject) -> str:
    """``capturable=True`` computes what the loop does (on an accelerator only)."""
    return _same_by_another_way(subject, "capturable")


def variants(subject: Subject) -> Iterator[dict[str, Any]]:
    """Hyperparameters beside the default that the constructor takes: each one disturbed.

    A switch that needs company (``nesterov`` wants a momentum) gets it.
    """
    unbounded = subject.wants.closure or subject.wants.graph
    for name, value in disturbances(subject):
        if name == "maximize" and unbounded:
            continue  # upwards the loss of these has no end
        for company in ({}, {"momentum": 0.9, "dampening": 0.0}, {"weight_decay": 0.1}):
            if name in company or any(not subject.takes(other) for other in company):
                continue
            settings = {**company, name: value}
            if accepted(subject, settings):
                yield settings
                if not (isinstance(value, bool) and not company):
                    break


def accepted(subject: Subject, settings: dict[str, Any]) -> bool:
    """Whether an instance can be made with these hyperparameters and takes a step."""
    try:
        Session(subject, subject.course(), settings).advance(1)
    # Refusing is the constructor's right; wrong refusals show in other checks.
    except (Exception, SystemExit):  # noqa: BLE001
        return False
    return True


def _parity(subject: Subject, other: Optimizer, dtype: torch.dtype) -> str:
    """Both along the same courses, with the same hyperparameters, as far as both have them."""
    relative = getattr(other.factory, "agreement", EXACT)
    if dtype is not torch.float64:
        relative = max(relative, FLOAT32)
    them = Subject(
        other.name,
        other.factory,
        dict(other.defaults),
        row=other,
        wants=subject.wants,
        stochastic=other.stochastic,
    )
    shared = [name for name in subject.hyperparameters if them.takes(name)]
    # Both are told the subject's defaults; they may have other ones.
    base = {n: v for n in shared if (v := subject.hyperparameters[n]) is not None}
    long, short = subject.shrinking(STEPS), subject.shrinking(SHORT)
    trials: list[tuple[str, Course, int, dict[str, Any]]] = [
        ("along shrinking gradients", long, STEPS, {}),
        ("along gradients about 1e-7", tiny(subject.shapes, SHORT), SHORT, {}),
    ]
    trials += [
        ("along shrinking gradients", short, SHORT, settings)
        for settings in variants(subject)
        if all(name in shared for name in settings)
    ]
    worst = 0.0
    left_out = 0
    parted: list[tuple[dict[str, Any], Broken]] = []
    for along, course, steps, settings in trials:
        given = {**base, **settings}
        if settings and not accepted(them, given):
            left_out += 1
            continue
        ours = Session(subject, course, settings, dtype=dtype)
        start = ours.position()
        theirs = Session(them, course, given, dtype=dtype)
        try:
            apart = require_agreement(
                ours.trace(steps),
                theirs.trace(steps),
                start=start,
                relative=relative,
                dtype=dtype,
                who=other.name,
                under=f"{along}, {shown({**subject.settings, **settings})}",
            )
        except Broken as error:
            parted.append((settings, error))
        else:
            worst = max(worst, apart)
    if parted:
        _, first = parted[0]
        tried = len(trials) - left_out
        clues = [f"agrees in {tried - len(parted)} of {tried} settings"]
        disturbed = sorted({name for settings, _ in parted for name in settings})
        if not any(not settings for settings, _ in parted):
            clues.append(f"differs only with another {' or '.join(disturbed)}")
        clues += _clues(subject, them, base, dtype, relative)
        size = max(error.measured or 0.0 for _, error in parted)
        raise Broken(f"{first}\n{'; '.join(clues)}", size)
    text = f"{len(trials) - left_out} settings, at most {worst:.1g} of the way apart"
    missing = [name for name in subject.hyperparameters if name not in shared]
    if missing:
        text += f"; {other.name} has no {', '.join(missing)}"
    return text


def _clues(
    subject: Subject, them: Subject, base: dict[str, Any], dtype: torch.dtype, relative: float
) -> list[str]:
    """What makes two agree that differ at their defaults: there is where to look."""
    trials: list[tuple[str, Course, dict[str, Any]]] = [
        ("one tensor alone", subject.shrinking(SHORT).select([0]), {})
    ]
    for name in ("eps", "weight_decay", "momentum"):
        if base.get(name):
            trials.append((f"{name}=0", subject.shrinking(SHORT), {name: 0.0}))
    found = []
    for words, course, settings in trials:
        if not accepted(subject, settings) or not accepted(them, {**base, **settings}):
            continue
        ours = Session(subject, course, settings, dtype=dtype)
        theirs = Session(them, course, {**base, **settings}, dtype=dtype)
        start = ours.position()
        try:
            require_agreement(
                ours.trace(SHORT), theirs.trace(SHORT), start=start, relative=relative,
                dtype=dtype, who=them.name, under=words,
            )  # fmt: skip
        except Broken:
            continue
        found.append(f"agrees with {words}")
    return found


def _same_by_another_way(subject: Subject, way: str) -> str:
    if not subject.takes(way):
        raise NotApplicable(f"it takes no {way}")
    asked = [name for name in IMPLEMENTATION if subject.settings.get(name)]
    if asked:
        raise NotApplicable(f"it asks for {asked[0]} itself; its oracle is what it is held to")
    loop = {"foreach": False} if way != "foreach" and subject.takes("foreach") else {way: False}
    leaves = way != "differentiable"
    try:
        Session(subject, subject.course(), {way: True}, leaves=leaves).advance(1)
    except (RuntimeError, AssertionError, ValueError, TypeError) as error:
        if way == "foreach":
            raise
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise NotApplicable(f"not offered here: {first}") from error
    if way == "differentiable":
        _differentiable(subject)
    worst, tried = 0.0, 0
    for settings in ({}, *variants(subject)):
        course = subject.shrinking(STEPS if not settings else SHORT)
        try:
            Session(subject, course, {**settings, way: True}, leaves=leaves).advance(1)
        except (RuntimeError, ValueError, TypeError):
            continue  # this way refuses this setting, which it may
        ours = Session(subject, course, {**settings, way: True}, leaves=leaves)
        plain = Session(subject, course, {**settings, **loop})
        start = ours.position()
        steps = course.length
        worst = max(
            worst,
            require_agreement(
                ours.trace(steps),
                plain.trace(steps),
                start=start,
                who="the loop",
                under=f"{way}=True, {shown(settings)}",
            ),
        )
        _require_same_state(ours, plain, way, settings)
        tried += 1
    if not subject.wants.sparse and _takes_sparse(subject, loop):
        worst = max(worst, _sparse(subject, way, loop))
        tried += 1
    return f"{tried} settings, at most {worst:.1g} of the way apart"


def _require_same_state(ours: Session, plain: Session, way: str, settings: dict[str, Any]) -> None:
    for index in range(len(ours.params)):
        one, other = ours.state_of(index), plain.state_of(index)
        for name in other:
            a, b = one.get(name), other[name]
            if not (isinstance(a, torch.Tensor) and isinstance(b, torch.Tensor) and b.numel()):
                continue
            apart = (a.detach().double() - b.detach().double()).abs().max()
            if not apart <= 1e-10 * b.double().abs().max().clamp_min(1e-30) + 1e-30:
                raise Broken(
                    f"{way}=True leaves another state than the loop, {shown(settings)}: "
                    f"{name} of tensor {index} is off by {float(apart):.2g}",
                    float(apart),
                )


def _differentiable(subject: Subject) -> None:
    """The graph of a step reaches the start and the gradient."""
    start = torch.full((4, 3), 0.5, dtype=torch.float64, requires_grad=True)
    gradient = torch.linspace(-1, 1, 12, dtype=torch.float64).reshape(4, 3).requires_grad_()
    moving = start.clone()
    optimizer = subject.make([moving], differentiable=True)
    moving.grad = gradient.clone()
    optimizer.step()
    moving.sum().backward()
    for name, leaf in (("the start", start), ("the gradient", gradient)):
        # Of a sign method the derivative by the gradient is zero, but it is there.
        if leaf.grad is None or not leaf.grad.isfinite().all():
            raise Broken(f"differentiable=True: no finite derivative of a step by {name}")


def _takes_sparse(subject: Subject, loop: dict[str, Any]) -> bool:
    try:
        _sparse_session(subject, loop).advance(2)
    except Exception:  # noqa: BLE001 - to refuse them is its right
        return False
    return True


def _sparse_session(subject: Subject, settings: dict[str, Any]) -> Session:
    session = Session(subject, subject.course(), settings)
    session.subject = _fed_sparsely(subject)
    return session


def _fed_sparsely(subject: Subject) -> Subject:
    import dataclasses

    return dataclasses.replace(
        subject, wants=dataclasses.replace(subject.wants, sparse=True, closure=False, graph=False)
    )


def _sparse(subject: Subject, way: str, loop: dict[str, Any]) -> float:
    try:
        ours = _sparse_session(subject, {way: True})
        start = ours.position()
        trace = ours.trace(SHORT)
    except Exception as error:
        if way == "foreach":
            said = f"foreach=True refuses sparse gradients, which the loop takes: {error}"
            raise Broken(said) from error
        return 0.0
    return require_agreement(
        trace,
        _sparse_session(subject, loop).trace(SHORT),
        start=start,
        who="the loop",
        under=f"{way}=True, along sparse gradients",
    )
