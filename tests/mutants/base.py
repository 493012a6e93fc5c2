"""What every twin here shares: the step's frame, and the refusal of wrong values."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from optbench.optimizers.checked import check_range

Group = dict[str, Any]
State = dict[str, Any]


class Twin(torch.optim.Optimizer):
    """A correct optimizer in small methods, each of which a mutant can replace.

    A subclass gives `begin` (the state of a parameter before its first step) and `update` (one
    step of one parameter). The counter in a state is a Python int: ``load_state_dict`` leaves
    those as they are.
    """

    SPARSE = False
    """Whether gradients may be sparse."""

    COMPLEX = False
    """Whether parameters may be complex."""

    FLOAT16 = False
    """Whether parameters may be float16, in which an eps of 1e-8 is zero."""

    RANGES: Mapping[str, float] = {}
    """Upper ends of hyperparameters that have one; below lies 0 for all of them."""

    def __init__(self, params: Any, defaults: dict[str, Any]) -> None:
        self.check(defaults)
        super().__init__(self.listed(params), defaults)

    def listed(self, params: Any) -> list[Any]:
        """The parameters or groups, which may come from a generator."""
        return list(params)

    def add_param_group(self, param_group: Group) -> None:
        """Add a copy of a group, after a look at what it brings."""
        if isinstance(param_group, dict):
            self.check(param_group)
            param_group = {**param_group}
        super().add_param_group(param_group)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load a copy, which another optimizer does not go on with."""
        super().load_state_dict(copy.deepcopy(state_dict))

    def check(self, hyperparameters: Mapping[str, Any]) -> None:
        """Refuse what is out of range, NaN included."""
        for name, value in hyperparameters.items():
            if name in ("params", "foreach", "fused") or isinstance(value, bool | None):
                continue
            if name == "betas":
                for index, beta in enumerate(value):
                    check_range(f"betas[{index}]", beta, below=1.0)
            elif isinstance(value, int | float):
                check_range(name, value, below=self.RANGES.get(name, float("inf")))

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One update of every parameter that has a gradient; returns the closure's loss."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            parameters = [p for p in group["params"] if p.grad is not None]
            for parameter in parameters:
                if parameter.dtype is torch.float16 and not self.FLOAT16:
                    raise RuntimeError(f"{type(self).__name__} takes no float16 parameters")
                if parameter.is_complex() and not self.COMPLEX:
                    raise RuntimeError(f"{type(self).__name__} takes no complex parameters")
                if parameter.grad.is_sparse and not self.SPARSE:
                    raise RuntimeError(f"{type(self).__name__} takes no sparse gradients")
                if not self.state[parameter]:
                    self.state[parameter].update(self.begin(parameter, group))
            self.update_group(parameters, group)
        return loss

    def update_group(self, parameters: list[Tensor], group: Group) -> None:
        """One step of all parameters of a group: one after the other."""
        for parameter in parameters:
            precise = self.precise(parameter)
            self.update(precise, self.gradient(parameter, group), self.state[parameter], group)
            if precise is not parameter:
                parameter.copy_(precise)

    def precise(self, parameter: Tensor) -> Tensor:
        """What is updated: of a bfloat16 parameter a copy that is rounded after the whole step."""
        return parameter.float() if parameter.dtype is torch.bfloat16 else parameter

    def gradient(self, parameter: Tensor, group: Group) -> Tensor:
        """The gradient of what is to be minimized; never the one that is there, changed."""
        gradient = parameter.grad
        assert gradient is not None
        return -gradient if group.get("maximize") else gradient

    def tick(self, state: State, group: Group) -> int:
        """Count a step of this parameter."""
        state["step"] += 1
        step: int = state["step"]
        return step

    def begin(self, parameter: Tensor, group: Group) -> State:
        """The state before the first step."""
        raise NotImplementedError

    def update(self, parameter: Tensor, gradient: Tensor, state: State, group: Group) -> None:
        """One step of one parameter."""
        raise NotImplementedError


def zeros(parameter: Tensor) -> Tensor:
    """A buffer in the parameter's type and layout."""
    return torch.zeros_like(parameter, memory_format=torch.preserve_format)


def coupled_decay(parameter: Tensor, gradient: Tensor, group: Group) -> Tensor:
    """The gradient with that of an L2 penalty."""
    if group["weight_decay"] == 0:
        return gradient
    return gradient.add(parameter.to(gradient.dtype), alpha=group["weight_decay"])


def decoupled_decay(parameter: Tensor, gradient: Tensor, group: Group) -> Tensor:
    """Shrink the parameter; the gradient is as it was."""
    if group["weight_decay"] != 0:
        parameter.mul_(1 - group["lr"] * group["weight_decay"])
    return gradient
