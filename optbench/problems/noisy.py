"""Gradients with noise, of three kinds. Scored on the objective without it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from optbench.problems.batches import own_terms
from optbench.problems.convex import Quadratic
from optbench.problems.landscape import Landscape, rosenbrock
from optbench.problems.problem import NEAR_TARGETS, Problem

BLOCK = 256
"""Steps of noise that are drawn at a time."""


class AdditiveNoise(Problem):
    """A problem whose gradient is its own plus independent noise in every coordinate.

    The noise enters the loss as the inner product <noise, x>, whose gradient it is.

    Parameters
    ----------
    base : Problem
        A deterministic problem of one parameter ``x``.
    scale : float
        Standard deviation for normal noise, the scale of Student's t otherwise.
    degrees : float or None
        None for normal noise; else the degrees of freedom of Student's t: at 2 and below its
        variance is infinite, at 1 and below its mean is not defined.
    """

    family = "noisy"

    def __init__(
        self, name: str, base: Problem, *, scale: float, degrees: float | None = None, **row: Any
    ) -> None:
        super().__init__(name, minimum=base.minimum, **row)
        self.base = base
        self.scale = scale
        self.degrees = degrees
        self.samples = base.dimension

    def start(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        return self.base.start(rng)

    def bind(self, dtype: torch.dtype, device: torch.device) -> Problem:
        bound = super().bind(dtype, device)
        assert isinstance(bound, AdditiveNoise)
        bound.base = self.base.bind(dtype, device)
        return bound

    def batches(self, rng: np.random.Generator) -> Iterator[np.ndarray]:
        shape = (BLOCK, self.base.dimension)
        while True:
            if self.degrees is None:
                noise = rng.standard_normal(shape)
            else:
                noise = rng.standard_t(self.degrees, shape)
            yield self.scale * noise

    def loss(self, params: Mapping[str, Tensor], batch: Tensor | None) -> Tensor:
        assert batch is not None
        return self.base.loss(params, None) + (batch * params["x"]).sum(1)

    def part(
        self, params: Mapping[str, Tensor], batch: Tensor | None, rank: int, world: int
    ) -> Tensor:
        """Return the noise of a range of coordinates; there are no examples to divide."""
        assert batch is not None
        return self.loss(params, own_terms(batch, rank, world))

    def objective(self, params: Mapping[str, Tensor]) -> Tensor:
        return self.base.loss(params, None)

    def metrics(self, params: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return self.base.metrics(params)


class MultiplicativeNoise(Quadratic):
    """A quadratic whose curvatures are drawn anew in every step, with the right mean.

    Each eigenvalue is multiplied by a log-normal variable of mean 1. The noise vanishes at the
    minimum, as it does for a model that can fit its data (Vaswani et al. 2019).
    """

    family = "noisy"

    def __init__(self, name: str, *, sigma: float, condition: float, **row: Any) -> None:
        super().__init__(name, condition=condition, **row)
        self.sigma = sigma
        self.samples = len(self.eigenvalues)

    def batches(self, rng: np.random.Generator) -> Iterator[np.ndarray]:
        while True:
            z = rng.standard_normal((BLOCK, len(self.eigenvalues)))
            yield np.exp(self.sigma * z - 0.5 * self.sigma**2)

    def loss(self, params: Mapping[str, Tensor], batch: Tensor | None) -> Tensor:
        assert batch is not None
        return (self.tensors["half_eigenvalues"] * batch * params["x"].square()).sum(1)

    def part(
        self, params: Mapping[str, Tensor], batch: Tensor | None, rank: int, world: int
    ) -> Tensor:
        """Return the curvatures of a range of coordinates."""
        assert batch is not None
        return self.loss(params, own_terms(batch, rank, world))

    def objective(self, params: Mapping[str, Tensor]) -> Tensor:
        return super().loss(params, None)


def noisy() -> list[Problem]:
    """Return the problems of the family."""
    bowl = Quadratic("bowl", condition=10.0)
    valley = Landscape("valley", rosenbrock, (-2.048,) * 2, (2.048,) * 2)
    return [
        AdditiveNoise("noisy-quadratic", bowl, scale=0.1, budget=2000, target=10.0 ** -1.5,
                      targets=NEAR_TARGETS,
                      cite="Schaul et al. 2013, No More Pesky Learning Rates",
                      summary="Normal noise: a fixed rate ends in a cloud around the minimum."),
        AdditiveNoise("heavy-tailed-quadratic", bowl, scale=0.1, degrees=1.5, budget=2000,
                      target=10.0 ** -1, targets=NEAR_TARGETS,
                      cite="Zhang et al. 2020, Why are Adaptive Methods Good for Attention Models?",
                      summary="Student's t with 1.5 degrees: now and then a huge gradient."),
        MultiplicativeNoise("multiplicative-quadratic", sigma=1.0, condition=10.0, budget=1000,
                            target=1e-4, cite="Vaswani et al. 2019, Fast and Faster Convergence "
                                              "of SGD for Over-Parameterized Models",
                            summary="Noise that vanishes at the minimum (interpolation)."),
        AdditiveNoise("noisy-rosenbrock", valley, scale=1.0, budget=2000, target=10.0 ** -2.5,
                      targets=NEAR_TARGETS,
                      cite="Rosenbrock 1960, with normal noise of standard deviation 1",
                      summary="The valley's small slope under a noise that is larger."),
    ]  # fmt: skip
