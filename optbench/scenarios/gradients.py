"""What a subject is led through: starts, and the gradients that it meets on the way.

The gradients are given beforehand and do not depend on the parameters. What two optimizers make of
them differs only by what they compute: nothing is fed back, so that a difference in rounding stays
one. (Optimizers that evaluate the loss themselves get a loss that has these gradients and a
curvature besides.)
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

MIXED = ((5, 3), (3, 7), (6,), (5, 3))
"""A tall matrix, a wide one, a vector: what depends on the shape shows. One shape comes twice:
what is kept by shape shows, too."""

MATRICES = ((5, 3), (3, 7), (4, 4), (5, 3))
"""For methods that take nothing else."""


@dataclass(frozen=True)
class GradientSequence:
    """Starts and gradients of several tensors, float64.

    Attributes
    ----------
    starts : tuple of ndarray
        Where each tensor begins.
    gradients : tuple of ndarray or None
        For each tensor [steps, *shape]; None for one that never gets a gradient. After the last
        step they begin again.
    present : ndarray of bool or None
        Whether a tensor has a gradient at a step, [steps, tensors]; None: all have at all of them.
    """

    starts: tuple[np.ndarray, ...]
    gradients: tuple[np.ndarray | None, ...]
    present: np.ndarray | None = None

    @property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """Of the tensors."""
        return tuple(start.shape for start in self.starts)

    @functools.cached_property
    def length(self) -> int:
        """Steps until the gradients begin again."""
        return min(len(g) for g in self.gradients if g is not None)

    def select(self, indices: Sequence[int]) -> GradientSequence:
        """Return the sequence of some of the tensors, in the order given."""
        return GradientSequence(
            tuple(self.starts[i] for i in indices),
            tuple(self.gradients[i] for i in indices),
            None if self.present is None else self.present[:, list(indices)],
        )

    def with_gradient(self, index: int, gradient: np.ndarray | None) -> GradientSequence:
        """Return the same sequence with other gradients for one tensor."""
        return replace(
            self,
            gradients=tuple(gradient if i == index else g for i, g in enumerate(self.gradients)),
        )

    def times(self, factor: float) -> GradientSequence:
        """Return the same sequence with every gradient multiplied."""
        return replace(
            self, gradients=tuple(None if g is None else g * factor for g in self.gradients)
        )

    def tensors(self, index: int, dtype: torch.dtype, device: torch.device) -> list[Tensor | None]:
        """Return the gradients of one tensor, step by step."""
        gradient = self.gradients[index]
        if gradient is None:
            return [None] * self.length
        tensors: list[Tensor | None] = list(
            torch.from_numpy(gradient[: self.length]).to(device, dtype).unbind(0)
        )
        if self.present is None:
            return tensors
        return [g if self.present[step, index] else None for step, g in enumerate(tensors)]


@functools.cache
def sequence(
    shapes: tuple[tuple[int, ...], ...] = MIXED,
    steps: int = 60,
    *,
    first: float = 1.0,
    last: float = 1.0,
    seed: int = 0,
) -> GradientSequence:
    """Return normal gradients whose scale goes from ``first`` to ``last`` along the sequence.

    A gradient that shrinks is what tells a maximum from an average and an old buffer from a new
    one. Starts are off zero, so that decay has something to act on.
    """
    rng = np.random.default_rng(seed)
    scale = np.geomspace(first, last, steps)
    starts = tuple(np.asarray(rng.normal(0, 1, shape) + 0.25) for shape in shapes)
    gradients = tuple(
        rng.normal(0, 1, (steps, *shape)) * scale.reshape(-1, *(1,) * len(shape))
        for shape in shapes
    )
    return GradientSequence(starts, gradients)


def shrinking(shapes: tuple[tuple[int, ...], ...], steps: int) -> GradientSequence:
    """Gradients from 1 down to 1e-4."""
    return sequence(shapes, steps, first=1.0, last=1e-4)


def tiny(shapes: tuple[tuple[int, ...], ...], steps: int) -> GradientSequence:
    """Gradients about 1e-7, where an eps of 1e-8 is no longer small."""
    return sequence(shapes, steps, first=1e-6, last=1e-8, seed=1)


def steady(shapes: tuple[tuple[int, ...], ...], steps: int) -> GradientSequence:
    """Gradients of a steady scale."""
    return sequence(shapes, steps)


def two_as_complex(
    shapes: tuple[tuple[int, ...], ...], steps: int, turn: complex = 1.0
) -> GradientSequence:
    """One sequence as the real parts of another's imaginary ones, turned about zero."""
    return _of_two(shapes, steps, lambda a, b: (a + 1j * b) * turn)


def two_as_real_view(shapes: tuple[tuple[int, ...], ...], steps: int) -> GradientSequence:
    """Return the parts of `two_as_complex`, as a last dimension of two."""
    return _of_two(shapes, steps, lambda a, b: np.stack((a, b), axis=-1))


def _of_two(
    shapes: tuple[tuple[int, ...], ...], steps: int, how: Callable[[Any, Any], np.ndarray]
) -> GradientSequence:
    one, other = (sequence(shapes, steps, seed=seed) for seed in (0, 1))
    return GradientSequence(
        tuple(map(how, one.starts, other.starts)), tuple(map(how, one.gradients, other.gradients))
    )


