"""Every check of the contract: an optimizer that breaks its promise, and one that keeps it."""

from __future__ import annotations

import copy
import itertools
import os
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from optbench.conformance import types
from optbench.conformance.check import Severity
from optbench.conformance.contract import CONTRACT
from optbench.conformance.examiner import examine
from optbench.conformance.result import BAD, CheckResult, Status
from optbench.engine.as_found import torch_as_found
from optbench.engine.lanes import one_thread
from optbench.optimizers import Optimizer, Route
from optbench.scenarios.introspect import introspect
from optbench.scenarios.relations import RELATIONS, Relation
from optbench.scenarios.subject import Subject

CHECKS = {check.name: check for check in CONTRACT}


@pytest.fixture(autouse=True)
def _everything_as_found() -> Iterator[None]:
    """What the hostile ones below leave behind must not reach the next test."""
    numbers, names = np.random.get_state(), random.getstate()  # noqa: NPY002
    with torch_as_found(), one_thread():
        yield
    np.random.set_state(numbers)  # noqa: NPY002
    random.setstate(names)
    torch.use_deterministic_algorithms(False)
    torch.autograd.set_detect_anomaly(False)


# ---------------------------------------------------------------------- the correct ones


class Momentum(torch.optim.Optimizer):
    """Gradient descent with momentum: correct, and in pieces that can be broken one by one."""

    def __init__(
        self,
        params: Any,
        lr: float = 0.01,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        maximize: bool = False,
        **more: Any,
    ) -> None:
        defaults = {"lr": lr, "momentum": momentum, "weight_decay": weight_decay}
        self.validate(defaults)
        super().__init__(params, {**defaults, "maximize": maximize, **more})

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        # torch writes the defaults into the caller's dictionary.
        super().add_param_group({**param_group} if isinstance(param_group, dict) else param_group)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        # torch goes on with the tensors of the dictionary itself.
        super().load_state_dict(copy.deepcopy(state_dict))

    def validate(self, numbers: dict[str, float]) -> None:
        for name, value in numbers.items():
            if not 0 <= value < float("inf"):
                raise ValueError(f"invalid {name}: {value}")

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        self.update_all()
        return loss

    def update_all(self) -> None:
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    self.update(p, group)

    def direction(self, p: Tensor, group: dict[str, Any]) -> Tensor:
        assert p.grad is not None
        uphill = -p.grad if group["maximize"] else p.grad
        return uphill.add(p, alpha=group["weight_decay"])

    def update(self, p: Tensor, group: dict[str, Any]) -> None:
        state = self.state[p]
        state["step"] = state.get("step", 0) + 1
        buffer = state.setdefault("momentum_buffer", torch.zeros_like(p))
        buffer.mul_(group["momentum"]).add_(self.direction(p, group))
        p.add_(buffer, alpha=-self.rate(p, group))

    def rate(self, p: Tensor, group: dict[str, Any]) -> Any:
        return group["lr"]


class Ways(Momentum):
    """Takes the arguments that choose an implementation, and does the same by each."""

    def __init__(
        self,
        params: Any,
        lr: float = 0.01,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        foreach: bool | None = None,
        fused: bool | None = None,
        differentiable: bool = False,
        capturable: bool = False,
    ) -> None:
        ways = {"foreach": foreach, "fused": fused, "differentiable": differentiable}
        super().__init__(params, lr, momentum, weight_decay, **ways, capturable=capturable)

    def update_all(self) -> None:
        with torch.set_grad_enabled(self.defaults["differentiable"]):
            super().update_all()


class Betas(Momentum):
    """Averages by the first beta, and then by the second."""

    def __init__(
        self, params: Any, lr: float = 0.01, betas: tuple[float, float] = (0.9, 0.5)
    ) -> None:
        if not all(0 <= beta < 1 for beta in betas):
            raise ValueError(f"invalid betas: {betas}")
        super().__init__(params, lr, betas=betas)

    def direction(self, p: Tensor, group: dict[str, Any]) -> Tensor:
        average = super().direction(p, group)
        for place, beta in enumerate(map(float, group["betas"])):
            name = f"average{place}"
            average = self.state[p].setdefault(name, torch.zeros_like(p)).lerp_(average, 1 - beta)
        return average.clone()


class Sparsely(Momentum):
    """Takes sparse gradients, without momentum for them."""

    def update(self, p: Tensor, group: dict[str, Any]) -> None:
        assert p.grad is not None
        if not p.grad.is_sparse:
            super().update(p, group)
            return
        if group["weight_decay"]:
            raise RuntimeError("no weight decay of sparse gradients")
        uphill = -p.grad if group["maximize"] else p.grad
        self.update_rows(p, uphill, self.rate(p, group))

    def update_rows(self, p: Tensor, gradient: Tensor, rate: float) -> None:
        gradient = gradient.coalesce()
        p.index_add_(0, gradient.indices()[0], gradient.values(), alpha=-rate)


class Averaging(Momentum):
    """Shows the average of the weights in eval mode."""

    training = True

    def __init__(self, params: Any, lr: float = 0.01) -> None:
        super().__init__(params, lr)

    def update(self, p: Tensor, group: dict[str, Any]) -> None:
        super().update(p, group)
        average = self.state[p].setdefault("average", p.detach().clone())
        average.lerp_(p, 0.1)

    def train(self) -> None:
        if not self.training:
            self.swap()
        self.training = True

    def eval(self) -> None:
        if self.training:
            self.swap()
        self.training = False

    @torch.no_grad()
    def swap(self) -> None:
        for p, state in self.state.items():
            p.copy_(state["average"] - p + state["average"].copy_(p))


class Scaling(Momentum):
    """Undoes a GradScaler's scale itself, and leaves out a step with an overflow."""

    _step_supports_amp_scaling = True

    def __init__(self, params: Any, lr: float = 0.01) -> None:
        super().__init__(params, lr)

    def update_all(self) -> None:
        if not self.overflowed():
            super().update_all()

    def overflowed(self) -> bool:
        return bool(getattr(self, "found_inf", None))

    def scale(self) -> Tensor | None:
        # None after unscale_.
        return getattr(self, "grad_scale", None)

    def direction(self, p: Tensor, group: dict[str, Any]) -> Tensor:
        scale = self.scale() if hasattr(self, "found_inf") else None
        right = super().direction(p, group)
        return right if scale is None else right / scale


class OnceEach(Momentum):
    """Refuses a parameter that is given twice."""

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        params = param_group["params"] if isinstance(param_group, dict) else []
        if isinstance(params, list) and len({*map(id, params)}) < len(params):
            raise ValueError("a parameter is given twice")
        super().add_param_group(param_group)


class Searching(Momentum):
    """Evaluates the loss itself, no more than ``max_eval`` times a step."""

    EXTRA = 0

    def __init__(self, params: Any, lr: float = 0.01, max_eval: int = 3) -> None:
        if max_eval < 1:
            raise ValueError(f"invalid max_eval: {max_eval}")
        super().__init__(params, lr)
        self.defaults["max_eval"] = max_eval
        for group in self.param_groups:
            group["max_eval"] = max_eval

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        if self.param_groups:
            raise ValueError("one parameter group, please")
        super().add_param_group(param_group)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any]) -> Any:  # type: ignore[override]
        first = None
        for _ in range(self.param_groups[0]["max_eval"] + self.EXTRA):
            with torch.enable_grad():
                loss = closure()
            first = loss if first is None else first
            self.update_all()
        return first


def row(factory: Callable[..., torch.optim.Optimizer]) -> Optimizer:
    """A row whose oracle is that of SGD."""
    return Optimizer(
        f"a-{factory.__name__.lower()}",
        factory,
        defaults={"lr": 0.01, "momentum": 0.9},
        space={},
        route=Route.INSTANCE,
        cite="",
        oracle="textbook-sgd",
    )


# ---------------------------------------------------------------------- parity


class AlmostTheRate(Momentum):
    def rate(self, p: Tensor, group: dict[str, Any]) -> Any:
        return group["lr"] * (1 + 1e-7)


class RoundsFloat32(Momentum):
    def direction(self, p: Tensor, group: dict[str, Any]) -> Tensor:
        right = super().direction(p, group)
        return right.bfloat16().to(p.dtype) if p.dtype is torch.float32 else right


class ForgetsDecayInForeach(Ways):
    WAY = "foreach"

    def direction(self, p: Tensor, group: dict[str, Any]) -> Tensor:
        assert p.grad is not None
        return p.grad.clone() if group[self.WAY] else super().direction(p, group)


