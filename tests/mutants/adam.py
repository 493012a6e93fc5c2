"""Adam and AdamW in torch's convention, and what real libraries got wrong about them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from mutants.base import Group, State, Twin, coupled_decay, decoupled_decay, zeros


class Adam(Twin):
    """Kingma & Ba 2015, Algorithm 1; ``amsgrad`` keeps the maximum of the uncorrected v."""

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "betas": betas,
                "eps": eps,
                "weight_decay": weight_decay,
                "amsgrad": amsgrad,
                "maximize": maximize,
            },
        )

    def begin(self, parameter: Tensor, group: Group) -> State:
        state = {"step": 0, "exp_avg": zeros(parameter), "exp_avg_sq": zeros(parameter)}
        if group["amsgrad"]:
            state["max_exp_avg_sq"] = zeros(parameter)
        return state

    def update(self, parameter: Tensor, gradient: Tensor, state: State, group: Group) -> None:
        beta1, beta2 = group["betas"]
        step = self.tick(state, group)
        gradient = self.decay(parameter, gradient, group)
        first, second = state["exp_avg"], state["exp_avg_sq"]
        first.lerp_(gradient, 1 - beta1)
        second.mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
        if group["amsgrad"]:
            second = torch.maximum(state["max_exp_avg_sq"], second, out=state["max_exp_avg_sq"])
        self.move(parameter, first, second, step, group)

    def decay(self, parameter: Tensor, gradient: Tensor, group: Group) -> Tensor:
        """Weight decay: coupled."""
        return coupled_decay(parameter, gradient, group)

    def bias(self, beta: float, step: int) -> float:
        """What an average of ``step`` values that began at zero has of its weight."""
        return 1 - beta**step

    def move(
        self, parameter: Tensor, first: Tensor, second: Tensor, step: int, group: Group
    ) -> None:
        """Corrected first moment over the root of the corrected second."""
        bias1, bias2 = (self.bias(beta, step) for beta in group["betas"])
        denominator = (second.sqrt() / bias2**0.5).add_(group["eps"])
        # float: a number is wanted here, whatever kind of number counts the steps.
        parameter.addcdiv_(first, denominator, value=-float(group["lr"] / bias1))


class AdamW(Adam):
    """Loshchilov & Hutter 2019: the decay stands beside the step, and comes before it."""

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, maximize=maximize)

    def decay(self, parameter: Tensor, gradient: Tensor, group: Group) -> Tensor:
        """Weight decay: decoupled."""
        return decoupled_decay(parameter, gradient, group)


class DecayAfterTheUpdate(AdamW):
    """transformers#14539: what is shrunk is the parameter that has already moved."""

    def update(self, parameter: Tensor, gradient: Tensor, state: State, group: Group) -> None:
        super().update(parameter, gradient, state, {**group, "weight_decay": 0.0})
        decoupled_decay(parameter, gradient, group)


class CoupledDecayInAdamW(AdamW):
    """keras#19051: AdamW inherited the L2 penalty of Adam."""

    decay = Adam.decay


class MaximizeNegatesTwice(Adam):
    """pytorch_optimizer#528: two passes, and each turned the gradient's sign."""

    def update(self, parameter: Tensor, gradient: Tensor, state: State, group: Group) -> None:
        super().update(parameter, -gradient if group["maximize"] else gradient, state, group)


class SharedStepCounter(Adam):
    """flashlight#143: one counter for all, moved on at every parameter."""

    def tick(self, state: State, group: Group) -> int:
        shared = self.param_groups[0]
        shared["count"] = shared.get("count", 0) + 1
        step: int = shared["count"]
        return step


class BiasCorrectedTwice(Adam):
    """pytorch_optimizer#308: 1 - (1 - beta^t), since two functions took it from one."""

    def bias(self, beta: float, step: int) -> float:
        return 1 - super().bias(beta, step)


class EpsScaledByTheBiasCorrection(Adam):
    """pytorch#2060, #22628: eps was added to the root before the root was corrected."""

    def move(
        self, parameter: Tensor, first: Tensor, second: Tensor, step: int, group: Group
    ) -> None:
        bias1, bias2 = (self.bias(beta, step) for beta in group["betas"])
        denominator = second.sqrt().add_(group["eps"])
        parameter.addcdiv_(first, denominator, value=-group["lr"] * bias2**0.5 / bias1)


class EpsAfterTheReciprocal(Adam):
    """pytorch_optimizer#480: eps is added to 1 / root, which may already be infinite."""

    def move(
        self, parameter: Tensor, first: Tensor, second: Tensor, step: int, group: Group
    ) -> None:
        bias1, bias2 = (self.bias(beta, step) for beta in group["betas"])
        inverse = (second / bias2).rsqrt_().add_(group["eps"])
        parameter.addcmul_(first, inverse, value=-group["lr"] / bias1)


class StepCastOnLoad(Adam):
    """pytorch#74424, #80809: the counter is a float tensor, and loading treats it as a moment.

    ``load_state_dict`` gives every floating-point tensor the parameter's type, but for what is
    called ``step``, an exception that was made because of this bug.
    """

    def begin(self, parameter: Tensor, group: Group) -> State:
        state = super().begin(parameter, group)
        state["steps"] = torch.zeros((), dtype=torch.float32)
        del state["step"]
        return state

    def tick(self, state: State, group: Group) -> int:
        state["steps"] += 1
        return int(state["steps"])


class LoadingMakesStepsDearer(Adam):
    """pytorch#74424: loading turns the counter into a tensor.

    From then on 1 - beta^t and lr / (1 - beta^t) are chains of tensor operations, whose end must
    be fetched from where the tensor lives (on a GPU: a synchronization for every parameter).
    """

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        for each in self.state.values():
            if "step" in each:
                each["step"] = torch.as_tensor(each["step"], dtype=torch.float64)
