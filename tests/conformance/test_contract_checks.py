"""Every check of the contract: an optimizer that breaks its promise, and one that keeps it."""

from __future__ import annotations

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
from optbench.conformance.acquaintance import acquaint
from optbench.conformance.check import Severity
from optbench.conformance.contract import CONTRACT
from optbench.conformance.examiner import examine
from optbench.conformance.result import BAD, CheckResult, Status
from optbench.conformance.subject import Subject
from optbench.engine.as_found import torch_as_found
from optbench.engine.lanes import one_thread
from optbench.optimizers import Optimizer, Route

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
        self.state[p]["largest"] = p.abs().max() * (2 if group["foreach"] else 1)


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


class DividesByTheirNumber(Momentum):
    def rate(self, p: Tensor, group: dict[str, Any]) -> Any:
        return group["lr"] / len(group["params"])


class FirstIsFaster(Momentum):
    def rate(self, p: Tensor, group: dict[str, Any]) -> Any:
        return group["lr"] * (1.001 if p is group["params"][0] else 1)


class SlowerInTallTensors(Momentum):
    def rate(self, p: Tensor, group: dict[str, Any]) -> Any:
        return group["lr"] / len(p) ** 0.5


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


class IgnoresTheScale(Momentum):
    def __init__(self, params: Any, lr: float = 0.01) -> None:
        super().__init__(params, lr)
        # GradScaler leaves it to such an optimizer to undo the scale and to look for overflow.
        self._step_supports_amp_scaling = True


class StepsIntoTheOverflow(IgnoresTheScale):
    def direction(self, p: Tensor, group: dict[str, Any]) -> Tensor:
        scale = getattr(self, "grad_scale", None)
        right = super().direction(p, group)
        return right if scale is None else right / scale


class RefusesTheScaler(IgnoresTheScale):
    def update_all(self) -> None:
        if getattr(self, "found_inf", None) is not None:
            raise RuntimeError("not under a scaler")
        super().update_all()


class Crawls(Momentum):
    def rate(self, p: Tensor, group: dict[str, Any]) -> Any:
        return 1e-9 * group["lr"]


class DiffersByProcess(Momentum):
    def rate(self, p: Tensor, group: dict[str, Any]) -> Any:
        return group["lr"] * (1 + 1e-9 * os.getpid())


# ---------------------------------------------------------------------- the table


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
                return acquaint(row(self.culprit))
            reference = "textbook-sgd" if self.kind == "reference" else ""
            return acquaint(self.culprit, reference=reference)


def also(*names: str) -> frozenset[str]:
    return frozenset(names)


GROWS = "a_step_does_not_grow_dearer"
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

