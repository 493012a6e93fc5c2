"""Test functions of the literature: valleys, basins, a saddle, a plateau, a cliff."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from optbench.problems.problem import NEAR_TARGETS, Problem

Function = Callable[[Tensor], Tensor]
"""A function from points [K, dimension] to values [K]."""


def rosenbrock(x: Tensor) -> Tensor:
    """Rosenbrock 1960: a curved valley, easy to find and slow to follow. Minimum 0 at ones."""
    if x.shape[1] == 2:
        a, b = x.unbind(1)
        return (1 - a).square() + 100 * (b - a.square()).square()
    head, tail = x[:, :-1], x[:, 1:]
    return ((1 - head).square() + 100 * (tail - head.square()).square()).sum(1)


def beale(x: Tensor) -> Tensor:
    """Beale 1958: flat arms and steep corners. Minimum 0 at (3, 0.5)."""
    a, b = x.unbind(1)
    return (
        (1.5 - a + a * b).square()
        + (2.25 - a + a * b.square()).square()
        + (2.625 - a + a * b * b.square()).square()
    )


def himmelblau(x: Tensor) -> Tensor:
    """Himmelblau 1972: four equal minima, all 0."""
    a, b = x.unbind(1)
    return (a.square() + b - 11).square() + (a + b.square() - 7).square()


def styblinski_tang(x: Tensor) -> Tensor:
    """Styblinski and Tang 1990: 2^d basins, one of which is deepest."""
    square = x.square()
    return 0.5 * (square * square - 16 * square + 5 * x).sum(1)


def styblinski_tang_minimum(dimension: int) -> float:
    """Return the least value, at the lowest root of 4x^3 - 32x + 5 in every coordinate."""
    x = min(np.roots([4.0, 0.0, -32.0, 5.0]).real)
    return float(dimension * 0.5 * (x**4 - 16 * x**2 + 5 * x))


def rastrigin(x: Tensor) -> Tensor:
    """Rastrigin 1974: a bowl under a lattice of about 10^d local minima. Minimum 0 at 0."""
    # 1 - cos(2 pi x) = 2 sin^2(pi x) keeps its digits near the minimum.
    return (x.square() + 20 * torch.sin(math.pi * x).square()).sum(1)


def powell_singular(x: Tensor) -> Tensor:
    """Powell 1962: the Hessian is singular at the minimum, 0 at 0."""
    a, b, c, d = x.unbind(1)
    return (
        (a + 10 * b).square()
        + 5 * (c - d).square()
        + (b - 2 * c).square().square()
        + 10 * (a - d).square().square()
    )


def saddle(x: Tensor) -> Tensor:
    """Return a strict saddle at 0 between two minima at (0, +-1), where it is 0."""
    a, b = x.unbind(1)
    return 0.5 * a.square() + 0.25 * (b.square() - 1).square()


def plateau(x: Tensor) -> Tensor:
    """Return a Gaussian well, whose gradient vanishes like exp(-r^2/2). Minimum 0 at 0."""
    return -torch.expm1(-0.5 * x.square().sum(1))


def cliff(x: Tensor) -> Tensor:
    """One recurrent sigmoid unit over 50 steps, to be brought to 0.7 (Pascanu et al. 2013).

    The state h' = w s(h) + b is 0.5 at the start; along a curve in (w, b) the last state jumps
    from one fixed point to another, and its gradient explodes.
    """
    w, b = x.unbind(1)
    h = torch.full_like(w, 0.5)
    for _ in range(50):
        # s(h) by way of tanh: torch's sigmoid rounds what a vector register leaves over otherwise,
        # and here the last bit decides on which side of the cliff a run comes down.
        h = torch.addcmul(b, w, 0.5 + 0.5 * torch.tanh(0.5 * h))
    return (h - 0.7).square()


class Landscape(Problem):
    """A function of a point, with a start drawn uniformly from a box.

    Parameters
    ----------
    function : callable
        From [K, dimension] to [K].
    low, high : tuple of float
        Corners of the box of starts; their length is the dimension.
    """

    family = "landscape"

    def __init__(
        self,
        name: str,
        function: Function,
        low: tuple[float, ...],
        high: tuple[float, ...],
        version: int = 1,
        **row: Any,
    ) -> None:
        super().__init__(name, **row)
        self.version = version
        self.function = function
        self.low = np.array(low)
        self.high = np.array(high)

    def start(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        return {"x": rng.uniform(self.low, self.high)}

    def loss(self, params: Mapping[str, Tensor], batch: Tensor | None) -> Tensor:
        return self.function(params["x"])

    def metrics(self, params: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the path itself, where it can be drawn."""
        x = params["x"]
        return {"x0": x[:, 0], "x1": x[:, 1]} if x.shape[1] == 2 else {}