class ForgetsDecayInFused(ForgetsDecayInForeach):
    WAY = "fused"


class ForgetsDecayInDifferentiable(ForgetsDecayInForeach):
    WAY = "differentiable"


class ForgetsDecayInCapturable(ForgetsDecayInForeach):
    WAY = "capturable"


class ForeachLeavesAnotherState(Ways):
    def update(self, p: Tensor, group: dict[str, Any]) -> None:
        super().update(p, group)
        self.state[p]["largest"] = p.abs().sum() * (2 if group["foreach"] else 1)


class ForeachRaises(Ways):
    def update(self, p: Tensor, group: dict[str, Any]) -> None:
        if group["foreach"]:
            raise RuntimeError("no foreach today")
        super().update(p, group)


class DetachesWhatItMoves(Ways):
    def update(self, p: Tensor, group: dict[str, Any]) -> None:
        super().update(p, group)
        if group["differentiable"]:
            p.detach_().requires_grad_()


class CapturableRefusesTheCpu(Ways):
    def update(self, p: Tensor, group: dict[str, Any]) -> None:
        if group["capturable"]:
            raise RuntimeError("CUDA only")
        super().update(p, group)


class StepsWithoutRecording(Ways):
    """Takes differentiable, and its step is under no_grad all the same."""

    def update_all(self) -> None:
        Momentum.update_all(self)


# ---------------------------------------------------------------------- hyperparameters, groups


class IgnoresDecay(Momentum):
    def direction(self, p: Tensor, group: dict[str, Any]) -> Tensor:
        assert p.grad is not None
        return -p.grad if group["maximize"] else p.grad.clone()


class DecaysByAMethod(IgnoresDecay):
    @torch.no_grad()
    def decay_weights(self) -> None:
        for group in self.param_groups:
            for p in group["params"]:
                p.mul_(1 - group["weight_decay"])


class TakesAnything(Momentum):
    def validate(self, numbers: dict[str, float]) -> None:
        pass


class ReadsTheFirstGroup(Momentum):
    def rate(self, p: Tensor, group: dict[str, Any]) -> Any:
        return self.param_groups[0]["lr"]


class IgnoresAddedGroups(Momentum):
    def __init__(self, params: Any, lr: float = 0.01) -> None:
        super().__init__(params, lr)
        self.sealed = True

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        if not getattr(self, "sealed", False):
            super().add_param_group(param_group)


class CountsForAll(Momentum):
    """Anneals its rate by one count of steps for all groups."""

    def update_all(self) -> None:
        self.state["all"] = {"step": self.state["all"].get("step", 0) + 1}
        super().update_all()

    def rate(self, p: Tensor, group: dict[str, Any]) -> Any:
        return group["lr"] / self.state["all"]["step"] ** 0.5


class StopsForAll(CountsForAll):
    """What is added after the tenth step never moves."""

    def update(self, p: Tensor, group: dict[str, Any]) -> None:
        if self.state[p] or self.state["all"]["step"] <= 10:
            super().update(p, group)


class DividesByTheirNumber(Momentum):
    def rate(self, p: Tensor, group: dict[str, Any]) -> Any:
        return group["lr"] / len(group["params"])


class FirstIsFaster(Momentum):
    def rate(self, p: Tensor, group: dict[str, Any]) -> Any:
        return group["lr"] * (1.001 if p is group["params"][0] else 1)


class SlowerInTallTensors(Momentum):
    def rate(self, p: Tensor, group: dict[str, Any]) -> Any:
        return group["lr"] / max(1, len(p)) ** 0.5


# ---------------------------------------------------------------------- direction


class DecaysUphill(Momentum):
    def direction(self, p: Tensor, group: dict[str, Any]) -> Tensor:
        assert p.grad is not None
        right = p.grad.add(p, alpha=group["weight_decay"])
        return -right if group["maximize"] else right


class FixesTheRate(Momentum):
    def add_param_group(self, param_group: dict[str, Any]) -> None:
        super().add_param_group(param_group)
        self.param_groups[-1]["fixed"] = self.param_groups[-1]["lr"]

    def rate(self, p: Tensor, group: dict[str, Any]) -> Any:
        return group["fixed"]


class LastStepsRate(FixesTheRate):
    def update_all(self) -> None:
        super().update_all()
        for group in self.param_groups:
            group["fixed"] = group["lr"]


class HidesTheRate(Momentum):
    def __init__(self, params: Any, lr: float = 0.01) -> None:
        super().__init__(params, lr)
        for group in self.param_groups:
            group["rate"] = group.pop("lr")

    def rate(self, p: Tensor, group: dict[str, Any]) -> Any:
        return group["rate"]


# ---------------------------------------------------------------------- persistence


class ForgetsItsSteps(Momentum):
    """Every second step is half as long, and who counts is not saved."""

    count = 0

    def update_all(self) -> None:
        self.count += 1
        super().update_all()

    def rate(self, p: Tensor, group: dict[str, Any]) -> Any:
        return group["lr"] / (1 + self.count % 2)


class CannotBeLoaded(Momentum):
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        raise KeyError("what-is-this")


class Schedule:
    """What an optimizer may keep in its groups, to torch.load's displeasure."""


class KeepsAnObject(Momentum):
    def __init__(self, params: Any, lr: float = 0.1, **rest: Any) -> None:
        super().__init__(params, lr, **rest)
        for group in self.param_groups:
            group["schedule"] = Schedule()


class CountsTo2048(Momentum):
    def update(self, p: Tensor, group: dict[str, Any]) -> None:
        super().update(p, group)
        p.mul_(1 + 1e-3 * (self.state[p]["step"] % 2))

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        super().load_state_dict(state_dict)
        for state in self.state.values():
            state["step"] = min(state["step"], 2048)


class RefusesToBeCopied(Momentum):
    def __deepcopy__(self, memo: Any) -> Any:
        raise TypeError("one of a kind")


class BuffersById(Momentum):
    """Momentum belongs to an address, and starts again at another one."""

    def update(self, p: Tensor, group: dict[str, Any]) -> None:
        state = self.state[p]
        if state.setdefault("address", id(p)) != id(p):
            state["momentum_buffer"].zero_()
            state["address"] = id(p)
        super().update(p, group)


# ---------------------------------------------------------------------- cleanliness


class DecaysWithoutGradient(Momentum):
    def update_all(self) -> None:
        super().update_all()
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    p.mul_(1 - group["lr"] * group["weight_decay"])


class DividesByTheNorm(Momentum):
    def direction(self, p: Tensor, group: dict[str, Any]) -> Tensor:
        right = super().direction(p, group)
        return right / right.norm()


class CentresWithoutClamp(Momentum):
    """The mean of squares less the square of the mean, which rounding makes negative."""

    def direction(self, p: Tensor, group: dict[str, Any]) -> Tensor:
        right, state = super().direction(p, group), self.state[p]
        mean = state.setdefault("mean", torch.zeros_like(p))
        square = state.setdefault("square", torch.zeros_like(p))
        mean.lerp_(right, 0.1)
        square.lerp_(right * right, 0.1)
        return right / ((square - mean * mean).sqrt() + 1.0)


class PoisonsTheOthers(Momentum):
    def update_all(self) -> None:
        total = sum(
            float(p.grad.sum().real)
            for group in self.param_groups
            for p in group["params"]
            if p.grad is not None
        )
        super().update_all()
        for group in self.param_groups:
            for p in group["params"]:
                p.add_(0.0 * total)


class DecaysInTheGradient(Momentum):
    def direction(self, p: Tensor, group: dict[str, Any]) -> Tensor:
        assert p.grad is not None
        if group["weight_decay"] and not group["maximize"]:
            p.grad.add_(p, alpha=group["weight_decay"])
            return p.grad.clone()
        return super().direction(p, group)


class DecaysInTheGradientByForeach(Ways):
    def direction(self, p: Tensor, group: dict[str, Any]) -> Tensor:
        assert p.grad is not None
        if not group["foreach"]:
            return super().direction(p, group)
        return p.grad.add_(p, alpha=group["weight_decay"]).clone()


class KeepsTheGradient(Momentum):
    def update(self, p: Tensor, group: dict[str, Any]) -> None:
        super().update(p, group)
        self.state[p]["last_gradient"] = p.grad


class KeepsAViewInAList(Momentum):
    def update(self, p: Tensor, group: dict[str, Any]) -> None:
        super().update(p, group)
        assert p.grad is not None
        self.state[p]["views"] = [p.grad.reshape(-1)[:1]]


