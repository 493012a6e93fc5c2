"""Does mixed precision or an accelerator change what it computes?"""

from __future__ import annotations

from typing import Any

import torch

from optbench.conformance.agreement import require_agreement, require_same_bits
from optbench.conformance.outcomes import CheckFailed, NotApplicable
from optbench.conformance.session import Session
from optbench.conformance.subject import Subject, require_determinism
from optbench.engine.error_text import describe

STEPS = 30

SCALE = 2.0**10
"""A power of two, so that scaling and its undoing round nothing."""


def a_gradient_scaler_does_not_matter(subject: Subject) -> str:
    """Under GradScaler it goes as without, and a step with an infinite gradient is left out."""
    return _scaled(subject, "cpu")


def a_gradient_scaler_does_not_matter_on_cuda(subject: Subject) -> str:
    """On a GPU, under GradScaler, it goes as without."""
    _require_cuda()
    return _scaled(subject, "cuda")


def cuda_agrees_with_the_cpu(subject: Subject) -> str:
    """On a GPU its float64 trajectory, by every implementation, is that of the CPU."""
    _require_cuda()
    return _agrees(subject, "cuda")


def _agrees(subject: Subject, device: str) -> str:
    require_determinism(subject)
    course = subject.shrinking(STEPS)
    expected = Session(subject, course)
    start = expected.position()
    theirs = expected.trace(STEPS)
    compared, refused = 0, []
    for way in ("", *(way for way in ("foreach", "fused", "capturable") if subject.takes(way))):
        settings = {way: True} if way else {}
        try:
            Session(subject, course, settings, device=device).advance(1)
        except (RuntimeError, AssertionError, ValueError, TypeError):
            if not way:
                raise
            refused.append(way)  # it may not be offered on this device, or with these settings
            continue
        ours = Session(subject, course, settings, device=device).trace(STEPS)
        under = f"on {device}, {f'{way}=True' if way else 'at its defaults'}"
        require_agreement(ours, theirs, start=start, who="the CPU", under=under)
        compared += 1
    without = f"; not offered: {', '.join(refused)}" if refused else ""
    return f"{compared} implementations, {STEPS} steps{without}"


def _require_cuda() -> None:
    if not torch.cuda.is_available():
        raise NotApplicable("no GPU here")


def _scaled(subject: Subject, device: str) -> str:
    if subject.wants.evaluates_the_loss or subject.wants.sparse:
        raise NotApplicable(f"GradScaler cannot serve it: it wants {subject.wants}")
    if subject.before_step is not None:
        raise NotApplicable("its hook is given the gradients before GradScaler divides them")
    require_determinism(subject)
    ways: list[dict[str, Any]] = [{}]
    if subject.takes("fused"):
        ways.append({"fused": True})
    for way in ways:
        try:
            plain = Session(subject, subject.course(), way, dtype=torch.float32, device=device)
            plain.advance(1)
        except RuntimeError:
            if way:
                continue  # fused is not offered here
            raise
        _require_unscaled(subject, way, device)
    return f"{STEPS} steps at a scale of {SCALE:g}, {len(ways)} implementations"


def _require_unscaled(subject: Subject, way: dict[str, Any], device: str) -> None:
    course = subject.course()
    said = ", ".join(f"{name}={value}" for name, value in way.items()) or "at its defaults"
    plain = Session(subject, course, way, dtype=torch.float32, device=device)
    scaled = Session(subject, course, way, dtype=torch.float32, device=device)
    scaler = torch.amp.GradScaler(device, init_scale=SCALE, growth_interval=10**6)
    # The scaler makes its tensors when it first sees a loss.
    scaler.scale(torch.zeros((), device=device))
    start = plain.position()
    ours, theirs = [], []
    for _ in range(STEPS):
        scaled.give_gradients()
        for parameter in scaled.params:
            if parameter.grad is not None:
                parameter.grad.mul_(SCALE)
        try:
            scaler.step(scaled.optimizer)
        except Exception as error:
            raise CheckFailed(f"GradScaler.step fails, {said}: {describe(error)}") from error
        scaler.update()
        scaled.step += 1
        ours.append(scaled.position())
        theirs.append(plain.advance(1).position())
    require_agreement(
        torch.stack(ours),
        torch.stack(theirs),
        start=start,
        relative=1e-5,
        dtype=torch.float32,
        who="the same without GradScaler",
        under=said,
    )
    before = scaled.position()
    scaled.give_gradients()
    last = scaled.params[-1].grad
    assert last is not None
    last.view(-1)[0] = torch.inf
    scaler.step(scaled.optimizer)
    require_same_bits(
        scaled.position(), before,
        f"a step with an infinite gradient is not left out under GradScaler, {said}",
    )  # fmt: skip
