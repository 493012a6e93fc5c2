"""Problems made to break a method."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
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


def counterexamples() -> list[Problem]:
    """The family's rows."""
    return [
        Reddi("reddi", budget=25_000, target=10.0 ** -1, targets=NEAR_TARGETS,
              settings={"lr": 1e-2, "betas": (0.9, 0.98)},
              cite="Reddi et al. 2018, On the Convergence of Adam and Beyond, Theorem 3",
              summary="A rare large gradient against many small ones, on [-1, 1]."),
    ]  # fmt: skip