class Freezes(Momentum):
    def update(self, p: Tensor, group: dict[str, Any]) -> None:
        super().update(p, group)
        p.requires_grad_(False)


class ReplacesItsParameters(Momentum):
    def update_all(self) -> None:
        super().update_all()
        for group in self.param_groups:
            group["params"] = [torch.nn.Parameter(p.detach().clone()) for p in group["params"]]


class Flattens(Momentum):
    def update(self, p: Tensor, group: dict[str, Any]) -> None:
        super().update(p, group)
        if self.state[p]["step"] == 10:
            p.data = p.data.reshape(-1)


class DrawsFromTorch(Momentum):
    def update_all(self) -> None:
        torch.rand(1)
        super().update_all()


class DrawsFromNumPy(Momentum):
    def update_all(self) -> None:
        np.random.rand()  # noqa: NPY002
        super().update_all()


class DrawsFromPython(Momentum):
    def update_all(self) -> None:
        random.random()
        super().update_all()


class SetsTheDefaultDtype(Momentum):
    def update_all(self) -> None:
        torch.set_default_dtype(torch.float64)
        super().update_all()


class SetsThreads(Momentum):
    def update_all(self) -> None:
        torch.set_num_threads(2)
        super().update_all()


class ConstructorSetsTheDefaultDtype(Momentum):
    def __init__(self, params: Any, lr: float = 0.01) -> None:
        super().__init__(params, lr)
        torch.set_default_dtype(torch.float64)


class LeavesGradientsOff(Momentum):
    def step(self, closure: Any = None) -> Any:
        loss = super().step(closure)
        torch.set_grad_enabled(False)
        return loss


class WantsDeterminism(Momentum):
    def update_all(self) -> None:
        torch.use_deterministic_algorithms(True)
        super().update_all()


class WatchesForAnomalies(Momentum):
    def update_all(self) -> None:
        torch.autograd.set_detect_anomaly(True)
        super().update_all()


# ---------------------------------------------------------------------- closures


class ClosureWithoutGradients(Momentum):
    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        loss = closure() if closure is not None else None
        self.update_all()
        return loss


class NeverCallsTheClosure(Momentum):
    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        self.update_all()


class TakesNoClosure(Momentum):
    @torch.no_grad()
    def step(self) -> Any:  # type: ignore[override]
        self.update_all()


class CallsTwiceAndReturnsNothing(Momentum):
    def step(self, closure: Any = None) -> Any:
        if closure is not None:
            closure()
        super().step(closure)


class ReturnsHalfTheLoss(Momentum):
    def step(self, closure: Any = None) -> Any:
        loss = super().step(closure)
        return loss if loss is None else loss / 2


class OneEvaluationTooMany(Searching):
    EXTRA = 1


# ---------------------------------------------------------------------- types


class Widens(Momentum):
    def update(self, p: Tensor, group: dict[str, Any]) -> None:
        super().update(p, group)
        if p.dtype is torch.float32:
            p.data = p.data.double()


class WidensBfloat16(Momentum):
    LATE = 1

    def update(self, p: Tensor, group: dict[str, Any]) -> None:
        super().update(p, group)
        if p.dtype is torch.bfloat16 and self.state[p]["step"] == self.LATE:
            p.data = p.data.float()


class WidensBfloat16InTheEnd(WidensBfloat16):
    LATE = types.MOVES_BY


class MovesFloat64Only(Momentum):
    def rate(self, p: Tensor, group: dict[str, Any]) -> Any:
        return group["lr"] if p.dtype is torch.float64 else 0.0


class SquaresComplexNumbers(Momentum):
    def direction(self, p: Tensor, group: dict[str, Any]) -> Tensor:
        right = super().direction(p, group)
        return right / ((right * right).sqrt() + 0.1)


class TakesAbsoluteValues(Momentum):
    def direction(self, p: Tensor, group: dict[str, Any]) -> Tensor:
        right = super().direction(p, group)
        return right / (right.abs() + 0.1)


class StateInFloat32(Momentum):
    def update(self, p: Tensor, group: dict[str, Any]) -> None:
        self.state[p].setdefault("momentum_buffer", torch.zeros(p.shape, dtype=torch.float32))
        super().update(p, group)


class EpsOfTheFirst(Momentum):
    def direction(self, p: Tensor, group: dict[str, Any]) -> Tensor:
        right = super().direction(p, group)
        return right / (right.abs() + torch.finfo(group["params"][0].dtype).eps)


class FasterInBfloat16(Momentum):
    def rate(self, p: Tensor, group: dict[str, Any]) -> Any:
        return group["lr"] * (2 if p.dtype is torch.bfloat16 else 1)


class NotFiniteInFloat16(Momentum):
    def direction(self, p: Tensor, group: dict[str, Any]) -> Tensor:
        right = super().direction(p, group)
        return right / (right.abs() + 1e-8) if p.dtype is torch.float16 else right


class DecaysAlone(IgnoresDecay):
    def update(self, p: Tensor, group: dict[str, Any]) -> None:
        p.mul_(1 - group["lr"] * group["weight_decay"])
        super().update(p, group)


# ---------------------------------------------------------------------- construction, handling


class WritesIntoGroups(Momentum):
    def add_param_group(self, param_group: dict[str, Any]) -> None:
        if isinstance(param_group, dict):
            param_group["initial_lr"] = 0.0
        super().add_param_group(param_group)
        self.param_groups[-1].pop("initial_lr", None)


class RemembersTheRateOfGroups(Momentum):
    """Leaves the caller's dictionaries alone, and remembers what it made of their parameters."""

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        super().add_param_group(param_group)
        group = self.param_groups[-1]
        if getattr(group["params"][0], "rate", group["lr"]) == group["lr"] / 2:
            group["lr"] /= 2
        group["params"][0].rate = group["lr"]


class ConsumesGenerators(Momentum):
    def __init__(self, params: Any, lr: float = 0.01) -> None:
        self.elements = sum(each.numel() for each in params if isinstance(each, Tensor))
        super().__init__(params, lr)


class TakesNoNames(Momentum):
    def __init__(self, params: Any, lr: float = 0.01) -> None:
        super().__init__(
            [each if isinstance(each, dict) else each.requires_grad_() for each in params], lr
        )


class MiscountsThoseGivenTwice(Momentum):
    def add_param_group(self, param_group: dict[str, Any]) -> None:
        super().add_param_group(param_group)
        params = self.param_groups[-1]["params"]
        numbers = [*{id(p): number for number, p in enumerate(params)}.values()]
        self.last = [params[numbers[place]] for place in range(len(params))]


class TakesKnownParameters(Momentum):
    def add_param_group(self, param_group: dict[str, Any]) -> None:
        known = {id(p) for group in self.param_groups for p in group["params"]}
        if isinstance(param_group, dict) and {*map(id, [*param_group["params"]])} & known:
            return
        super().add_param_group(param_group)


class TakesLists(Momentum):
    def add_param_group(self, param_group: Any) -> None:
        super().add_param_group(
            {"params": param_group} if isinstance(param_group, list) else param_group
        )


class ClearsTheFirstGroup(Momentum):
    def zero_grad(self, set_to_none: bool = True) -> None:
        for p in self.param_groups[0]["params"]:
            p.grad = None if set_to_none or p.grad is None else p.grad.zero_()


class NeverClearsToNone(Momentum):
    def zero_grad(self, set_to_none: bool = True) -> None:
        super().zero_grad(set_to_none=False)


class AlwaysClearsToNone(Momentum):
    def zero_grad(self, set_to_none: bool = True) -> None:
        super().zero_grad(set_to_none=True)


class CallsNoHooks(Momentum):
    def register_step_post_hook(self, hook: Any) -> Any:
        return super().register_step_post_hook(lambda *_: None)


class LosesPartOfTheDerivative(Ways):
    def update(self, p: Tensor, group: dict[str, Any]) -> None:
        super().update(p, group)
        if group["differentiable"]:
            self.state[p]["momentum_buffer"] = self.state[p]["momentum_buffer"].detach()


class TakesTheRootOfASquare(Ways):
    def direction(self, p: Tensor, group: dict[str, Any]) -> Tensor:
        if p.is_complex():
            raise RuntimeError("no complex parameters")
        right = super().direction(p, group)
        return right / (right.square().sqrt() + 1)


# ---------------------------------------------------------------------- laws


