"""Matrix factorization."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from optbench.problems.problem import Problem


class MatrixCompletion(Problem):
    """Fill in a matrix of low rank from a part of its entries, by a product of two factors.

    Half of the mean squared error over the known entries. The matrix has the rank of the
    factors exactly, so the minimum is 0; it is not convex, yet without bad local minima where
    enough entries are known (Ge, Lee and Ma 2016).
    """

    family = "factorization"

    def __init__(
        self, name: str, *, rows: int = 40, columns: int = 30, rank: int = 5, known: float = 0.5,
        **row: Any,
    ) -> None:  # fmt: skip
        super().__init__(name, **row)
        rng = np.random.default_rng(20090801)
        self.rank = rank
        left, right = rng.standard_normal((rows, rank)), rng.standard_normal((columns, rank))
        self.matrix = left @ right.T / np.sqrt(rank)
        self.mask = (rng.random((rows, columns)) < known).astype(float)

    @property
    def data(self) -> str:
        return "synthetic"

    def start(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        rows, columns = self.matrix.shape
        return {
            "left": 0.3 * rng.standard_normal((rows, self.rank)),
            "right": 0.3 * rng.standard_normal((self.rank, columns)),
        }

    def arrays(self) -> dict[str, np.ndarray]:
        return {
            "matrix": self.matrix,
            "weight": 0.5 * self.mask / self.mask.sum(),
        }

    def loss(self, params: Mapping[str, Tensor], batch: Tensor | None) -> Tensor:
        # The right factor lies transposed: the gradient of the other layout has bits that
        # depend on where in memory a lane begins.
        error = torch.bmm(params["left"], params["right"]) - self.tensors["matrix"]
        return (self.tensors["weight"] * error.square()).sum((1, 2))


def factorizations() -> list[Problem]:
    """Return the problems of the family."""
    return [
        MatrixCompletion("matrix-completion", budget=1000, target=1e-3,
                         cite="Candes and Recht 2009; Ge, Lee and Ma 2016",
                         summary="Rank 5, 40 x 30, half the entries known."),
    ]  # fmt: skip