def small(shapes: tuple[tuple[int, ...], ...], steps: int) -> GradientSequence:
    """Gradients about 1e-3, whose squares are below what float16 holds in full precision."""
    return sequence(shapes, steps, first=3e-3, last=3e-4)


def huge(shapes: tuple[tuple[int, ...], ...], steps: int) -> GradientSequence:
    """Gradients about 1e8, whose squares float16 and their products float32 cannot hold."""
    return sequence(shapes, steps, first=1e7, last=1e9)


GRADIENTS: Mapping[str, Callable[[tuple[tuple[int, ...], ...], int], GradientSequence]] = {
    "steady": steady,
    "shrinking": shrinking,
    "tiny": tiny,
    "small": small,
    "huge": huge,
    "complex": two_as_complex,
    "real view": two_as_real_view,
}
"""Kinds of starts and gradients, by the name that a scenario has for them."""


def _every(edit: Callable[[np.ndarray], None]) -> Callable[[GradientSequence], GradientSequence]:
    """Edit a copy of each tensor's gradients, [steps, *shape], in place."""

    def edited(plain: GradientSequence) -> GradientSequence:
        gradients = []
        for each in plain.gradients:
            changed = None if each is None else each.copy()
            if changed is not None:
                edit(changed)
            gradients.append(changed)
        return replace(plain, gradients=tuple(gradients))

    return edited


def _zeros_first(gradient: np.ndarray) -> None:
    """Zero in the first quarter of the steps, and again in the third."""
    steps = len(gradient)
    gradient[: steps // 4] = 0.0
    gradient[steps // 2 : 3 * steps // 4] = 0.0


def _with_holes(gradient: np.ndarray) -> None:
    """Every third element of a gradient is zero, another third at each step."""
    for step, each in enumerate(gradient):
        each.reshape(-1)[step % 3 :: 3] = 0.0


def _one_zero(gradient: np.ndarray) -> None:
    """Make the first element of each gradient zero at every step."""
    gradient.reshape(len(gradient), -1)[:, :1] = 0.0


def _none_small(gradient: np.ndarray) -> None:
    """Keep each number half or more away from zero, where float16 holds its square."""
    np.copysign(np.maximum(np.abs(gradient), 0.5), gradient, out=gradient)


def _a_nan(gradient: np.ndarray) -> None:
    """Make one number of each gradient NaN at one step."""
    gradient.reshape(len(gradient), -1)[7, -1] = np.nan


def _row_means(gradient: np.ndarray) -> None:
    """Make all rows of a gradient the same, as those of a sum's gradient are."""
    if gradient.ndim > 1:
        gradient[:] = gradient.mean(1, keepdims=True)


def _second_missing(plain: GradientSequence) -> GradientSequence:
    return plain.with_gradient(1, None)


def _coming_and_going(plain: GradientSequence) -> GradientSequence:
    """Each tensor is without a gradient at some steps, at others than the next tensor is."""
    steps, tensors = np.arange(plain.length)[:, None], np.arange(len(plain.starts))[None]
    # By turns of three, five, ...: no tensor has a gradient whenever another one has. The shift
    # keeps the turns of nine apart from those of three.
    present = (steps + tensors // 2) % (3 + 2 * tensors) != 0
    return replace(plain, present=present)


def _negated(plain: GradientSequence) -> GradientSequence:
    return replace(plain.times(-1.0), starts=tuple(-start for start in plain.starts))


def _with_empty(plain: GradientSequence) -> GradientSequence:
    """Empty tensors stand first, last and between the others."""
    steps, shape = plain.length, (0, *plain.starts[0].shape[1:])
    starts: list[np.ndarray] = [np.zeros(shape)]
    gradients: list[np.ndarray | None] = [np.zeros((steps, *shape))]
    for start, gradient in zip(plain.starts, plain.gradients, strict=True):
        starts += [start, np.zeros(shape)]
        gradients += [gradient, np.zeros((steps, *shape))]
    return GradientSequence(tuple(starts), tuple(gradients))


def _above_one(plain: GradientSequence) -> GradientSequence:
    """Start between 1.25 and 1.75, where neighbours in bfloat16 are 2**-7 apart."""
    return replace(plain, starts=tuple(1.5 + 0.25 * np.tanh(start) for start in plain.starts))


def _near_zero(plain: GradientSequence) -> GradientSequence:
    """Start at a thousandth, where neighbours in float16 are 1e-6 apart, not 1e-3."""
    return replace(plain, starts=tuple(1e-3 * start for start in plain.starts))


EDITS: Mapping[str, Callable[[GradientSequence], GradientSequence]] = {
    "zeros first": _every(_zeros_first),
    "holes": _every(_with_holes),
    "one zero": _every(_one_zero),
    "none small": _every(_none_small),
    "row means": _every(_row_means),
    "a NaN": _every(_a_nan),
    "second missing": _second_missing,
    "coming and going": _coming_and_going,
    "negated": _negated,
    "with empty": _with_empty,
    "above one": _above_one,
    "near zero": _near_zero,
}
"""What is done to starts and gradients, by the name that a scenario has for it."""
