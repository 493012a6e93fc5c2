"""Convex problems: quadratics, an L1 norm, logistic regressions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from optbench.problems import mnist
from optbench.problems.batches import InBatches, index_batches, rows
from optbench.problems.minima import frozen_minimum
from optbench.problems.problem import NEAR_TARGETS, Problem


def orthogonal(dimension: int, seed: int) -> np.ndarray:
    """Return a fixed random rotation, Haar distributed up to signs, as a product of reflections."""
    rng = np.random.default_rng(seed)
    q = np.eye(dimension)
    for _ in range(dimension):
        v = rng.standard_normal(dimension)
        v /= np.sqrt(np.sum(v * v))
        q -= 2.0 * np.outer(v, v @ q)
    return q


class Quadratic(Problem):
    r"""Half of :math:`\sum_i \lambda_i y_i^2`, with y = x or y = Qx.

    The eigenvalues are spaced evenly on a log scale from 1/condition to 1, so that gradient
    descent converges for lr < 2 whatever the condition.
    """

    family = "convex"

    def __init__(
        self,
        name: str,
        *,
        condition: float,
        rotated: bool = False,
        dimension: int = 100,
        **row: Any,
    ) -> None:
        super().__init__(name, **row)
        self.eigenvalues = np.logspace(-np.log10(condition), 0, dimension)
        self.rotation = orthogonal(dimension, seed=20150507) if rotated else None

    def start(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        return {"x": rng.standard_normal(len(self.eigenvalues))}

    def arrays(self) -> dict[str, np.ndarray]:
        # The half of the formula is taken into the constant: one operation less a step.
        constants = {"half_eigenvalues": 0.5 * self.eigenvalues}
        if self.rotation is not None:
            constants["rotation"] = self.rotation
        return constants

    def loss(self, params: Mapping[str, Tensor], batch: Tensor | None) -> Tensor:
        y = params["x"]
        if self.rotation is not None:
            q = self.tensors["rotation"]
            y = torch.bmm(y.unsqueeze(1), q.expand(len(y), *q.shape)).squeeze(1)
        return (self.tensors["half_eigenvalues"] * y.square()).sum(1)


class L1(Problem):
    """Weighted absolute distances: convex, with a kink at the minimum.

    The gradient does not shrink on the way, so a fixed rate cannot settle: it ends in a band
    around the minimum whose width is the rate.
    """

    family = "convex"

    def __init__(self, name: str, *, dimension: int = 100, **row: Any) -> None:
        super().__init__(name, **row)
        self.weights = np.logspace(-2, 0, dimension)

    def start(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        return {"x": rng.standard_normal(len(self.weights))}

    def arrays(self) -> dict[str, np.ndarray]:
        return {"weights": self.weights}

    def loss(self, params: Mapping[str, Tensor], batch: Tensor | None) -> Tensor:
        return (self.tensors["weights"] * params["x"].abs()).sum(1)


class SparseLogistic(InBatches):
    """Logistic regression on sparse binary features whose frequencies follow a power law.

    Every example has ten active features of 300; a mini-batch touches few of the rare ones, so
    that a gradient is sparse. Each feature also has one example of its own with either label:
    that makes the minimum finite without a penalty, which would make the gradient dense.
    """

    family = "convex"
    sparse = True
    examples, features, active, batch_size = 2000, 300, 10, 32

    def __init__(self, name: str, **row: Any) -> None:
        super().__init__(name, **row)
        rng = np.random.default_rng(20110701)
        frequency = 1.0 / np.arange(1, self.features + 1)
        frequency /= frequency.sum()
        index = np.stack(
            [
                rng.choice(self.features, self.active, replace=False, p=frequency)
                for _ in range(self.examples)
            ]
        )
        truth = rng.standard_normal(self.features)
        logits = truth[index].sum(1)
        label = (rng.random(self.examples) < 1 / (1 + np.exp(-logits))).astype(float)
        # An example of one feature is padded with the index `features`: a weight that is zero.
        single = np.full((2 * self.features, self.active), self.features)
        single[:, 0] = np.tile(np.arange(self.features), 2)
        self.index = np.concatenate([index, single])
        self.label = np.concatenate([label, np.repeat([0.0, 1.0], self.features)])

    @property
    def minimum(self) -> float:
        return frozen_minimum(self.name, self.version, self.data)

    @property
    def data(self) -> str:
        return "synthetic"

    def start(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        return {"w": 0.1 * rng.standard_normal(self.features)}

    def arrays(self) -> dict[str, np.ndarray]:
        return {"index": self.index, "sign": 2 * self.label - 1}

    def batches(self, rng: np.random.Generator) -> Iterator[np.ndarray]:
        return index_batches(rng, len(self.index), self.batch_size)

    def loss(self, params: Mapping[str, Tensor], batch: Tensor | None) -> Tensor:
        w = params["w"]
        lanes = len(w)
        index, sign = self.tensors["index"], self.tensors["sign"]
        if batch is None:
            index, sign = index.expand(lanes, *index.shape), sign.expand(lanes, *sign.shape)
        else:
            index, sign = index[batch], sign[batch]
        padded = torch.nn.functional.pad(w, (0, 1))
        logits = padded.gather(1, index.reshape(lanes, -1)).reshape(index.shape).sum(2)
        return torch.nn.functional.softplus(-sign * logits).mean(1)


class MnistLogistic(InBatches):
    r"""Multinomial logistic regression on MNIST with an L2 penalty, in mini-batches of 128.

    The objective is the mean training cross-entropy plus :math:`\frac{\mu}{2} \|W\|^2`,
    :math:`\mu` = 1e-3: strongly convex, so that its minimum exists and is found to 1e-10.
    """

    family = "convex"
    max_lanes = 16
    observe_every = 20
    batch_size = 128
    penalty = 1e-3

    def __init__(self, name: str, **row: Any) -> None:
        super().__init__(name, **row)

    @property
    def data(self) -> str:
        return mnist.load().name

    @property
    def minimum(self) -> float:
        return frozen_minimum(self.name, self.version, self.data)

    def start(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        return {"w": 0.01 * rng.standard_normal((784, 10)), "b": np.zeros(10)}

    def arrays(self) -> dict[str, np.ndarray]:
        digits = mnist.load()
        return {"x": digits.train_x, "y": digits.train_y, "held_x": digits.held_x,
                "held_y": digits.held_y}  # fmt: skip

    def batches(self, rng: np.random.Generator) -> Iterator[np.ndarray]:
        return index_batches(rng, len(mnist.load().train_y), self.batch_size)

    def _penalized(self, w: Tensor) -> Tensor:
        return 0.5 * self.penalty * w.square().sum((1, 2))

    def loss(self, params: Mapping[str, Tensor], batch: Tensor | None) -> Tensor:
        assert batch is not None
        x = rows(self.tensors["x"], batch)
        logits = torch.bmm(x, params["w"]) + params["b"].unsqueeze(1)
        fit = mnist.cross_entropy(logits, self.tensors["y"].take(batch))
        return fit + self._penalized(params["w"])

    def objective(self, params: Mapping[str, Tensor]) -> Tensor:
        x, y = self.tensors["x"], self.tensors["y"]
        fit = [
            mnist.cross_entropy((x @ w + b).unsqueeze(0), y.unsqueeze(0))
            for w, b in zip(params["w"], params["b"], strict=True)
        ]
        return torch.cat(fit) + self._penalized(params["w"])

    def metrics(self, params: Mapping[str, Tensor]) -> dict[str, Tensor]:
        x, y = self.tensors["held_x"], self.tensors["held_y"]
        wrong = [
            (x @ w + b).argmax(1).ne(y).double().mean()
            for w, b in zip(params["w"], params["b"], strict=True)
        ]
        return {"error_rate": torch.stack(wrong)}


def convex() -> list[Problem]:
    """Return the problems of the family."""
    return [
        Quadratic("quadratic", condition=10.0, budget=1000, target=1e-6,
                  cite="Nesterov 2004, Introductory Lectures on Convex Optimization, 2.1",
                  summary="100 dimensions, condition 10: every method should be quick."),
        Quadratic("quadratic-ill", condition=1e4, budget=2000, target=1e-3,
                  cite="Nesterov 2004, Introductory Lectures on Convex Optimization, 2.1",
                  summary="100 dimensions, condition 1e4, along the axes: made for a diagonal "
                          "preconditioner."),
        Quadratic("quadratic-ill-rotated", condition=1e4, rotated=True, budget=2000, target=1e-3,
                  cite="Hansen et al. 2011, Impacts of Invariance in Search",
                  summary="The same, rotated: a diagonal preconditioner has lost its axes."),
        L1("l1", budget=2000, target=10.0 ** -2, targets=NEAR_TARGETS,
           cite="Shor 1985, Minimization Methods for Non-Differentiable Functions",
           summary="100 dimensions, a kink at the minimum: the gradient never shrinks."),
        SparseLogistic("sparse-logistic", budget=2000, target=10.0 ** -1.5, targets=NEAR_TARGETS,
                       cite="Duchi et al. 2011, Adaptive Subgradient Methods, 1.1 (setting)",
                       summary="Rare features: most gradients are zero most of the time."),
        MnistLogistic("mnist-logistic", budget=600, target=10.0 ** -1, targets=NEAR_TARGETS,
                      cite="Kingma and Ba 2015, section 6.1",
                      summary="The Adam paper's first experiment, on real digits."),
    ]  # fmt: skip