class ReadsTheMemoryOfGradients(Momentum):
    def direction(self, p: Tensor, group: dict[str, Any]) -> Tensor:
        right, plain = super().direction(p, group), torch.empty(p.shape).stride()
        assert p.grad is not None
        if p.ndim != 2 or p.grad.stride() in (plain, (0, 1)) or p.stride() != plain:
            return right
        return torch.as_strided(right, p.shape, plain)


class WritesToGradients(Momentum):
    def direction(self, p: Tensor, group: dict[str, Any]) -> Tensor:
        assert p.grad is not None
        p.grad.mul_(1.0)
        return super().direction(p, group)


class FlattensMatrices(Momentum):
    DIMENSIONS = 2

    def update(self, p: Tensor, group: dict[str, Any]) -> None:
        super().update(p, group)
        if p.ndim == self.DIMENSIONS:
            p.view(-1)


class FlattensConvolutions(FlattensMatrices):
    DIMENSIONS = 4


class TakesTheStridesOfParameters(Momentum):
    def direction(self, p: Tensor, group: dict[str, Any]) -> Tensor:
        right = super().direction(p, group)
        # As a kernel does that is handed two pointers.
        return torch.as_strided(p.grad, p.shape, p.stride()) if p.ndim == 4 else right


class TakesTheLargestElement(Momentum):
    def update(self, p: Tensor, group: dict[str, Any]) -> None:
        p.abs().max()
        super().update(p, group)


class OverwritesRows(Sparsely):
    def update_rows(self, p: Tensor, gradient: Tensor, rate: float) -> None:
        rows = gradient._indices()[0]
        p[rows] = p[rows] - rate * gradient._values()


class TakesTheLargestRow(Sparsely):
    def update_rows(self, p: Tensor, gradient: Tensor, rate: float) -> None:
        gradient.coalesce().values().abs().max()
        super().update_rows(p, gradient, rate)


class DecaysByAConstant(IgnoresDecay):
    def direction(self, p: Tensor, group: dict[str, Any]) -> Tensor:
        return super().direction(p, group) + group["weight_decay"] * (
            1 + 1j if p.is_complex() else 1
        )


class WritesToTheRate(Momentum):
    def rate(self, p: Tensor, group: dict[str, Any]) -> Any:
        rate = group["lr"]
        return rate.mul_(1.0).add_(1e-9) if isinstance(rate, Tensor) else rate


class OtherwiseForOneElement(Momentum):
    def rate(self, p: Tensor, group: dict[str, Any]) -> Any:
        rate = group["lr"]
        return float(rate) * (2 if isinstance(rate, Tensor) and rate.ndim else 1)


class RoundsTensorBetas(Betas):
    def update(self, p: Tensor, group: dict[str, Any]) -> None:
        if isinstance(group["betas"][0], Tensor):
            group = {**group, "betas": [beta.bfloat16() for beta in group["betas"]]}
        super().update(p, group)


class TakesTheFirstTensor(Momentum):
    def rate(self, p: Tensor, group: dict[str, Any]) -> Any:
        rate = group["lr"]
        return float(self.param_groups[0]["lr"] if isinstance(rate, Tensor) else rate)


class DividesByTheRate(Momentum):
    def direction(self, p: Tensor, group: dict[str, Any]) -> Tensor:
        return super().direction(p, group) * (group["lr"] / group["lr"])


class WeighsByTheRate(Momentum):
    """As `DividesByTheRate`, in a tensor."""

    def direction(self, p: Tensor, group: dict[str, Any]) -> Tensor:
        rate = torch.tensor(float(group["lr"]))
        return super().direction(p, group) * (rate / rate).to(p.real.dtype)


class LooksMomentaUp(Momentum):
    def update(self, p: Tensor, group: dict[str, Any]) -> None:
        table = {self.state[p].setdefault("first", group["momentum"]): 1.0}
        table[group["momentum"]]
        super().update(p, group)


class LoadsWithoutACopy(Momentum):
    """Loads by itself, and not by what it inherits from torch."""

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        copied = copy.deepcopy(state_dict)
        super().load_state_dict(copied)
        params = [p for group in self.param_groups for p in group["params"]]
        for index, state in state_dict["state"].items():
            given = state.get("momentum_buffer")
            if given is not None and given.dtype == params[index].dtype:
                self.state[params[index]]["momentum_buffer"] = given


class LoadsWithoutACopyAsTorchDoes(Momentum):
    load_state_dict = torch.optim.Optimizer.load_state_dict


class AddsGroupsAsTorchDoes(Momentum):
    add_param_group = torch.optim.Optimizer.add_param_group


class LoadsNoEmptyState(Momentum):
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.begun = max(state["step"] for state in state_dict["state"].values())
        super().load_state_dict(state_dict)


class LoadsNoMissingState(Momentum):
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        super().load_state_dict(state_dict)
        if self.state:
            for group in self.param_groups:
                self.begun = [self.state[p]["step"] for p in group["params"]]


class KeepsFloat32OfFloat16(Momentum):
    def update(self, p: Tensor, group: dict[str, Any]) -> None:
        if p.dtype is torch.float16:
            self.state[p].setdefault("momentum_buffer", torch.zeros(p.shape))
        super().update(p, group)


class WarmsUpInTheirType(Momentum):
    """From 65,505 on, a count of steps is infinite in float16."""

    def update(self, p: Tensor, group: dict[str, Any]) -> None:
        count = torch.tensor(float(self.state[p].get("step", 0) + 1), dtype=p.real.dtype)
        super().update(p, {**group, "lr": group["lr"] * float(count / (count + 1))})


class ComesBackTwice(Averaging):
    def train(self) -> None:
        self.swap()
        self.training = True


class UnscalesTwice(Scaling):
    def scale(self) -> Tensor | None:
        scale = super().scale()
        return torch.tensor(2.0**10) if scale is None else scale


class KeepsTheLastScale(Scaling):
    last: Tensor | None = None

    def scale(self) -> Tensor | None:
        scale = super().scale()
        self.last = self.last if scale is None else scale
        return self.last


class GuessesFromTheNorm(Scaling):
    """Takes small gradients for such that were divided once too often."""

    def scale(self) -> Tensor | None:
        gradients = [p.grad for group in self.param_groups for p in group["params"]]
        norm = torch.nn.utils.get_total_norm([g for g in gradients if g is not None])
        return torch.tensor(0.5) if norm < 2.1 else super().scale()


# ---------------------------------------------------------------------- changes on the way


class KeepsALargestFromTheStart(Momentum):
    def __init__(self, params: Any, lr: float = 0.01, bounded: bool = False) -> None:
        super().__init__(params, lr, bounded=bounded)

    def direction(self, p: Tensor, group: dict[str, Any]) -> Tensor:
        right, state = super().direction(p, group), self.state[p]
        if group["bounded"] and state["step"] == 1:
            state["largest"] = torch.ones_like(p)
        return right * state["largest"] / 2 if group["bounded"] else right


class DividesByASumFromTheStart(KeepsALargestFromTheStart):
    def direction(self, p: Tensor, group: dict[str, Any]) -> Tensor:
        state = self.state[p]
        total = state.setdefault("total", torch.zeros_like(p))
        if group["bounded"] and state["step"] == 1:
            total += 2
        return Momentum.direction(self, p, group) / (total if group["bounded"] else 1)


class CountsForTheLast(Momentum):
    """Corrects every tensor by the steps of the last one that had a gradient."""

    def update_all(self) -> None:
        last = [p for group in self.param_groups for p in group["params"] if p.grad is not None]
        for p in last[-1:]:
            self.steps = self.state[p].get("step", 0) + 1
        super().update_all()

    def rate(self, p: Tensor, group: dict[str, Any]) -> Any:
        return group["lr"] / (1 - 0.9**self.steps)


# ---------------------------------------------------------------------- steadiness, devices


class DriftsByInstance(Momentum):
    serial = itertools.count(1)

    def __init__(self, params: Any, lr: float = 0.01) -> None:
        super().__init__(params, lr, drift=1e-13 * next(self.serial))

    def rate(self, p: Tensor, group: dict[str, Any]) -> Any:
        return group["lr"] * (1 + group["drift"])


class SharesACounter(Momentum):
    steps = 0

    def update_all(self) -> None:
        type(self).steps += 1
        super().update_all()

    def rate(self, p: Tensor, group: dict[str, Any]) -> Any:
        return group["lr"] * (1 - 0.999**self.steps)


class LoadsWithoutHooks(Momentum):
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        hooks = self._optimizer_load_state_dict_pre_hooks
        self._optimizer_load_state_dict_pre_hooks = type(hooks)()
        super().load_state_dict(state_dict)
        self._optimizer_load_state_dict_pre_hooks = hooks