BREACHES = (
    Breach("follows_its_oracle", AlmostTheRate, ("textbook-sgd", "from step 1 on"), kind="row"),
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
    Breach(ADDED, IgnoresAddedGroups, ("when the group is added after 20 steps", "from step 1 ")),
    Breach(NEIGHBOURS, DividesByTheirNumber, ("each alone", "from step 1 "), also(SPLIT, OTHERS)),
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
    Breach(LOADS, ForgetsItsSteps, ("loaded at step 301", "(float64 "), also(FAR, COPIES)),
    Breach(LOADS, CannotBeLoaded, ("cannot be resumed at step 301", "what-is-this"), also(FAR)),
    Breach(FAR, CountsTo2048, ("loaded at step 2101", "by up to")),
    Breach(COPIES, RefusesToBeCopied, ("deepcopy fails: TypeError: one of a kind",)),
    Breach(
        LOADS,
        KeepsAnObject,
        ("its state_dict holds a test_contract_checks.Schedule", "weights_only=False"),
        also(FAR),
    ),
    Breach(COPIES, BuffersById, ("a copy by deepcopy goes another way",), also(LOADS, FAR)),
    Breach(
        "a_parameter_without_a_gradient_is_untouched",
        DecaysWithoutGradient,
        ("without a gradient moved with weight_decay=0.1: by up to",),
    ),
    Breach(
        "zero_gradients_give_no_nan",
        DividesByTheNorm,
        ("tensor 0 is not finite after 5 steps", "from the start, at its defaults"),
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
        advice=True,
    ),
    Breach(
        "gradients_are_neither_changed_nor_kept",
        DecaysInTheGradientByForeach,
        ("step 1 changed the gradient", "foreach=True", "it is left alone at its defaults"),
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
    Breach(DTYPES, SquaresComplexNumbers, ("differs from its real and imaginary parts",)),
    Breach(
        DTYPES,
        TakesAbsoluteValues,
        ("differs from its real and", "takes a complex number as one"),
        advice=True,
    ),
    Breach(
        "float64_parameters_have_float64_state",
        StateInFloat32,
        ("momentum_buffer of tensor 0 is torch.float32",),
        # What is loaded is widened to the parameter's type.
        also(LOADS, FAR),
        advice=True,
    ),
    Breach(
        OTHERS,
        EpsOfTheFirst,
        ("tensor 1 (float32) moves", "after a bfloat16 tensor"),
        also(DTYPES),  # advice: of complex numbers it takes the absolute value
    ),
    Breach("bits_repeat_in_a_second_run", DriftsByInstance, ("second run", "by up to"), None),
    Breach(LANES, SharesACounter, ("route instance: ", "lane 0", "by up to"), None),
    Breach("the_state_does_not_grow", KeepsAHistory, ("after 250 evaluations", "after 500")),
    Breach(GROWS, DoesMoreEveryStep, (" operations after ", "after 100")),
    Breach(GROWS, CallsMoreEveryStep, (" calls after ", "after 100")),
    Breach(GROWS, DearerWhenLoaded, (" operations after loading and took",)),
    Breach(
        "the_default_takes_no_more_memory_than_the_loop",
        AllAtOnceByDefault,
        ("temporaries of 168,000 bytes by default", "20 tensors"),
        advice=True,
    ),
    Breach(SCALER, IgnoresTheScale, ("differs from the same without GradScaler",)),
    Breach(SCALER, StepsIntoTheOverflow, ("infinite gradient is not left out under GradScaler",)),
    Breach(SCALER, RefusesTheScaler, ("GradScaler.step fails", "not under a scaler")),
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
}
"""Why a check does not apply to `Momentum`."""


def parameter(breach: Breach) -> Any:
    marks = [pytest.mark.proof] * CHECKS[breach.check].slow
    return pytest.param(breach, marks=marks, id=f"{breach.check}-{breach.culprit.__name__}")


def named(check: str) -> Any:
    return pytest.param(check, marks=[pytest.mark.proof] * CHECKS[check].slow)


def test_every_check_is_shown_to_fail() -> None:
    assert {breach.check for breach in BREACHES} == set(CHECKS) - ON_A_GPU


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


def test_what_does_not_apply_says_why() -> None:
    subject = acquaint(Momentum)
    for check, reason in REASONS.items():
        result = examine(subject, CHECKS[check])
        assert (result.status, check) == (Status.NOT_APPLICABLE, check)
        assert result.text.startswith(reason)


def _broken_by(breach: Breach) -> set[str]:
    subject = breach.subject
    results: list[CheckResult] = [examine(subject, c) for c in CONTRACT if not c.slow]
    return {v.check for v in results if v.status in BAD | {Status.ADVICE}}


@pytest.mark.proof
@pytest.mark.parametrize(
    "breach",
    [parameter(b) for b in BREACHES if b.also is not None and not CHECKS[b.check].slow],
)
def test_nothing_else_is_held_against_it(breach: Breach) -> None:
    assert _broken_by(breach) == {breach.check, *(breach.also or ())}


@pytest.mark.proof
@pytest.mark.parametrize("culprit", [Momentum, Ways])
def test_nothing_is_held_against_a_correct_one(culprit: type[torch.optim.Optimizer]) -> None:
    assert _broken_by(Breach("", culprit, ())) == set()


# ---------------------------------------------------------------------- what a check lets pass


def test_a_way_that_is_refused_does_not_apply() -> None:
    result = examine(acquaint(CapturableRefusesTheCpu), CHECKS["capturable_equals_the_loop"])
    assert result.status is Status.NOT_APPLICABLE
    assert result.text == "not offered here: CUDA only"


@pytest.mark.proof
def test_nothing_is_held_against_one_that_evaluates_the_loss() -> None:
    # Of splitting a tensor the next test tells.
    assert _broken_by(Breach("", Searching, ())) <= {SPLIT}


def test_an_elementwise_method_that_evaluates_the_loss_is_not_accused() -> None:
    assert examine(acquaint(Searching), CHECKS[SPLIT]).status in (
        Status.PASSED,
        Status.NOT_APPLICABLE,
    )


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW", "RMSprop", "Adagrad"])
def test_torch_s_differentiable_steps_are_examined(name: str) -> None:
    subject = acquaint(f"torch.optim:{name}")
    # Adam's bias corrections are float32 then: known, and seen only by who looks.
    expected = Status.XFAILED if name.startswith("Adam") else Status.PASSED
    assert examine(subject, CHECKS["differentiable_equals_the_loop"]).status is expected


@pytest.mark.proof
def test_a_class_that_makes_groups_of_its_own_is_nothing_for_zero() -> None:
    class AGroupEach(Momentum):
        def __init__(self, params: Any, lr: float = 0.01) -> None:
            super().__init__([{"params": [p]} for p in params], lr)

    result = examine(acquaint(AGroupEach), CHECKS["zero_redundancy_is_the_joint_batch"])
    assert result.status is Status.NOT_APPLICABLE
    assert result.text.startswith("it makes 4 parameter groups of one")


def test_a_method_that_asks_for_the_loss_gets_a_real_one_of_complex_parameters() -> None:
    result = examine(acquaint(torch.optim.LBFGS), CHECKS[DTYPES])
    assert result.text == "float64, float32, bfloat16, complex64"


def test_a_random_optimizer_is_excused_where_it_must_be() -> None:
    subject = acquaint(DrawsFromTorch)
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

    result = examine(acquaint(Tires), CHECKS["bits_repeat_in_a_second_run"])
    assert result.status is Status.FAILED
    # Where it was raised is said; control codes are spelled out.
    assert result.text.startswith("raises SystemExit: enough \\x1b[2J (it calls exit)\n  at ")
    assert "test_contract_checks.py:" in result.text


def test_an_examination_leaves_everything_as_it_was() -> None:
    random_state, threads = torch.get_rng_state(), torch.get_num_threads()
    for culprit in (SetsTheDefaultDtype, SetsThreads, LeavesGradientsOff, DrawsFromTorch):
        with torch_as_found():
            subject = acquaint(culprit)
        torch.set_num_threads(threads)
        examine(subject, CHECKS["bits_repeat_in_a_second_run"])
        assert torch.get_default_dtype() is torch.float32
        assert torch.is_grad_enabled()
        assert torch.get_num_threads() == threads
        assert torch.equal(torch.get_rng_state(), random_state)
