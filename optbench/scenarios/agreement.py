"""How two trajectories are compared, and how a difference is put into words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from optbench.engine.certify import same_bits
from optbench.scenarios.outcomes import CheckFailed

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
    """Return the allowed difference of each element at each step, in the shape of ``reference``.

    ``relative`` times the distance that the farthest element has travelled, plus one rounding of
    the parameter a step: a parameter of size one cannot resolve a step of 1e-12.
    """
    steps = torch.arange(1, len(reference) + 1, dtype=torch.float64)[:, None]
    way = (reference - reference[:1]).abs().amax(1, keepdim=True)
    first = reference[:1].abs().amax()
    size = reference.abs().cummax(0).values.clamp_min(float(first))
    return relative * way + steps * torch.finfo(dtype).eps * size


@dataclass(frozen=True)
class Departure:
    """Where a trace leaves another one.

    Attributes
    ----------
    step, element : int
        The first step (0 is the start) with a difference that is not allowed, and the element that
        is farthest beyond it then; or, where one side alone is not finite, the first step and
        element of which that is true.
    ours, theirs : float
        The values there.
    difference, travelled : float
        The largest difference of all steps and elements, and the distance that the other side's
        farthest element travels in them.
    not_finite : str
        The side that is not finite there, ``"ours"`` or ``"theirs"``, or the empty string.
    """

    step: int
    element: int
    ours: float
    theirs: float
    difference: float
    travelled: float
    not_finite: Literal["", "ours", "theirs"] = ""

    @property
    def worst(self) -> float:
        """The largest difference by the distance travelled; infinity where the other side rests."""
        return torch.inf if self.not_finite else _part(self.difference, self.travelled)


def departure(
    ours: Tensor,
    theirs: Tensor,
    *,
    start: Tensor,
    relative: float = EXACT,
    dtype: torch.dtype = torch.float64,
) -> Departure | None:
    """Where two traces [steps, elements] part by more than is allowed; None where they agree."""
    return _compared(ours, theirs, start, relative, dtype)[0]


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
    CheckFailed
        Where they part: from which step on, by how much, in which element.
    """
    parted, worst = _compared(ours, theirs, start, relative, dtype)
    if parted is None:
        return worst
    if parted.not_finite:
        culprit = "it" if parted.not_finite == "ours" else "the other"
        said = f"at step {parted.step} {culprit} is not finite"
    else:
        said = (
            f"from step {parted.step} on ({parted.ours:.17g} here, {parted.theirs:.17g} there); "
            + (
                f"by {parted.worst:.2g} times the distance travelled"
                if parted.travelled
                else f"by {parted.difference:.2g}, where the other rests"
            )
            + f" after {len(ours)} steps"
        )
    raise CheckFailed(f"differs from {who} {under}: {said}", parted.worst)


def _compared(
    ours: Tensor, theirs: Tensor, start: Tensor, relative: float, dtype: torch.dtype
) -> tuple[Departure | None, float]:
    """Where they part, if they do, and the largest difference by the distance travelled."""
    theirs, ours = torch.cat([start[None], theirs]), torch.cat([start[None], ours])
    finite = theirs.isfinite()
    # What is infinite on both sides is the same, and no part of the distance.
    known = torch.where(finite, theirs, theirs[:1])
    way = float((known - known[:1]).abs().amax())
    alone = finite != ours.isfinite()
    if alone.any():
        step = int(alone.any(1).int().argmax())
        element = int(alone[step].int().argmax())
        here, there = float(ours[step, element]), float(theirs[step, element])
        side: Literal["ours", "theirs"] = "ours" if finite[step].all() else "theirs"
        return Departure(step, element, here, there, torch.inf, way, side), torch.inf
    allowed = allowance(known, relative, dtype)
    difference = torch.where(finite, (ours - theirs).abs(), 0.0)
    apart = float(difference.max())
    beyond = (difference > allowed).any(1)
    if not beyond.any():
        return None, _part(apart, way)
    step = int(beyond.nonzero()[0])
    element = int((difference - allowed)[step].argmax())
    here, there = float(ours[step, element]), float(theirs[step, element])
    return Departure(step, element, here, there, apart, way), _part(apart, way)


def _part(apart: float, way: float) -> float:
    return apart / way if way else (torch.inf if apart else 0.0)


def require_same_bits(
    ours: Tensor | Sequence[Tensor], theirs: Tensor | Sequence[Tensor], what: str
) -> None:
    """Compare bit for bit (NaN equals NaN).

    Raises
    ------
    CheckFailed
        ``what``, with the largest difference.
    """
    pairs = [(ours, theirs)] if isinstance(ours, Tensor) else list(zip(ours, theirs, strict=True))
    for one, other in pairs:
        assert isinstance(one, Tensor)
        assert isinstance(other, Tensor)
        if one.dtype != other.dtype or not same_bits(one, other):
            worst = float((one - other).abs().nan_to_num(torch.inf).max())
            raise CheckFailed(f"{what}: by up to {worst:.2g}", worst)


def dtype_name(dtype: torch.dtype) -> str:
    """Return the name of a dtype without its package: ``float64``."""
    return str(dtype).removeprefix("torch.")


def shown(settings: Mapping[str, Any]) -> str:
    """Hyperparameters as they are written in a call."""
    if not settings:
        return "at its defaults"
    return "with " + ", ".join(f"{name}={value!r}" for name, value in settings.items())
