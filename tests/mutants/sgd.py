"""SGD with Nesterov's momentum in torch's convention."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from mutants.base import Group, State, Twin, coupled_decay


class SGD(Twin):
    """Sutskever et al. 2013 in the shifted form: the gradient is taken where the parameter is."""

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        nesterov: bool = True,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "momentum": momentum,
                "weight_decay": weight_decay,
                "nesterov": nesterov,
                "maximize": maximize,
            },
        )

    def begin(self, parameter: Tensor, group: Group) -> State:
        return {}

    def update(self, parameter: Tensor, gradient: Tensor, state: State, group: Group) -> None:
        gradient = coupled_decay(parameter, gradient, group)
        buffer = state.get("momentum_buffer")
        if buffer is None:
            buffer = state["momentum_buffer"] = gradient.clone()
        else:
            buffer.mul_(group["momentum"]).add_(gradient)
        direction = self.look_ahead(gradient, buffer, group) if group["nesterov"] else buffer
        parameter.add_(direction, alpha=-group["lr"])

    def look_ahead(self, gradient: Tensor, buffer: Tensor, group: Group) -> Tensor:
        """Nesterov's direction."""
        return gradient.add(buffer, alpha=group["momentum"])


class NesterovWithTheWrongSign(SGD):
    """Paddle#12231: x - lr g + lr mu v, a minus of a bracket that went to its first term alone."""

    def look_ahead(self, gradient: Tensor, buffer: Tensor, group: Group) -> Tensor:
        return gradient.sub(buffer, alpha=group["momentum"])