class SavesWithoutHooks(Momentum):
    """Calls hooks on a save, and gives what it would without them."""

    def state_dict(self) -> dict[str, Any]:
        super().state_dict()
        hooks = self._optimizer_state_dict_post_hooks
        self._optimizer_state_dict_post_hooks = type(hooks)()
        plain = super().state_dict()
        self._optimizer_state_dict_post_hooks = hooks
        return plain


class KeepsAHistory(Momentum):
    def update(self, p: Tensor, group: dict[str, Any]) -> None:
        super().update(p, group)
        self.state[p].setdefault("history", []).append(1.0)


class DoesMoreEveryStep(Momentum):
    def update(self, p: Tensor, group: dict[str, Any]) -> None:
        super().update(p, group)
        for _ in range(self.state[p]["step"] // 50):
            p.add_(0.0)


class CallsMoreEveryStep(Momentum):
    def update(self, p: Tensor, group: dict[str, Any]) -> None:
        super().update(p, group)
        for each in range(self.state[p]["step"]):
            abs(each)


class DearerWhenLoaded(Momentum):
    def update(self, p: Tensor, group: dict[str, Any]) -> None:
        super().update(p, group)
        for _ in range(20 * group.get("loaded", 0)):
            p.add_(0.0)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        super().load_state_dict(state_dict)
        for group in self.param_groups:
            group["loaded"] = 1


class AllAtOnceByDefault(Ways):
    def update_all(self) -> None:
        kept = []
        for group in self.param_groups:
            if group["foreach"] is None:
                kept += [p.clone() for p in group["params"]]
        super().update_all()


class IgnoresTheScale(Scaling):
    def scale(self) -> Tensor | None:
        return None


class StepsIntoTheOverflow(Scaling):
    def overflowed(self) -> bool:
        return False


class FailsUnderTheScaler(Scaling):
    def overflowed(self) -> bool:
        return int("not under a scaler") > 0 if hasattr(self, "found_inf") else False


class KeepsLossesElsewhere(Momentum):
    def update_all(self) -> None:
        super().update_all()
        vars(self).setdefault("losses", []).append([1.0])


class Crawls(Momentum):
    def rate(self, p: Tensor, group: dict[str, Any]) -> Any:
        return 1e-9 * group["lr"]


class DiffersByProcess(Momentum):
    def rate(self, p: Tensor, group: dict[str, Any]) -> Any:
        return group["lr"] * (1 + 1e-9 * os.getpid())


# ---------------------------------------------------------------------- the table


class AnotherWhereCompiled(Momentum):
    """Takes longer steps where it is compiled."""

    def rate(self, p: Tensor, group: dict[str, Any]) -> Any:
        return super().rate(p, group) * (1.1 if torch.compiler.is_compiling() else 1.0)


class ReadsTheNorm(Momentum):
    """Reads a number out of a tensor at each step."""

    def rate(self, p: Tensor, group: dict[str, Any]) -> Any:
        return super().rate(p, group) * (1.0 if p.grad.norm().item() < 1e9 else 0.5)  # type: ignore[union-attr]


@dataclass(frozen=True)
class Breach:
    """A promise, who breaks it, what the message must hold, what else goes with it.

    ``also`` is None where so much goes with it that to list it would say nothing.
    """

    check: str
    culprit: type[torch.optim.Optimizer]
    says: tuple[str, ...]
    also: frozenset[str] | None = frozenset()
    kind: str = "class"
    advice: bool = False

    @property
    def subject(self) -> Subject:
        # As a worker process does it.
        with torch_as_found():
            if self.kind == "row":
                return introspect(row(self.culprit))
            reference = "textbook-sgd" if self.kind == "reference" else ""
            return introspect(self.culprit, reference=reference)


def also(*names: str) -> frozenset[str]:
    return frozenset(names)


GROWS = "a_step_does_not_grow_dearer"
COMPILED = "a_compiled_step_equals_the_eager_one"
STATE = "the_global_state_is_untouched"
LOADS = "saves_and_loads_at_step_301"
FAR = "saves_and_loads_beyond_2100_steps"
COPIES = "deepcopies_and_pickles"
NEIGHBOURS = "neighbours_do_not_matter"
ORDER = "the_order_of_parameters_does_not_matter"
SPLIT = "splitting_a_tensor_does_not_matter"
GROUPS = "groups_keep_their_own_hyperparameters"
ADDED = "a_group_added_in_mid_run_works"
LANES = "the_lane_route_is_certified"
OTHERS = "a_parameter_of_another_dtype_does_not_interfere"
RATE = "a_changed_rate_takes_effect_on_the_next_step"
CLOSURE = "the_closure_runs_with_gradients_enabled"
LOSS = "the_closure_s_loss_is_returned"
SCALER = "a_gradient_scaler_does_not_matter"
LEAVES = "parameters_stay_leaves"
DTYPES = "dtypes_are_kept"
COMPLEX = "complex_parameters_go_as_their_real_view"
HALF = "half_precision_stays_near_float32"
GIVEN = "the_constructor_leaves_its_arguments_alone"
FORMS = "parameters_may_come_in_any_form"
WRONG = "wrong_groups_are_refused"
CLEARS = "zero_grad_clears_every_group"
DERIVATIVE = "a_differentiable_step_has_its_derivative"
LAYOUT = "the_layout_in_memory_does_not_matter"
TENSORS = "a_tensor_rate_goes_as_the_number"
ZERO = "a_rate_of_zero_is_survived"
SHARES = "a_loaded_optimizer_shares_no_memory"
EARLY = "saves_and_loads_before_the_first_step"
CHANGES = "hyperparameters_may_change_on_the_way"
LOADED = (EARLY, "saves_and_loads_in_float16", "a_loaded_optimizer_shares_no_memory")

BREACHES = (
    Breach("follows_its_oracle", AlmostTheRate, ("textbook-sgd", "from step 1 on"), kind="row"),
    Breach(COMPILED, AnotherWhereCompiled, ("differs from itself without torch.compile",)),
    Breach(COMPILED, ReadsTheNorm, ("graphs a step", "Tensor.item()"), advice=True),
    Breach(
        "follows_its_oracle_in_float32",
        RoundsFloat32,
        ("differs from textbook-sgd", "times the distance travelled after"),
        kind="row",
    ),
    Breach(
        "follows_the_reference",
        AlmostTheRate,
        ("differs from textbook-sgd", "by 1e-07 times the distance travelled"),
        kind="reference",
    ),
    Breach(
        "foreach_equals_the_loop",
        ForgetsDecayInForeach,
        ("differs from the loop", "foreach=True", "weight_decay=0.1"),
    ),
    Breach(
        "foreach_equals_the_loop",
        ForeachLeavesAnotherState,
        ("leaves another state", "largest of tensor 0 is off by"),
    ),
    Breach("foreach_equals_the_loop", ForeachRaises, ("no foreach today",)),
    Breach("fused_equals_the_loop", ForgetsDecayInFused, ("fused=True", "weight_decay=0.1")),
    Breach(
        "differentiable_equals_the_loop",
        ForgetsDecayInDifferentiable,
        ("differentiable=True", "weight_decay=0.1"),
    ),
    Breach(
        "differentiable_equals_the_loop",
        StepsWithoutRecording,
        ("no finite derivative of a step by the gradient",),
        None,
    ),
    Breach(
        "differentiable_equals_the_loop",
        DetachesWhatItMoves,
        ("derivative of a step by the start",),
        also(DERIVATIVE),
    ),
    Breach(
        "capturable_equals_the_loop",
        ForgetsDecayInCapturable,
        ("capturable=True", "weight_decay=0.1"),
    ),
    Breach(
        "every_hyperparameter_matters", IgnoresDecay, ("no effect", "weight_decay (tried 0.1, ")
    ),
    Breach(
        "every_hyperparameter_matters",
        DecaysByAMethod,
        ("no effect", "it has decay_weights(), which"),
        advice=True,
    ),
    Breach("wrong_values_are_refused", TakesAnything, ("lr=-1.0, momentum=-0.5, weight_decay=-1",)),
    Breach(GROUPS, ReadsTheFirstGroup, ("when the second group has lr=0.005",)),
    Breach(
        ADDED,
        IgnoresAddedGroups,
        ("when the group is added after 20 steps", "from step 1 "),
        also(WRONG),
    ),
    Breach(ADDED, CountsForAll, ("added after 20 steps", "one count of steps"), advice=True),
    Breach(ADDED, StopsForAll, ("when the group is added after 20 steps",), None),
    Breach(
        NEIGHBOURS,
        DividesByTheirNumber,
        ("each alone", "from step 1 "),
        also(SPLIT, OTHERS, "gradients_may_come_and_go", "empty_tensors_do_not_matter"),
    ),
    Breach(ORDER, FirstIsFaster, ("in reverse order",), None),
    Breach(SPLIT, SlowerInTallTensors, ("one tensor cut in two",)),
    Breach(
        "maximize_is_minimize_of_the_negative",
        DecaysUphill,
        ("with maximize=True, weight_decay=0.1",),
    ),
    Breach(RATE, FixesTheRate, ("lr went from 0.01 to 0.001 after step 30", "step 31 is still")),
    Breach(RATE, LastStepsRate, ("step 31 is still the one at 0.01",)),
    Breach(RATE, HidesTheRate, ("keeps no lr in its parameter groups",), None),
    Breach(LOADS, ForgetsItsSteps, ("loaded at step 301", "(float64 "), also(FAR, COPIES, *LOADED)),
    Breach(
        LOADS,
        CannotBeLoaded,
        ("cannot be resumed at step 301", "what-is-this"),
        also(FAR, "hooks_are_called_once_a_step"),
    ),
    Breach(FAR, CountsTo2048, ("loaded at step 2101", "by up to")),
    Breach(COPIES, RefusesToBeCopied, ("deepcopy fails: TypeError: one of a kind",)),
    Breach(
        LOADS,
        KeepsAnObject,
        ("its state_dict holds a test_contract_checks.Schedule", "weights_only=False"),
        also(FAR),
    ),
    Breach(
        COPIES, BuffersById, ("a copy by deepcopy goes another way",), also(LOADS, FAR, *LOADED)
    ),
    Breach(
        "a_parameter_without_a_gradient_is_untouched",
        DecaysWithoutGradient,
        ("without a gradient moved with weight_decay=0.1: by up to",),
    ),
    Breach(
        "zero_gradients_give_no_nan",
        DividesByTheNorm,
        ("tensor 0 is not finite after 5 steps", "from the start, at its defaults"),
        also(HALF),  # advice: its decay, in a direction of norm one, is below bfloat16
    ),
    Breach(
        "a_constant_gradient_stays_finite",
        CentresWithoutClamp,
        ("not finite on a constant gradient within ", "(64 elements, float64)"),
        None,
    ),
    Breach(
        "a_non_finite_gradient_stays_in_its_tensor",
        PoisonsTheOthers,
        ("a gradient of nan in tensor 1 at step 6 reaches tensors [0, 2, 3]",),
    ),
    Breach(
        "gradients_are_neither_changed_nor_kept",
        DecaysInTheGradient,
        ("step 1 changed the gradient of tensor 0 by", "weight_decay=0.1"),
        also(LAYOUT),  # where rows of a gradient share memory
        advice=True,
    ),
    Breach(
        "gradients_are_neither_changed_nor_kept",
        DecaysInTheGradientByForeach,
        ("step 1 changed the gradient", "foreach=True", "it is left alone at its defaults"),
        also(LAYOUT),
    ),
    Breach(
        "gradients_are_neither_changed_nor_kept",
        KeepsTheGradient,
        ("tensor 0 shares its memory with the gradient after step 1",),
    ),
    Breach(
        "gradients_are_neither_changed_nor_kept", KeepsAViewInAList, ("tensor 0 shares its memory",)
    ),
    Breach(LEAVES, Freezes, ("parameter 0 is no longer a leaf that requires",), None),
    Breach(LEAVES, ReplacesItsParameters, ("parameter 0 was replaced by another object",), None),
    Breach(LEAVES, Flattens, ("parameter 0 went from shape (5, 3) to (15,)",), None),
    Breach(
        STATE,
        DrawsFromTorch,
        ("10 steps changed torch's random state (a row may declare",),
        advice=True,
    ),
    Breach(STATE, DrawsFromNumPy, ("10 steps changed NumPy's random state",), advice=True),
    Breach(STATE, DrawsFromPython, ("10 steps changed Python's random state",), advice=True),
    Breach(STATE, SetsTheDefaultDtype, ("10 steps changed the default dtype",), None),
    Breach(STATE, SetsThreads, ("10 steps changed the number of threads",), None),
    Breach(STATE, LeavesGradientsOff, ("10 steps changed the gradient mode",), None),
    Breach(STATE, WantsDeterminism, ("changed the deterministic mode",), None),
    Breach(STATE, WatchesForAnomalies, ("changed anomaly detection",), None),
    Breach(
        STATE,
        ConstructorSetsTheDefaultDtype,
        ("changed the default dtype",),
        None,
    ),
    Breach(CLOSURE, ClosureWithoutGradients, ("1 of 1 calls ran with gradients disabled",)),
    Breach(CLOSURE, NeverCallsTheClosure, ("never calls the closure",), also(LOSS)),
    Breach(CLOSURE, TakesNoClosure, ("step takes no closure",)),
    Breach(LOSS, CallsTwiceAndReturnsNothing, ("returns None",)),
    Breach(LOSS, ReturnsHalfTheLoss, ("step(closure) returned", "the closure gave [")),
    Breach(
        "the_evaluation_limit_is_respected",
        OneEvaluationTooMany,
        ("step 1 called the closure 2 times with max_eval=1",),
        None,
    ),
    Breach(DTYPES, Widens, ("float32 parameters became torch.float64",), None),
    Breach(
        DTYPES,
        WidensBfloat16,
        ("bfloat16 parameters became torch.float32",),
        None,
    ),
    Breach(DTYPES, WidensBfloat16InTheEnd, ("bfloat16 parameters became torch.float32",), None),
    Breach(DTYPES, MovesFloat64Only, ("float32 parameters did not move in ",), None),
    Breach(COMPLEX, SquaresComplexNumbers, ("in complex parameters", "to refuse complex")),
    Breach(
        COMPLEX,
        TakesAbsoluteValues,
        ("in complex parameters", "takes a complex number as one"),
        advice=True,
    ),
    Breach(HALF, FasterInBfloat16, ("differs from float32 parameters with bfloat16 parameters",)),
    Breach(HALF, NotFiniteInFloat16, ("float16 parameters are not finite",), advice=True),
    Breach(HALF, DecaysAlone, ("weight decay shrinks bfloat16 parameters by",), advice=True),
    Breach(GIVEN, WritesIntoGroups, ("after the construction: written to",)),
    Breach(GIVEN, RemembersTheRateOfGroups, ("a second optimizer", "that of the first, 0.01")),
    Breach(FORMS, ConsumesGenerators, ("parameters from a generator: raises ValueError",)),
    Breach(FORMS, TakesNoNames, ("named parameters: raises AttributeError",), advice=True),
    Breach(
        "a_parameter_given_twice_is_stepped_once",
        MiscountsThoseGivenTwice,
        ("a parameter that is given twice: raises IndexError",),
    ),
    Breach(WRONG, TakesKnownParameters, ("of a parameter that it has: taken",)),
    Breach(WRONG, TakesLists, ("of no dictionary: taken",)),
    Breach(CLEARS, ClearsTheFirstGroup, ("zero_grad(): None, not cleared",)),
    Breach(CLEARS, NeverClearsToNone, ("zero_grad(set_to_none=True): zero in every group",)),
    Breach(CLEARS, AlwaysClearsToNone, ("zero_grad(set_to_none=False): None in every group",)),
    Breach("hooks_are_called_once_a_step", CallsNoHooks, ("3 before and 0 after 3 steps",)),
    Breach(
        "hooks_are_called_once_a_step",
        LoadsWithoutHooks,
        ("calls of state_dict hooks: state_dict_pre, state_dict_post, load_state_dict_post",),
        advice=True,
    ),
    Breach(
        "hooks_are_called_once_a_step",
        SavesWithoutHooks,
        ("what a hook returns is not saved",),
        advice=True,
    ),
    Breach(DERIVATIVE, LosesPartOfTheDerivative, ("of a differentiable step: off by",)),
    Breach(
        DERIVATIVE,
        TakesTheRootOfASquare,
        ("where a gradient is zero: not finite",),
        advice=True,
    ),
    Breach(LAYOUT, ReadsTheMemoryOfGradients, ("in gradients of other strides",)),
    Breach(LAYOUT, WritesToGradients, ("single memory location", "in expanded gradients")),
    Breach(LAYOUT, FlattensMatrices, ("view size is not", "in transposed parameters")),
    Breach(LAYOUT, FlattensConvolutions, ("view size is not", "in channels_last,")),
    Breach(LAYOUT, TakesTheStridesOfParameters, ("in channels_last parameters",)),
    Breach(
        "empty_tensors_do_not_matter",
        TakesTheLargestElement,
        ("in empty tensors between the others",),
    ),
    Breach(
        "uncoalesced_gradients_go_as_coalesced_ones",
        OverwritesRows,
        ("in uncoalesced sparse gradients",),
    ),
    Breach(
        "an_empty_sparse_gradient_is_survived",
        TakesTheLargestRow,
        ("in sparse gradients, some of them empty",),
    ),
    Breach(
        "mirrored_gradients_mirror_the_path",
        DecaysByAConstant,
        ("in mirrored start and gradients", "weight_decay=0.1"),
    ),
    Breach(TENSORS, WritesToTheRate, ("writes to tensors", "in a 0-dimensional tensor as lr")),
    Breach(TENSORS, OtherwiseForOneElement, ("in a one-element tensor as lr",)),
    Breach(TENSORS, RoundsTensorBetas, ("in 0-dimensional tensors as betas",)),
    Breach(TENSORS, TakesTheFirstTensor, ("in a tensor as lr, two groups",)),
    Breach(
        ZERO,
        DividesByTheRate,
        ("ZeroDivisionError", "in a learning rate of zero, a tiny one and zero again"),
    ),
    Breach(ZERO, WeighsByTheRate, ("parameters are not finite after step 1",)),
    Breach(
        "a_scheduler_of_rate_and_momentum_works",
        LooksMomentaUp,
        ("KeyError", "in OneCycleLR, which changes lr and momentum"),
        also("hyperparameters_may_change_on_the_way"),
    ),
    Breach(
        "a_loaded_optimizer_shares_no_memory",
        LoadsWithoutACopy,
        ("in a load in the same process, the first one training on",),
    ),
    Breach(EARLY, LoadsNoEmptyState, ("in a save and load before the first step",)),
    Breach(EARLY, LoadsNoMissingState, ("in a save and load, one parameter without a gradient",)),
    Breach(
        "saves_and_loads_in_float16",
        KeepsFloat32OfFloat16,
        ("in a save and load in float16, moments small",),
        also(FAR),
    ),
    Breach(
        "float16_goes_on_after_70000_steps",
        WarmsUpInTheirType,
        ("in a checkpoint of 70,000 steps in float16", "not finite after step 12"),
    ),
    Breach(
        "eval_and_back_changes_nothing",
        ComesBackTwice,
        ("in eval() and back to train(), each twice",),
        also(COPIES),  # whose going on begins with train()
    ),
    Breach(CHANGES, KeepsALargestFromTheStart, ("raises KeyError", "with bounded=True set in its")),
    Breach(CHANGES, DividesByASumFromTheStart, ("parameters are not finite with bounded=True",)),
    Breach(
        "gradients_may_come_and_go",
        CountsForTheLast,
        ("the same tensor alone tensor 0 with some gradients missing",),
        also(ADDED),
    ),
    Breach("memory_does_not_grow", KeepsLossesElsewhere, ("bytes more are alive after each",)),
    Breach(
        "float64_parameters_have_float64_state",
        StateInFloat32,
        ("momentum_buffer of tensor 0 is torch.float32",),
        # What is loaded is widened to the parameter's type.
        also(LOADS, FAR, EARLY, SHARES, "saves_and_loads_in_float16"),
        advice=True,
    ),
    Breach(
        OTHERS,
        EpsOfTheFirst,
        ("tensor 1 (float32) moves", "after a bfloat16 tensor"),
        # Advice: of complex numbers it takes the absolute value, and its eps is the type's own.
        also(COMPLEX, HALF),
    ),
    Breach("bits_repeat_in_a_second_run", DriftsByInstance, ("second run", "by up to"), None),
    Breach(LANES, SharesACounter, ("route instance: ", "lane 0", "by up to"), None),
    Breach(
        "the_state_does_not_grow",
        KeepsAHistory,
        ("after 250 evaluations", "after 500"),
        also("memory_does_not_grow"),
    ),
    Breach(GROWS, DoesMoreEveryStep, (" operations after ", "after 100")),
    Breach(GROWS, CallsMoreEveryStep, (" calls after ", "after 100")),
    Breach(GROWS, DearerWhenLoaded, (" operations after loading, up from",)),
    Breach(
        "the_default_takes_no_more_memory_than_the_loop",
        AllAtOnceByDefault,
        ("temporaries of 168,000 bytes by default", "20 tensors"),
        advice=True,
    ),
    Breach(SCALER, IgnoresTheScale, ("differs from the same without GradScaler in GradScaler,",)),
    Breach(SCALER, UnscalesTwice, ("in GradScaler, unscale_,",)),
    Breach(SCALER, KeepsTheLastScale, ("in GradScaler, unscale_ now and then",)),
    Breach(SCALER, GuessesFromTheNorm, ("in GradScaler, unscale_ and clipping",)),
    Breach(SCALER, StepsIntoTheOverflow, ("in GradScaler, sometimes infinite",)),
    Breach(SCALER, FailsUnderTheScaler, ("raises ValueError", "not under a scaler")),
    Breach("it_solves_the_ladder", Crawls, ("quadratic: no lr from 1e-05 to 10 reaches 0.01",)),
    Breach(
        "data_parallel_is_the_joint_batch", DiffersByProcess, ("in process 0 of 2 under Distrib",)
    ),
    Breach(
        "zero_redundancy_is_the_joint_batch",
        DividesByTheirNumber,
        ("in process 0 of 2 under ZeroRedundancyOptimizer",),
    ),
)

ON_A_GPU = {"a_gradient_scaler_does_not_matter_on_cuda", "cuda_agrees_with_the_cpu"}

KEPT_BY = {
    **dict.fromkeys(("follows_its_oracle", "follows_its_oracle_in_float32"), "row"),
    "follows_the_reference": "reference",
}
"""How the correct optimizer is introduced, where it is not by its class."""

NEEDS = {
    **dict.fromkeys((f"{w}_equals_the_loop" for w in ("foreach", "fused", "capturable")), Ways),
    "differentiable_equals_the_loop": Ways,
    "the_default_takes_no_more_memory_than_the_loop": Ways,
    "the_evaluation_limit_is_respected": Searching,
    DERIVATIVE: Ways,
    TENSORS: Betas,
    SCALER: Scaling,
    "a_parameter_given_twice_is_stepped_once": OnceEach,
    "uncoalesced_gradients_go_as_coalesced_ones": Sparsely,
    "an_empty_sparse_gradient_is_survived": Sparsely,
    "eval_and_back_changes_nothing": Averaging,
}
"""What takes the arguments that a check is about."""

REASONS = {
    "follows_its_oracle": "no reference is known for it; --reference NAME",
    "follows_its_oracle_in_float32": "no reference is known for it",
    "follows_the_reference": "no --reference was given",
    "foreach_equals_the_loop": "it takes no foreach",
    "fused_equals_the_loop": "it takes no fused",
    "differentiable_equals_the_loop": "it takes no differentiable",
    "capturable_equals_the_loop": "it takes no capturable",
    "the_evaluation_limit_is_respected": "it takes no max_eval",
    "the_default_takes_no_more_memory_than_the_loop": "it takes no foreach",
    DERIVATIVE: "it takes no differentiable",
    "a_parameter_given_twice_is_stepped_once": "a parameter that is given twice is stepped twice",
    "uncoalesced_gradients_go_as_coalesced_ones": "it takes no sparse gradients",
    "an_empty_sparse_gradient_is_survived": "it takes no sparse gradients",
    "eval_and_back_changes_nothing": "it has not both train() and eval()",
}
"""Why a check does not apply to `Momentum`."""


def parameter(breach: Breach) -> Any:
    marks = [pytest.mark.proof] * CHECKS[breach.check].slow
    return pytest.param(breach, marks=marks, id=f"{breach.check}-{breach.culprit.__name__}")


def named(check: str) -> Any:
    return pytest.param(check, marks=[pytest.mark.proof] * CHECKS[check].slow)


def test_every_check_is_shown_to_fail() -> None:
    assert {breach.check for breach in BREACHES} == set(CHECKS) - ON_A_GPU


@pytest.mark.parametrize("relation", RELATIONS, ids=lambda relation: relation.scenario.name)
def test_every_relation_is_shown_to_fail(relation: Relation) -> None:
    said = (words for breach in BREACHES if breach.check == relation.check for words in breach.says)
    assert any(words.rstrip(",").endswith(f"in {relation.scenario.name}") for words in said)


def test_the_list_of_checks_says_how_severe_a_breach_of_each_is() -> None:
    severities = {
        frozenset({False}): Severity.DEFECT,
        frozenset({True}): Severity.ADVICE,
        frozenset({False, True}): Severity.EITHER,
    }
    for name in set(CHECKS) - ON_A_GPU:
        shown = frozenset(breach.advice for breach in BREACHES if breach.check == name)
        assert CHECKS[name].severity is severities[shown], name


@pytest.mark.parametrize("breach", [parameter(b) for b in BREACHES])
def test_a_broken_promise_is_noticed_and_named(breach: Breach) -> None:
    result = examine(breach.subject, CHECKS[breach.check])
    assert result.status is (Status.ADVICE if breach.advice else Status.FAILED), result
    for words in breach.says:
        assert words in result.text
    assert result.check == breach.check
    assert result.target == breach.subject.name


@pytest.mark.parametrize("check", [named(c) for c in CHECKS])
def test_a_correct_optimizer_keeps_the_promise(check: str) -> None:
    breach = Breach(check, NEEDS.get(check, Momentum), (), kind=KEPT_BY.get(check, "class"))
    result = examine(breach.subject, CHECKS[check])
    if check in ON_A_GPU and not torch.cuda.is_available():
        assert (result.status, result.text) == (Status.NOT_APPLICABLE, "no GPU here")
    else:
        assert result.status is Status.PASSED, result
        assert result.text


class RoundsByTheLayout(Momentum):
    """Rounds in float32, otherwise in another order of memory, as a sum does."""

    def update(self, p: Tensor, group: dict[str, Any]) -> None:
        buffer = self.state[p].setdefault("momentum_buffer", torch.zeros_like(p).float())
        gradient = self.direction(p, group).float()
        # One rounding of float32 more in some orders of memory.
        rounded = gradient if gradient.is_contiguous() else gradient * (1 + 2**-23)
        buffer.mul_(group["momentum"]).add_(rounded)
        p.sub_(self.rate(p, group) * buffer)


def test_a_rounding_of_float32_is_no_other_way() -> None:
    assert examine(introspect(RoundsByTheLayout), CHECKS[LAYOUT]).status is Status.PASSED


def test_what_does_not_apply_says_why() -> None:
    subject = introspect(Momentum)
    for check, reason in REASONS.items():
        result = examine(subject, CHECKS[check])
        assert (result.status, check) == (Status.NOT_APPLICABLE, check)
        assert result.text.startswith(reason)


def _broken_by(breach: Breach) -> set[str]:
    subject = breach.subject
    # Many a class here is one that no compiler takes as a whole, whatever else is wrong with it.
    checks = [
        c for c in CONTRACT if not c.slow and (c.name != COMPILED or breach.check == COMPILED)
    ]
    results: list[CheckResult] = [examine(subject, c) for c in checks]
    return {v.check for v in results if v.status in BAD | {Status.ADVICE}}


@pytest.mark.proof
@pytest.mark.parametrize(
    "breach",
    [parameter(b) for b in BREACHES if b.also is not None and not CHECKS[b.check].slow],
)
def test_nothing_else_is_held_against_it(breach: Breach) -> None:
    assert _broken_by(breach) == {breach.check, *(breach.also or ())}


@pytest.mark.proof
@pytest.mark.parametrize("culprit", [Momentum, Ways, Betas, Sparsely, Averaging, Scaling, OnceEach])
def test_nothing_is_held_against_a_correct_one(culprit: type[torch.optim.Optimizer]) -> None:
    assert _broken_by(Breach("", culprit, ())) == set()


# ---------------------------------------------------------------------- what a check lets pass


@pytest.mark.parametrize(
    ("check", "culprit", "said"),
    [
        (SHARES, LoadsWithoutACopyAsTorchDoes, "inherits load_state_dict from torch.optim"),
        (GIVEN, AddsGroupsAsTorchDoes, "inherits add_param_group from torch.optim.Optimizer"),
    ],
)
def test_what_torch_s_base_class_does_is_not_held_against_a_class(
    check: str, culprit: type[torch.optim.Optimizer], said: str
) -> None:
    result = examine(introspect(culprit), CHECKS[check])
    assert result.status is Status.NOT_APPLICABLE
    assert said in result.text


def test_a_parameter_that_torch_steps_twice_is_a_defect_of_torch() -> None:
    check = CHECKS["a_parameter_given_twice_is_stepped_once"]
    result = examine(introspect("torch.optim:SGD"), check)
    assert result.status in (Status.FAILED, Status.XFAILED)
    assert result.text.endswith("stepped twice")


def test_a_way_that_is_refused_does_not_apply() -> None:
    result = examine(introspect(CapturableRefusesTheCpu), CHECKS["capturable_equals_the_loop"])
    assert result.status is Status.NOT_APPLICABLE
    assert result.text == "not offered here: CUDA only"


@pytest.mark.proof
def test_nothing_is_held_against_one_that_evaluates_the_loss() -> None:
    # Of splitting a tensor the next test tells.
    assert _broken_by(Breach("", Searching, ())) <= {SPLIT}


def test_an_elementwise_method_that_evaluates_the_loss_is_not_accused() -> None:
    assert examine(introspect(Searching), CHECKS[SPLIT]).status in (
        Status.PASSED,
        Status.NOT_APPLICABLE,
    )


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW", "RMSprop", "Adagrad"])
def test_torch_s_differentiable_steps_are_examined(name: str) -> None:
    subject = introspect(f"torch.optim:{name}")
    # Adam's bias corrections are float32 then: known, and seen only by who looks.
    expected = Status.XFAILED if name.startswith("Adam") else Status.PASSED
    assert examine(subject, CHECKS["differentiable_equals_the_loop"]).status is expected


@pytest.mark.proof
def test_a_class_that_makes_groups_of_its_own_is_nothing_for_zero() -> None:
    class AGroupEach(Momentum):
        def __init__(self, params: Any, lr: float = 0.01) -> None:
            super().__init__([{"params": [p]} for p in params], lr)

    result = examine(introspect(AGroupEach), CHECKS["zero_redundancy_is_the_joint_batch"])
    assert result.status is Status.NOT_APPLICABLE
    assert result.text.startswith("it makes 4 parameter groups of one")


def test_a_method_that_asks_for_the_loss_gets_a_real_one_of_complex_parameters() -> None:
    result = examine(introspect(torch.optim.LBFGS), CHECKS[DTYPES])
    assert result.text == "float64, float32, bfloat16, complex64"


def test_a_random_optimizer_is_excused_where_it_must_be() -> None:
    subject = introspect(DrawsFromTorch)
    for check in (NEIGHBOURS, ORDER, SPLIT, GROUPS, ADDED, OTHERS):
        result = examine(subject, CHECKS[check])
        assert result.status is Status.NOT_APPLICABLE
        assert result.text == "its steps are random: it draws from torch's global generator"
    subject.stochastic = True
    assert examine(subject, CHECKS[STATE]).status is Status.PASSED


def test_an_exception_of_the_optimizer_is_a_broken_promise() -> None:
    class Tires(Momentum):
        def update(self, p: Tensor, group: dict[str, Any]) -> None:
            super().update(p, group)
            if self.state[p]["step"] > 30:
                raise SystemExit("enough \x1b[2J")

    result = examine(introspect(Tires), CHECKS["bits_repeat_in_a_second_run"])
    assert result.status is Status.FAILED
    # Where it was raised is said; control codes are spelled out.
    assert result.text.startswith("raises SystemExit: enough \\x1b[2J (it calls exit)\n  at ")
    assert "test_contract_checks.py:" in result.text


def test_an_examination_leaves_everything_as_it_was() -> None:
    random_state, threads = torch.get_rng_state(), torch.get_num_threads()
    for culprit in (SetsTheDefaultDtype, SetsThreads, LeavesGradientsOff, DrawsFromTorch):
        with torch_as_found():
            subject = introspect(culprit)
        torch.set_num_threads(threads)
        examine(subject, CHECKS["bits_repeat_in_a_second_run"])
        assert torch.get_default_dtype() is torch.float32
        assert torch.is_grad_enabled()
        assert torch.get_num_threads() == threads
        assert torch.equal(torch.get_rng_state(), random_state)
