"""Adam and AdamW in torch's convention, and what real libraries got wrong about them."""

from __future__ import annotations

from collections.abc import Callable
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
        return {"step": 0, "exp_avg": zeros(parameter), "exp_avg_sq": zeros(parameter)}

    def update(self, parameter: Tensor, gradient: Tensor, state: State, group: Group) -> None:
        beta1, beta2 = group["betas"]
        step = self.tick(state, group)
        gradient = self.decay(parameter, gradient, group)
        first, second = state["exp_avg"], state["exp_avg_sq"]
        first.lerp_(gradient, 1 - beta1)
        second.mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
        if group["amsgrad"]:
            second = self.raised(state, second)
        self.move(parameter, first, second, step, group)

    def raised(self, state: State, second: Tensor) -> Tensor:
        """The maximum so far, which is kept from the first step with ``amsgrad`` on."""
        largest = state.setdefault("max_exp_avg_sq", torch.zeros_like(second))
        return torch.maximum(largest, second, out=largest)

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


class TensorRateDividedInPlace(Adam):
    """pytorch#163103 (a variant): the user's tensor is the optimizer's own, and divided."""

    def move(
        self, parameter: Tensor, first: Tensor, second: Tensor, step: int, group: Group
    ) -> None:
        bias1, bias2 = (self.bias(beta, step) for beta in group["betas"])
        rate = group["lr"]
        rate /= bias1
        denominator = (second.sqrt() / bias2**0.5).add_(group["eps"])
        parameter.addcdiv_(first, denominator, value=-float(rate))


class TensorRateOfTheFirstGroup(Adam):
    """pytorch#163103 (a variant): a tensor is looked for once, for all groups."""

    def move(
        self, parameter: Tensor, first: Tensor, second: Tensor, step: int, group: Group
    ) -> None:
        rate = self.param_groups[0]["lr"]
        own = {**group, "lr": rate} if isinstance(rate, Tensor) else group
        super().move(parameter, first, second, step, own)


class RateIsADivisor(Adam):
    """pytorch#97004: the denominator is divided by the rate, in place of a product with it."""

    def move(
        self, parameter: Tensor, first: Tensor, second: Tensor, step: int, group: Group
    ) -> None:
        bias1, bias2 = (self.bias(beta, step) for beta in group["betas"])
        rate = torch.tensor(-float(group["lr"]) / bias1, dtype=second.dtype)
        denominator = (second.sqrt() / (rate * bias2**0.5)).add_(group["eps"] / rate)
        parameter.addcdiv_(first, denominator)


class GradientReadAsTheParameterLies(Adam):
    """pytorch#106951, bitsandbytes#1185: a kernel takes two pointers, and one tensor's strides."""

    def gradient(self, parameter: Tensor, group: Group) -> Tensor:
        gradient = super().gradient(parameter, group)
        return torch.as_strided(gradient, parameter.shape, parameter.stride())


class GradientClampedInPlace(Adam):
    """pytorch#84472 (a variant): the user's gradient is written to, where memory may be shared."""

    def gradient(self, parameter: Tensor, group: Group) -> Tensor:
        assert parameter.grad is not None
        parameter.grad.clamp_(-1e9, 1e9)
        return super().gradient(parameter, group)


class LoadingSharesMemory(Adam):
    """pytorch#196083: what was loaded from a state_dict goes on as the other optimizer's, too."""

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        super().load_state_dict(state_dict)
        params = [p for group in self.param_groups for p in group["params"]]
        for index, given in state_dict["state"].items():
            for name in ("exp_avg", "exp_avg_sq"):
                if given[name].dtype is params[index].dtype:
                    self.state[params[index]][name] = given[name]


class LoadsNoEmptyState(Adam):
    """pytorch#2647: loading takes it that every parameter has had a step."""

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        for group in state_dict["param_groups"]:
            for index in group["params"]:
                state_dict["state"][index]["step"] += 0
        super().load_state_dict(state_dict)


class GroupsWrittenTo(Adam):
    """pytorch#51794: defaults are filled into the dictionary that the caller handed over."""

    def add_param_group(self, param_group: Group) -> None:
        if isinstance(param_group, dict):
            for name, value in self.defaults.items():
                param_group.setdefault(name, value)
        super().add_param_group(param_group)


class GeneratorConsumed(Adam):
    """AdasOptimizer#2: parameters are looked at, and a generator has none left for torch."""

    def listed(self, params: Any) -> Any:
        self.wide = any(isinstance(each, Tensor) and each.ndim > 1 for each in params)
        return params


class ZeroGradWithoutItsArgument(Adam):
    """apex#1196 (also accelerate#42): a zero_grad of the time before set_to_none."""

    def zero_grad(self) -> None:  # type: ignore[override]
        super().zero_grad()


class ZeroGradOfTheFirstGroup(Adam):
    """apex#1196 (a variant): a zero_grad of one's own forgets that there are more groups."""

    def zero_grad(self, set_to_none: bool = True) -> None:
        for parameter in self.param_groups[0]["params"]:
            if parameter.grad is not None and not set_to_none:
                parameter.grad.zero_()
            elif set_to_none:
                parameter.grad = None


class StepWithoutHooks(Adam):
    """pytorch_optimizer#122: the step is kept from torch, which hangs hooks around it."""

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        return Twin.step(self, closure)

    step.hooked = True  # type: ignore[attr-defined]


class MaximumFromTheFirstStepOnly(Adam):
    """fairseq#3965: amsgrad that is turned on later finds no maximum in the state."""

    def raised(self, state: State, second: Tensor) -> Tensor:
        if state["step"] == 1:
            state["max_exp_avg_sq"] = torch.zeros_like(second)
        largest: Tensor = state["max_exp_avg_sq"]
        return torch.maximum(largest, second, out=largest)


class CounterOfTheLastTensor(Adam):
    """DeepSpeed#8471: all are corrected by the steps of the last tensor that has a gradient."""

    def update_group(self, parameters: list[Tensor], group: Group) -> None:
        count = max((self.state[p]["step"] for p in parameters[-1:]), default=0)
        for parameter in parameters:
            self.state[parameter]["step"] = count
        super().update_group(parameters, group)


class KeepsAListOfItsSteps(Adam):
    """jettify#358 (a variant: there a graph is kept): memory outside the state grows."""

    def tick(self, state: State, group: Group) -> int:
        step = super().tick(state, group)
        vars(self).setdefault("history", []).append(float(step))
        return step


class DecayRoundedAway(AdamW):
    """OneTrainer#996: a bfloat16 parameter is rounded after its decay, which is gone by that."""

    def precise(self, parameter: Tensor) -> Tensor:
        return parameter


class ComplexAdam(Adam):
    """`Adam` of complex parameters, too: of their real and imaginary parts, as torch has it."""

    COMPLEX = True

    def begin(self, parameter: Tensor, group: Group) -> State:
        return super().begin(self.parts(parameter), group)

    def update(self, parameter: Tensor, gradient: Tensor, state: State, group: Group) -> None:
        super().update(self.parts(parameter), self.parts(gradient), state, group)

    def parts(self, tensor: Tensor) -> Tensor:
        """The real and imaginary parts of a complex tensor."""
        return torch.view_as_real(tensor.resolve_conj()) if tensor.is_complex() else tensor


class SquaresComplexNumbers(ComplexAdam):
    """pytorch#59998: the second moment is of complex squares, which cancel one another."""

    def parts(self, tensor: Tensor) -> Tensor:
        return tensor
