"""Lion and Signum, which move by signs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from mutants.base import Group, State, Twin, coupled_decay, decoupled_decay, zeros


class Lion(Twin):
    """Chen et al. 2023, Algorithm 2."""

    def __init__(
        self,
        params: Any,
        lr: float = 1e-4,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(
            params,
            {"lr": lr, "betas": betas, "weight_decay": weight_decay, "maximize": maximize},
        )

    def begin(self, parameter: Tensor, group: Group) -> State:
        return {"exp_avg": zeros(parameter)}

    def update(self, parameter: Tensor, gradient: Tensor, state: State, group: Group) -> None:
        beta1, beta2 = group["betas"]
        momentum = state["exp_avg"]
        gradient = self.decay(parameter, gradient, group)
        direction = torch.lerp(gradient, momentum, beta1).sign_()
        parameter.add_(direction, alpha=-group["lr"])
        momentum.lerp_(gradient, 1 - beta2)

    def decay(self, parameter: Tensor, gradient: Tensor, group: Group) -> Tensor:
        """Weight decay: decoupled."""
        return decoupled_decay(parameter, gradient, group)


class DecayInsideTheSign(Lion):
    """bitsandbytes#1992: the decay went into the gradient, of which only the sign is left."""

    def decay(self, parameter: Tensor, gradient: Tensor, group: Group) -> Tensor:
        return coupled_decay(parameter, gradient, group)


class Signum(Twin):
    """Bernstein et al. 2018, Algorithm 2."""

    RANGES: Mapping[str, float] = {"momentum": 1.0}

    def __init__(
        self,
        params: Any,
        lr: float = 1e-4,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(
            params,
            {"lr": lr, "momentum": momentum, "weight_decay": weight_decay, "maximize": maximize},
        )

    def begin(self, parameter: Tensor, group: Group) -> State:
        return {"momentum_buffer": zeros(parameter)}

    def update(self, parameter: Tensor, gradient: Tensor, state: State, group: Group) -> None:
        momentum = state["momentum_buffer"]
        momentum.lerp_(gradient, 1 - group["momentum"])
        self.decay(parameter, gradient, group)
        parameter.add_(momentum.sign(), alpha=-group["lr"])

    def decay(self, parameter: Tensor, gradient: Tensor, group: Group) -> Tensor:
        """Weight decay: decoupled."""
        return decoupled_decay(parameter, gradient, group)


class WeightDecayIgnored(Signum):
    """pytorch_optimizer#517: taken, checked, stored, never used."""

    def decay(self, parameter: Tensor, gradient: Tensor, group: Group) -> Tensor:
        return gradient


class BufferZeroedEveryStep(Signum):
    """pytorch_optimizer#516: every step begins the state anew, as only the first should."""

    def update(self, parameter: Tensor, gradient: Tensor, state: State, group: Group) -> None:
        state.update(self.begin(parameter, group))
        super().update(parameter, gradient, state, group)


class DecaysByAConstant(Signum):
    """jettify#454 (there in SGDW): lr times decay is taken off, not that part of the parameter."""

    def decay(self, parameter: Tensor, gradient: Tensor, group: Group) -> Tensor:
        parameter.sub_(group["lr"] * group["weight_decay"])
        return gradient
