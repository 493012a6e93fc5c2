"""How two trajectories are compared, and how a difference is put into words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from optbench.conformance.promise import Broken
from optbench.engine.certify import same_bits

EXACT = 1e-10
"""Relative agreement that is asked for in float64.

What is the same rule, however written, ends within some 1e-12 after 300 steps; what is another
rule is off by 1e-9 at the very least.
"""

FLOAT32 = 1e-3
"""Relative agreement that is asked for with float32 parameters, of a reference whose arithmetic
and state are float64.

Honest, not sharp: square roots, differences of averages and 300 roundings of the update itself
cost four of seven digits. The rounding of the parameters is counted on top (`allowance`).
"""


def allowance(reference: Tensor, relative: float, dtype: torch.dtype) -> Tensor:
    """The difference that each element may show at each step: same shape as ``reference``.

    ``relative`` of the way that the farthest element has come, plus one rounding of the parameter a
    step: a parameter of size one cannot resolve a step of 1e-12, whoever takes it.
    """
    steps = torch.arange(1, len(reference) + 1, dtype=torch.float64)[:, None]
    way = (reference - reference[:1]).abs().amax(1, keepdim=True)
    first = reference[:1].abs().amax()
    size = reference.abs().cummax(0).values.clamp_min(float(first))
    return relative * way + steps * torch.finfo(dtype).eps * size


def require_agreement(
    ours: Tensor,
    theirs: Tensor,
    *,
    start: Tensor,
    relative: float = EXACT,
    dtype: torch.dtype = torch.float64,
    who: str,
    under: str,
) -> float:
    """Compare two traces [steps, elements]; gives the largest relative difference.

    Raises
    ------
    Broken
        Where they part: from which step on, by how much, in which element.
    """
    theirs, ours = torch.cat([start[None], theirs]), torch.cat([start[None], ours])
    finite = theirs.isfinite()
    if not torch.equal(finite, ours.isfinite()):
        step = int((finite != ours.isfinite()).any(1).int().argmax())
        culprit = "it" if finite[step].all() else "the other"
        raise Broken(
            f"differs from {who} {under}: at step {step} {culprit} is not finite", torch.inf
        )
    # What is infinite on both sides is the same, and no part of the way.
    known = torch.where(finite, theirs, theirs[:1])
    difference = torch.where(finite, (ours - theirs).abs(), 0.0)
    allowed = allowance(known, relative, dtype)
    way = float((known - known[:1]).abs().amax())
    apart = float(difference.max())
    worst = apart / way if way else (torch.inf if apart else 0.0)
    beyond = (difference > allowed).any(1)
    if beyond.any():
        step = int(beyond.nonzero()[0])
        element = int((difference - allowed)[step].argmax())
        raise Broken(
            f"differs from {who} {under}: from step {step} on "
            f"({float(ours[step, element]):.17g} here, {float(theirs[step, element]):.17g} there); "
            + (f"by {worst:.2g} of the way" if way else f"by {apart:.2g}, where the other rests")
            + f" after {len(ours) - 1} steps",
            worst,
        )
    return worst


def require_same_bits(
    ours: Tensor | Sequence[Tensor], theirs: Tensor | Sequence[Tensor], what: str
) -> None:
    """Compare bit for bit (NaN equals NaN).

    Raises
    ------
    Broken
        ``what``, with the largest difference.
    """
    pairs = [(ours, theirs)] if isinstance(ours, Tensor) else list(zip(ours, theirs, strict=True))
    for one, other in pairs:
        assert isinstance(one, Tensor)
        assert isinstance(other, Tensor)
        if one.dtype != other.dtype or not same_bits(one, other):
            worst = float((one - other).abs().nan_to_num(torch.inf).max())
            raise Broken(f"{what}: by up to {worst:.2g}", worst)


def shown(settings: Mapping[str, Any]) -> str:
    """Hyperparameters as they are written in a call."""
    if not settings:
        return "at its defaults"
    return "with " + ", ".join(f"{name}={value!r}" for name, value in settings.items())