def landscapes() -> list[Problem]:
    """Return the problems of the family."""
    survey = "Jamil and Yang 2013, A Literature Survey of Benchmark Functions, no. "
    return [
        Landscape("rosenbrock-2d", rosenbrock, (-2.048,) * 2, (2.048,) * 2,
                  budget=2000, target=1e-4,
                  cite="Rosenbrock 1960, An Automatic Method for Finding the Greatest or Least "
                       "Value of a Function",
                  summary="A curved valley: the direction that matters has the least slope."),
        Landscape("rosenbrock-20d", rosenbrock, (-2.048,) * 20, (2.048,) * 20,
                  budget=3000, target=1e-2,
                  cite="Rosenbrock 1960; chained form of More, Garbow and Hillstrom 1981",
                  summary="The valley in 20 dimensions, with a second, local minimum."),
        Landscape("beale", beale, (0.5, 0.5), (1.5, 1.5), budget=2000, target=1e-4,
                  cite="Beale 1958; More, Garbow and Hillstrom 1981, no. 5",
                  summary="Flat arms beside steep corners, from around the classic start (1, 1)."),
        Landscape("himmelblau", himmelblau, (-5.0, -5.0), (5.0, 5.0), budget=1000, target=1e-6,
                  cite="Himmelblau 1972, Applied Nonlinear Programming",
                  summary="Four equal minima; any will do."),
        Landscape("styblinski-tang", styblinski_tang, (-5.0,) * 2, (5.0,) * 2,
                  minimum=styblinski_tang_minimum(2), targets=NEAR_TARGETS,
                  budget=1000, target=10.0 ** -3, cite=survey + "144",
                  summary="Four basins, one of them deepest: a local method finds it by luck."),
        Landscape("rastrigin", rastrigin, (-5.12,) * 2, (5.12,) * 2, budget=1000, target=1e-2,
                  cite="Rastrigin 1974; Muehlenbein et al. 1991",
                  summary="A bowl under a lattice of local minima: it takes leaps, or luck."),
        Landscape("powell-singular", powell_singular, (2.0, -2.0, -1.0, 0.0), (4.0, 0.0, 1.0, 2.0),
                  budget=2000, target=1e-4,
                  cite="Powell 1962; More, Garbow and Hillstrom 1981, no. 13",
                  summary="A singular Hessian at the minimum: linear methods turn sublinear."),
        Landscape("saddle", saddle, (-1.0, -1e-4), (1.0, 1e-4), budget=1000, target=1e-4,
                  cite="Dauphin et al. 2014, Identifying and attacking the saddle point problem",
                  summary="It starts beside a saddle's ridge; the way out is all but flat."),
        Landscape("plateau", plateau, (2.5, 2.5), (3.0, 3.0), budget=2000, target=1e-4,
                  cite="Gaussian well; Hochreiter 1991 on vanishing gradients",
                  summary="A start where the gradient has all but vanished."),
        Landscape("cliff", cliff, (2.0, -1.6), (7.0, -0.6), version=2, budget=500, target=1e-2,
                  targets=NEAR_TARGETS,
                  cite="Pascanu et al. 2013, On the difficulty of training RNNs, figure 6",
                  summary="A wall in the landscape where the gradient explodes."),
    ]  # fmt: skip
