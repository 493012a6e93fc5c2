"""Muon in torch's convention."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from mutants.base import Group, State, Twin, decoupled_decay, zeros

# Jordan 2024: coefficients that lift small singular values fast; torch's arithmetic is float32's.
A, B, C = (float(torch.tensor(c, dtype=torch.float32)) for c in (3.4445, -4.7750, 2.0315))
ROUNDS = 5
SMALLEST_NORM = 1e-7


class Muon(Twin):
    """Jordan 2024: Nesterov momentum, made nearly orthogonal; matrices only."""

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        weight_decay: float = 0.1,
        momentum: float = 0.95,
        nesterov: bool = True,
    ) -> None:
        super().__init__(
            params,
            {"lr": lr, "weight_decay": weight_decay, "momentum": momentum, "nesterov": nesterov},
        )

    def add_param_group(self, param_group: Group) -> None:
        """Add a group of matrices."""
        super().add_param_group(param_group)
        for parameter in self.param_groups[-1]["params"]:
            if parameter.ndim != 2:
                self.param_groups.pop()
                raise ValueError(f"Muon takes matrices, not shape {tuple(parameter.shape)}")

    def begin(self, parameter: Tensor, group: Group) -> State:
        return {"momentum_buffer": zeros(parameter)}

    def update(self, parameter: Tensor, gradient: Tensor, state: State, group: Group) -> None:
        buffer, momentum = state["momentum_buffer"], group["momentum"]
        buffer.lerp_(gradient, 1 - momentum)
        direction = gradient.lerp(buffer, momentum) if group["nesterov"] else buffer
        direction = orthogonalized(direction)
        decoupled_decay(parameter, gradient, group)
        parameter.add_(direction, alpha=-group["lr"] * self.scale(*parameter.shape))

    def scale(self, rows: int, columns: int) -> float:
        """What a matrix's shape does to its rate."""
        return max(1.0, rows / columns) ** 0.5


def orthogonalized(matrix: Tensor) -> Tensor:
    """Newton-Schulz in bfloat16: singular values to about one.

    A product is summed in float64 and rounded once. Torch sums in float32, with the same result
    but for a last bit here and there.
    """
    tall = matrix.shape[0] > matrix.shape[1]
    x = rounded(matrix.double().T if tall else matrix.double())
    x = rounded(x / rounded(x.norm().clamp_min(SMALLEST_NORM)))
    for _ in range(ROUNDS):
        gram = rounded(x @ x.T)
        x = rounded(A * x + rounded(B * gram + C * (gram @ gram)) @ x)
    return (x.T if tall else x).to(matrix.dtype)


def rounded(matrix: Tensor) -> Tensor:
    """To bfloat16 and back."""
    return matrix.bfloat16().double()


class ShapeScaleWithoutItsFloor(Muon):
    """optax#1249 (also pytorch_optimizer#371): sqrt(rows / columns) without the max(1, .).

    Tall matrices cannot tell the difference.
    """

    def scale(self, rows: int, columns: int) -> float:
        return (rows / columns) ** 0.5
