"""Rprop in torch's convention (iRprop-)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from mutants.base import Group, State, Twin, zeros


class Rprop(Twin):
    """Riedmiller & Braun 1993 without the backtracking: a flip of the sign skips the step.

    ``lr`` is where the step sizes begin. When it changes they change with it; torch looks at it
    once, so that no scheduler has an effect.
    """

    SMALLEST, LARGEST = 1e-6, 50.0
    """Torch's default ``step_sizes``."""

    def __init__(
        self,
        params: Any,
        lr: float = 1e-2,
        etas: tuple[float, float] = (0.5, 1.2),
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, {"lr": lr, "etas": etas, "maximize": maximize})

    def check(self, hyperparameters: Mapping[str, Any]) -> None:
        super().check(hyperparameters)
        if "etas" in hyperparameters:
            shrink, grow = hyperparameters["etas"]
            if not 0.0 < shrink < 1.0 < grow:
                raise ValueError(f"etas must be below and above 1, not {shrink!r} and {grow!r}")

    def begin(self, parameter: Tensor, group: Group) -> State:
        return {
            "prev": zeros(parameter),
            "step_size": torch.full_like(parameter, group["lr"]),
            "lr": group["lr"],
        }

    def update(self, parameter: Tensor, gradient: Tensor, state: State, group: Group) -> None:
        shrink, grow = group["etas"]
        if state["lr"] != group["lr"]:
            if state["lr"]:
                state["step_size"].mul_(group["lr"] / state["lr"])
            else:
                state["step_size"].fill_(group["lr"])
            state["lr"] = group["lr"]
        sign = (gradient * state["prev"]).sign()
        factor = torch.ones_like(sign).masked_fill_(sign > 0, grow).masked_fill_(sign < 0, shrink)
        state["step_size"].mul_(factor).clamp_(self.SMALLEST, self.LARGEST)
        gradient = gradient.masked_fill(sign < 0, 0.0)
        self.move(parameter, gradient.sign() * state["step_size"], sign, state)
        state["prev"].copy_(gradient)

    def move(self, parameter: Tensor, update: Tensor, sign: Tensor, state: State) -> None:
        """Take the step."""
        parameter.sub_(update)


class OneStepStale(Rprop):
    """optax#1725: what is taken is the step of the time before; the first is zero."""

    def move(self, parameter: Tensor, update: Tensor, sign: Tensor, state: State) -> None:
        stale = state.get("update", zeros(parameter))
        state["update"] = update
        parameter.sub_(stale.masked_fill(sign < 0, 0.0))
