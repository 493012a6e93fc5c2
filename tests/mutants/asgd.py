"""ASGD in torch's convention, as far as the parameters show it."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from mutants.base import Group, State, Twin, coupled_decay


class ASGD(Twin):
    """Polyak & Juditsky 1992 after Bottou: a rate that falls, and a decay with it.

    The average is left out: torch keeps it in the state, where no parameter sees it, and starts it
    after a million steps. The rate of a step is computed in the step; torch's is computed one step
    ahead (which shows once ``lr`` changes) and kept in float32.
    """

    def __init__(
        self,
        params: Any,
        lr: float = 1e-2,
        lambd: float = 1e-4,
        alpha: float = 0.75,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "lambd": lambd,
                "alpha": alpha,
                "weight_decay": weight_decay,
                "maximize": maximize,
            },
        )

    def begin(self, parameter: Tensor, group: Group) -> State:
        return {"step": 0}

    def update(self, parameter: Tensor, gradient: Tensor, state: State, group: Group) -> None:
        rate = self.rate(self.tick(state, group) - 1, group)
        gradient = coupled_decay(parameter, gradient, group)
        parameter.mul_(1 - group["lambd"] * rate)
        parameter.add_(gradient, alpha=-rate)

    def rate(self, done: int, group: Group) -> float:
        """The learning rate after ``done`` steps."""
        lr: float = group["lr"]
        return lr / (1 + group["lambd"] * lr * done) ** group["alpha"]


class PowerOfTheStepAlone(ASGD):
    """pytorch#125440: the exponent stood at the step and not at the whole bracket."""

    def rate(self, done: int, group: Group) -> float:
        lr: float = group["lr"]
        return lr / (1 + group["lambd"] * lr * done ** group["alpha"])
