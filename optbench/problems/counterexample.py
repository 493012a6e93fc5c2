"""Problems made to break a method."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from optbench.problems.noisy import BLOCK
from optbench.problems.problem import NEAR_TARGETS, Problem


class Reddi(Problem):
    r"""The stochastic online problem on which Adam fails and AMSGrad does not.

    Reddi et al. 2018, Theorem 3 (and section 5, with other constants): on [-1, 1],

    .. math:: f_t(x) = C\,x \text{ with probability } p, \quad -x \text{ otherwise},

    so that the expected loss rises with x and its minimum stands at -1. With beta2 = 0.98 Adam
    forgets the rare large gradient before the many small ones have had their say, and goes to
    +1. The paper's section 5 has p = 0.01 and C = 101, whose expected slope of 0.02 takes
    AMSGrad millions of steps to follow; p = 0.003 and C = 2000 show the same within 25,000.

    The statement is about given rates, so the problem fixes them (`settings`): with torch's
    default beta2 of 0.999 Adam remembers long enough.
    """

    family = "counterexample"
    rare, large = 0.003, 2000.0

    def __init__(self, name: str, **row: Any) -> None:
        self.slope = self.rare * self.large - (1 - self.rare)
        super().__init__(name, minimum=-self.slope, **row)

    def start(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        return {"x": rng.uniform(-0.5, 0.5, 1)}

    def batches(self, rng: np.random.Generator) -> Iterator[np.ndarray]:
        while True:
            yield np.where(rng.random((BLOCK, 1)) < self.rare, self.large, -1.0)

    def loss(self, params: Mapping[str, Tensor], batch: Tensor | None) -> Tensor:
        assert batch is not None
        return (batch * params["x"]).sum(1)

    def objective(self, params: Mapping[str, Tensor]) -> Tensor:
        return self.slope * params["x"].sum(1)

    def project(self, params: Mapping[str, Tensor]) -> None:
        params["x"].clamp_(-1.0, 1.0)

    def metrics(self, params: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {"x0": params["x"][:, 0]}


class WilsonLeastSquares(Problem):
    r"""The separable least squares of Wilson et al. 2017, section 3, from w = 0.

    Labels are y = 1 or -1. Feature 1 is y; features 2 and 3 are always 1; then an example has
    five features of its own, of which the first (y = 1) or all (y = -1) are 1. Only feature 1
    says anything of a fresh example, whose own features nobody has seen.

    With u = X^T y, X sign(u) = 4 y: a positive example sums to 1 + 2 + 1, a negative one to
    -1 + 2 - 5. So sign(u)/4 fits exactly, and lies where Lemma 3.1 sends adaptive methods: all
    gradients from 0 on are multiples of u, and they divide out its sizes. On a fresh example it
    says y/4 + 2/4 > 0, whatever y is.

    The metric ``error_rate`` is the share of misclassified fresh examples, whose labels are those
    of the training set; a tie, as at the origin, is an error. Start and gradients have nothing
    random in them, so that all seeds give one run: more of them are no more evidence.
    """

    family = "counterexample"
    positive, negative, own = 15, 9, 5
    samples = positive + negative

    def __init__(self, name: str, **row: Any) -> None:
        super().__init__(name, **row)
        self.y = np.repeat([1.0, -1.0], [self.positive, self.negative])
        self.x = self.fresh(self.y)
        for i, label in enumerate(self.y):
            first = 3 + self.own * i
            self.x[i, first : first + (1 if label > 0 else self.own)] = 1.0

    def fresh(self, labels: np.ndarray) -> np.ndarray:
        """Unseen examples of these labels: [n, features]; their own features are not in w."""
        rows = np.zeros((len(labels), 3 + self.own * (self.positive + self.negative)))
        rows[:, 0], rows[:, 1:3] = labels, 1.0
        return rows

    @property
    def data(self) -> str:
        return "synthetic"

    def start(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Return the origin: it lies in the span of the examples, which the statement needs."""
        return {"w": np.zeros(self.x.shape[1])}

    def arrays(self) -> dict[str, np.ndarray]:
        # Examples as columns that lie row by row: the form whose bits do not depend on K.
        columns = np.ascontiguousarray(self.x.T), np.ascontiguousarray(self.fresh(self.y).T)
        return {"x": columns[0], "fresh": columns[1], "y": self.y}

    def _answers(self, examples: Tensor, w: Tensor) -> Tensor:
        """Inner products of each lane with each example: [K, n] of [features, n], [K, features]."""
        x = examples.expand(len(w), *examples.shape)
        return torch.bmm(w.unsqueeze(1), x).squeeze(1)

    def loss(self, params: Mapping[str, Tensor], batch: Tensor | None) -> Tensor:
        return self._loss(params, self.tensors["x"], self.tensors["y"])

    def part(
        self, params: Mapping[str, Tensor], batch: Tensor | None, rank: int, world: int
    ) -> Tensor:
        x = self.tensors["x"].tensor_split(world, dim=1)[rank]
        y = self.tensors["y"].tensor_split(world)[rank]
        return self._loss(params, x, y) * (len(y) * world / self.samples)

    def _loss(self, params: Mapping[str, Tensor], x: Tensor, y: Tensor) -> Tensor:
        residual = self._answers(x, params["w"]) - y
        return 0.5 * residual.square().mean(1)

    def metrics(self, params: Mapping[str, Tensor]) -> dict[str, Tensor]:
        said = self._answers(self.tensors["fresh"], params["w"]).sign()
        return {"error_rate": said.ne(self.tensors["y"]).double().mean(1)}


def counterexamples() -> list[Problem]:
    """Return the problems of the family."""
    return [
        Reddi("reddi", budget=25_000, target=10.0 ** -1, targets=NEAR_TARGETS,
              settings={"lr": 1e-2, "betas": (0.9, 0.98)},
              cite="Reddi et al. 2018, On the Convergence of Adam and Beyond, Theorem 3",
              summary="A rare large gradient against many small ones, on [-1, 1]."),
        WilsonLeastSquares("wilson", budget=1000, target=1e-4,
                           cite="Wilson et al. 2017, The Marginal Value of Adaptive Gradient "
                                "Methods in Machine Learning, section 3",
                           summary="24 separable examples, where some solutions know nothing of "
                                   "fresh ones; all seeds agree."),
    ]  # fmt: skip
