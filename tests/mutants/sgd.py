"""SGD with Nesterov's momentum in torch's convention, and relatives with more ways to step."""

from __future__ import annotations

import copy
from typing import Any

import torch
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


class ParameterFlattenedAsAView(SGD):
    """pytorch#130346, PyTorch-LBFGS#17: view(-1), which strides other than its own refuse."""

    def update(self, parameter: Tensor, gradient: Tensor, state: State, group: Group) -> None:
        super().update(parameter.view(-1), gradient.reshape(-1), state, group)


class SGDInHalf(SGD):
    """`SGD` whose buffers have at least float32, also after they were loaded."""

    FLOAT16 = True

    def update(self, parameter: Tensor, gradient: Tensor, state: State, group: Group) -> None:
        wide = gradient.to(torch.promote_types(gradient.dtype, torch.float32))
        super().update(parameter, wide, state, group)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        super().load_state_dict(state_dict)
        parameters = [p for group in self.param_groups for p in group["params"]]
        for index, state in state_dict["state"].items():
            # torch casts a buffer to the parameter's type.
            self.state[parameters[index]] = copy.deepcopy(state)


class LoadsFloat16Moments(SGDInHalf):
    """fairscale#50, pytorch#43706: a float32 buffer is rounded to float16 when it is loaded."""

    load_state_dict = Twin.load_state_dict


class SGDWithPaths(SGD):
    """`SGD` one tensor at a time, or all tensors at once."""

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        *,
        foreach: bool | None = None,
    ) -> None:
        names = ("lr", "momentum", "weight_decay", "foreach")
        Twin.__init__(
            self, params, dict(zip(names, (lr, momentum, weight_decay, foreach), strict=True))
        )

    def update(self, parameter: Tensor, gradient: Tensor, state: State, group: Group) -> None:
        super().update(parameter, gradient, state, {**group, "nesterov": False})

    def update_group(self, parameters: list[Tensor], group: Group) -> None:
        if group["foreach"] and parameters:
            gradients = [self.gradient(parameter, group) for parameter in parameters]
            directions = self.directions(parameters, gradients, group)
            torch._foreach_add_(parameters, directions, alpha=-group["lr"])
        else:
            super().update_group(parameters, group)

    def directions(
        self, parameters: list[Tensor], gradients: list[Tensor], group: Group
    ) -> list[Tensor]:
        """The buffers of gradients that the decay is part of."""
        if group["weight_decay"] != 0:
            gradients = list(torch._foreach_add(gradients, parameters, alpha=group["weight_decay"]))
        return self.buffers(parameters, gradients, group)

    def buffers(
        self, parameters: list[Tensor], gradients: list[Tensor], group: Group
    ) -> list[Tensor]:
        """The buffers, with these gradients in them."""
        buffers = []
        for parameter, gradient in zip(parameters, gradients, strict=True):
            state = self.state[parameter]
            if "momentum_buffer" in state:
                state["momentum_buffer"].mul_(group["momentum"]).add_(gradient)
            else:
                state["momentum_buffer"] = gradient.clone()
            buffers.append(state["momentum_buffer"])
        return buffers


class ForeachDecaysBesideTheMomentum(SGDWithPaths):
    """jettify#433 (a variant): one way adds the decay to the buffer's product, the other before."""

    def directions(
        self, parameters: list[Tensor], gradients: list[Tensor], group: Group
    ) -> list[Tensor]:
        buffers = self.buffers(parameters, gradients, group)
        return list(torch._foreach_add(buffers, parameters, alpha=group["weight_decay"]))


class DifferentiableRMS(Twin):
    """Root mean squares whose steps can be differentiated, eps inside the root."""

    def __init__(
        self,
        params: Any,
        lr: float = 1e-2,
        alpha: float = 0.9,
        eps: float = 1e-3,
        *,
        differentiable: bool = False,
    ) -> None:
        names = ("lr", "alpha", "eps", "differentiable")
        super().__init__(params, dict(zip(names, (lr, alpha, eps, differentiable), strict=True)))

    def begin(self, parameter: Tensor, group: Group) -> State:
        return {"square_avg": torch.zeros_like(parameter)}

    def update_group(self, parameters: list[Tensor], group: Group) -> None:
        with torch.set_grad_enabled(group["differentiable"]):
            super().update_group(parameters, group)

    def update(self, parameter: Tensor, gradient: Tensor, state: State, group: Group) -> None:
        square = self.averaged(state["square_avg"], gradient, group)
        state["square_avg"] = square
        parameter.sub_(group["lr"] * gradient / self.root(square, group))

    def averaged(self, square: Tensor, gradient: Tensor, group: Group) -> Tensor:
        """The average of the squares, a new tensor of the graph."""
        return group["alpha"] * square + (1 - group["alpha"]) * gradient * gradient

    def root(self, square: Tensor, group: Group) -> Tensor:
        """What the gradient is divided by."""
        return (square + group["eps"]).sqrt()


class RootChangedInPlace(DifferentiableRMS):
    """pytorch#86258, #61253: an operation in place on what the root's derivative is made of."""

    def root(self, square: Tensor, group: Group) -> Tensor:
        return (square + group["eps"]).sqrt().add_(0.0)


class AverageDetached(DifferentiableRMS):
    """pytorch#86258 (a variant): the graph ends at the state of the step before."""

    def averaged(self, square: Tensor, gradient: Tensor, group: Group) -> Tensor:
        return super().averaged(square, gradient, group).detach()
