"""Does an accelerator change what it computes?"""

from __future__ import annotations

from dataclasses import replace

import torch

from optbench.conformance import laws
from optbench.scenarios.agreement import require_agreement
from optbench.scenarios.outcomes import NotApplicable
from optbench.scenarios.session import Session
from optbench.scenarios.subject import Subject, require_determinism

STEPS = 30


def a_gradient_scaler_does_not_matter_on_cuda(subject: Subject) -> str:
    """On a GPU, under GradScaler, it goes as without."""
    _require_cuda()
    return laws.a_gradient_scaler_does_not_matter(replace(subject, device="cuda"))


def cuda_agrees_with_the_cpu(subject: Subject) -> str:
    """On a GPU its float64 trajectory, by every implementation, is that of the CPU."""
    _require_cuda()
    return _agrees(subject, "cuda")


def _agrees(subject: Subject, device: str) -> str:
    require_determinism(subject)
    sequence = subject.shrinking(STEPS)
    expected = Session(subject, sequence)
    start = expected.position()
    theirs = expected.trace(STEPS)
    there = replace(subject, device=device)
    compared, refused = 0, []
    for way in ("", *(way for way in ("foreach", "fused", "capturable") if subject.takes(way))):
        settings = {way: True} if way else {}
        try:
            Session(there, sequence, settings).advance(1)
        except (RuntimeError, AssertionError, ValueError, TypeError):
            if not way:
                raise
            refused.append(way)  # it may not be offered on this device, or with these settings
            continue
        ours = Session(there, sequence, settings).trace(STEPS)
        under = f"on {device}, {f'{way}=True' if way else 'at its defaults'}"
        require_agreement(ours, theirs, start=start, who="the CPU", under=under)
        compared += 1
    without = f"; not offered: {', '.join(refused)}" if refused else ""
    return f"{compared} implementations, {STEPS} steps{without}"


def _require_cuda() -> None:
    if not torch.cuda.is_available():
        raise NotApplicable("no GPU here")
