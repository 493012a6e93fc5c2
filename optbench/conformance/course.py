"""What a subject is led through: starts, and the gradients that it meets on the way.

The gradients are given beforehand and do not depend on the parameters. What two optimizers make of
them differs only by what they compute: nothing is fed back, so that a difference in rounding stays
one. (Optimizers that evaluate the loss themselves get a loss that has these gradients and a
curvature besides.)
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

MIXED = ((5, 3), (3, 7), (6,), (5, 3))
"""A tall matrix, a wide one, a vector: what depends on the shape shows. One shape comes twice:
what is kept by shape shows, too."""

MATRICES = ((5, 3), (3, 7), (4, 4), (5, 3))
"""For methods that take nothing else."""


@dataclass(frozen=True)
class Course:
    """Starts and gradients of several tensors, float64.

    Attributes
    ----------
    starts : tuple of ndarray
        Where each tensor begins.
    gradients : tuple of ndarray or None
        For each tensor [steps, *shape]; None for one that never gets a gradient. After the last
        step they begin again.
    """

    starts: tuple[np.ndarray, ...]
    gradients: tuple[np.ndarray | None, ...]

    @property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """Of the tensors."""
        return tuple(start.shape for start in self.starts)

    @functools.cached_property
    def length(self) -> int:
        """Steps until the gradients begin again."""
        return min(len(g) for g in self.gradients if g is not None)

    def select(self, indices: Sequence[int]) -> Course:
        """Return the course of some of the tensors, in the order given."""
        return Course(
            tuple(self.starts[i] for i in indices), tuple(self.gradients[i] for i in indices)
        )

    def with_gradient(self, index: int, gradient: np.ndarray | None) -> Course:
        """Return the same course with other gradients for one tensor."""
        return replace(
            self,
            gradients=tuple(gradient if i == index else g for i, g in enumerate(self.gradients)),
        )

    def times(self, factor: float) -> Course:
        """Return the same course with every gradient multiplied."""
        return replace(
            self, gradients=tuple(None if g is None else g * factor for g in self.gradients)
        )

    def tensors(
        self, index: int, dtype: torch.dtype, device: torch.device
    ) -> list[Tensor] | list[None]:
        """Return the gradients of one tensor, step by step."""
        gradient = self.gradients[index]
        if gradient is None:
            return [None] * self.length
        return list(torch.from_numpy(gradient[: self.length]).to(device, dtype).unbind(0))


@functools.cache
def course(
    shapes: tuple[tuple[int, ...], ...] = MIXED,
    steps: int = 60,
    *,
    first: float = 1.0,
    last: float = 1.0,
    seed: int = 0,
) -> Course:
    """Return normal gradients whose scale goes from ``first`` to ``last`` along the course.

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
    return Course(starts, gradients)


def shrinking(shapes: tuple[tuple[int, ...], ...], steps: int) -> Course:
    """Gradients from 1 down to 1e-4."""
    return course(shapes, steps, first=1.0, last=1e-4)


def tiny(shapes: tuple[tuple[int, ...], ...], steps: int) -> Course:
    """Gradients about 1e-7, where an eps of 1e-8 is no longer small."""
    return course(shapes, steps, first=1e-6, last=1e-8, seed=1)
