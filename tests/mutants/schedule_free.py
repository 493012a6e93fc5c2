"""Schedule-free SGD, whose weights are one thing in training and another when evaluated."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from mutants.base import Group, State, Twin


class ScheduleFreeSGD(Twin):
    """Defazio et al. 2024; a parameter holds y in train mode and x in eval mode."""

    training = True

    def __init__(self, params: Any, lr: float = 1e-2, momentum: float = 0.9) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum})

    def check(self, hyperparameters: Any) -> None:
        super().check(hyperparameters)
        if not 0 < hyperparameters.get("momentum", 0.5) < 1:
            raise ValueError(f"invalid momentum: {hyperparameters['momentum']}")

    def begin(self, parameter: Tensor, group: Group) -> State:
        return {"z": parameter.clone(), "x": parameter.clone(), "total": 0.0}

    def update(self, parameter: Tensor, gradient: Tensor, state: State, group: Group) -> None:
        state["total"] += group["lr"] ** 2
        state["z"].sub_(gradient, alpha=group["lr"])
        state["x"].lerp_(state["z"], self.weight(group["lr"] ** 2, state["total"]))
        parameter.copy_(state["z"].lerp(state["x"], group["momentum"]))

    def weight(self, own: float, total: float) -> float:
        """The part of this step in the average; none where all rates so far were zero."""
        return own / total if total else 0.0

    def eval(self) -> None:
        """Show the average."""
        if self.training:
            self.exchange()
        self.training = False

    def train(self) -> None:
        """Show what gradients are computed at."""
        if not self.training:
            self.exchange()
        self.training = True

    @torch.no_grad()
    def exchange(self) -> None:
        """Exchange a parameter for the average in the state."""
        for parameter, state in self.state.items():
            shown = parameter.clone()
            parameter.copy_(state["x"])
            state["x"].copy_(shown)


class WeightOfAFirstStepAtZero(ScheduleFreeSGD):
    """schedule_free#5: a warm-up begins at a rate of zero, and the sum of weights is zero."""

    def weight(self, own: float, total: float) -> float:
        return own / total


class TrainsWhateverTheMode(ScheduleFreeSGD):
    """schedule_free#22 (a variant): what is in train mode is exchanged once more by train()."""

    def train(self) -> None:
        self.exchange()
        self.training = True
