from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from optbench.engine import lanes
from optbench.engine.certify import certify, fastest_route
from optbench.engine.lanes import advance
from optbench.engine.stepping import Stepper
from optbench.optimizers import OPTIMIZERS, Optimizer, Route
from optbench.problems import PROBLEMS

SETTINGS = [{"lr": 0.01}, {"lr": 0.01}, {"lr": 0.02}]
SEEDS = [0, 1, 0]


def row(factory: Any, **changes: Any) -> Optimizer:
    return dataclasses.replace(OPTIMIZERS["sgd"], factory=factory, **changes)


class Clearing(torch.optim.SGD):
    """Clears the gradients when it has used them, as heavyball does."""

    def step(self, closure: Any = None) -> Any:
        loss = super().step(closure)
        self.zero_grad(set_to_none=True)
        return loss


class Rebinding(torch.optim.SGD):
    """Puts another tensor of the same values in a gradient's place."""

    def step(self, closure: Any = None) -> Any:
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    p.grad = p.grad.clone()
        return super().step(closure)


class Reshaping(torch.optim.SGD):
    """Leaves a gradient behind that has another shape."""

    def step(self, closure: Any = None) -> Any:
        loss = super().step(closure)
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    p.grad = None
                    p.data, flat = p.data.reshape(-1), p.data
                    p.grad = torch.zeros_like(p)
                    p.data = flat
        return loss


class KeepingTheLast(torch.optim.SGD):
    """Steps by the gradient before: kept by reference, since each backward pass makes new ones."""

    def step(self, closure: Any = None) -> Any:
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    last = self.state[p].get("last", torch.zeros_like(p.grad))
                    self.state[p]["last"] = p.grad
                    p.data.add_(last, alpha=-group["lr"])


class CopyingTheLast(torch.optim.SGD):
    def step(self, closure: Any = None) -> Any:
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    last = self.state[p].get("last", torch.zeros_like(p.grad))
                    self.state[p]["last"] = p.grad.clone()
                    p.data.add_(last, alpha=-group["lr"])


class OwnZeroGrad(torch.optim.SGD):
    """Clears its gradients to zero, by a method of its own."""

    def zero_grad(self, set_to_none: bool = True) -> None:
        super().zero_grad(set_to_none=False)


class Accumulating(torch.optim.SGD):
    """A zero_grad that forgets to clear: every training loop accumulates."""

    def zero_grad(self, set_to_none: bool = True) -> None:
        pass


@pytest.mark.parametrize("problem", ["quadratic", "network-2-3-1", "noisy-quadratic"])
@pytest.mark.parametrize("route", list(Route))
@pytest.mark.parametrize(
    ("factory", "like"),
    [
        (Clearing, torch.optim.SGD),
        (Rebinding, torch.optim.SGD),
        (Reshaping, torch.optim.SGD),
        (OwnZeroGrad, torch.optim.SGD),
        (KeepingTheLast, CopyingTheLast),
    ],
)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_what_a_step_does_to_its_gradients_changes_no_bit(
    factory: Any, like: Any, route: Route, problem: str, dtype: torch.dtype
) -> None:
    ours, theirs = (
        advance(row(each), PROBLEMS[problem], SETTINGS, SEEDS, 60, dtype=dtype, route=route)
        for each in (factory, like)
    )
    assert not ours.unmoved.any()
    assert np.array_equal(ours.gaps, theirs.gaps)
    for name, value in theirs.params.items():
        assert torch.equal(ours.params[name], value)


@pytest.mark.parametrize("route", list(Route))
def test_a_zero_grad_that_clears_nothing_accumulates_as_in_any_training_loop(route: Route) -> None:
    problem = PROBLEMS["quadratic"].bind(torch.float64, torch.device("cpu"))
    done = advance(
        row(Accumulating), problem, SETTINGS, SEEDS, 30, dtype=torch.float64, route=route
    )
    for lane, (setting, seed) in enumerate(zip(SETTINGS, SEEDS, strict=True)):
        (x,) = lanes.start(problem, [seed], torch.float64, torch.device("cpu")).values()
        total = torch.zeros_like(x)
        for _ in range(30):
            leaf = x.clone().requires_grad_()
            problem.loss(dict.fromkeys(done.params, leaf), None).sum().backward()
            total += leaf.grad
            x = x - setting["lr"] * total
        (end,) = done.params.values()
        torch.testing.assert_close(end[lane], x[0], rtol=1e-12, atol=1e-12)


class TwoModes(torch.optim.SGD):
    """SGD that shows in eval mode the average of all iterates; its modes invert up to rounding."""

    def __init__(self, params: Any, lr: float = 1e-3) -> None:
        super().__init__(params, lr)
        self.training = False
        self.calls = {"train": 0, "eval": 0}

    def step(self, closure: Any = None) -> Any:
        assert self.training, "step() outside of train mode"
        super().step(closure)
        for group in self.param_groups:
            for p in group["params"]:
                state = self.state[p]
                state["n"] = n = state.get("n", 0) + 1
                state.setdefault("mean", p.detach().clone()).lerp_(p.detach(), 1 / n)

    def eval(self) -> None:
        self.calls["eval"] += 1
        if self.training:
            self._swap(1 / 3)
        self.training = False

    def train(self) -> None:
        self.calls["train"] += 1
        if not self.training:
            self._swap(1 - 1 / (1 - 1 / 3))
        self.training = True

    @torch.no_grad()
    def _swap(self, weight: float) -> None:
        for group in self.param_groups:
            for p in group["params"]:
                if "mean" in self.state[p]:
                    p.lerp_(self.state[p]["mean"], weight)


def trained_by_hand(problem: Any, lr: float, seed: int, steps: int) -> tuple[Tensor, list[float]]:
    """Parameters in eval mode after the last step, and the objective there after each."""
    (name,) = problem.shapes
    begin = lanes.start(problem, [seed], torch.float64, torch.device("cpu"))
    x = torch.nn.Parameter(begin[name])
    optimizer = TwoModes([x], lr)
    batches = lanes.feed(problem, [seed], torch.float64, torch.device("cpu"))
    optimizer.train()
    seen = []
    for _ in range(steps):
        optimizer.zero_grad()
        problem.loss({name: x}, next(batches)).sum().backward()
        optimizer.step()
        at = x.detach().clone()
        optimizer.eval()
        seen.append(float(problem.objective({name: x.detach()})))
        shown = x.detach().clone()
        optimizer.train()
        x.data.copy_(at)
    return shown, seen


@pytest.mark.parametrize("route", list(Route))
@pytest.mark.parametrize("name", ["quadratic", "noisy-quadratic"])
def test_what_is_scored_and_kept_are_the_weights_of_eval(route: Route, name: str) -> None:
    problem = PROBLEMS[name].bind(torch.float64, torch.device("cpu"))
    done = advance(row(TwoModes), problem, SETTINGS, SEEDS, 40, dtype=torch.float64, route=route)
    for lane, (setting, seed) in enumerate(zip(SETTINGS, SEEDS, strict=True)):
        end, seen = trained_by_hand(problem, setting["lr"], seed, 40)
        (ours,) = done.params.values()
        torch.testing.assert_close(ours[lane], end[0], rtol=1e-13, atol=0)
        gaps = np.array(seen) - problem.minimum
        np.testing.assert_allclose(done.gaps[1:, lane], gaps, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("route", list(Route))
@pytest.mark.parametrize("factory", [TwoModes, Clearing])
def test_how_often_a_run_is_looked_at_changes_no_bit(
    monkeypatch: pytest.MonkeyPatch, route: Route, factory: Any
) -> None:
    ends = []
    for every in (1, 7, 1000):
        problem = PROBLEMS["noisy-quadratic"].bind(torch.float64, torch.device("cpu"))
        monkeypatch.setattr(problem, "observe_every", every)
        done = advance(row(factory), problem, SETTINGS, SEEDS, 50, dtype=torch.float64, route=route)
        (end,) = done.params.values()
        ends.append(end)
    assert all(torch.equal(one, other) for one, other in itertools.pairwise(ends))


def test_a_look_leaves_parameters_and_state_as_they_were_to_the_bit() -> None:
    x = torch.nn.Parameter(torch.linspace(-1, 1, 7, dtype=torch.float64))
    optimizer = TwoModes([x], 0.1)
    stepper = Stepper(optimizer)
    for _ in range(5):
        x.grad = x.detach().sin()
        stepper.step()
    data, before = x.data_ptr(), x.detach().clone()
    mean, kept = optimizer.state[x]["mean"], optimizer.state[x]["mean"].clone()
    with stepper.evaluating():
        assert not torch.equal(x, before)
        optimizer.state[x]["mean"] = mean * 2
    assert x.data_ptr() == data
    assert torch.equal(x, before)
    assert optimizer.state[x]["mean"] is mean
    assert torch.equal(mean, kept)
    assert optimizer.training


@pytest.mark.parametrize("factory", [Clearing, TwoModes])
def test_classes_that_clear_their_gradients_or_have_two_modes_are_certified(factory: Any) -> None:
    assert certify(row(factory), Route.STACK).certified
    assert fastest_route(row(factory, route=Route.INSTANCE)).route is Route.STACK


class Resting(torch.optim.SGD):
    def step(self, closure: Any = None) -> Any: ...


def test_a_lane_whose_parameters_never_change_is_told_from_one_at_rest() -> None:
    done = advance(row(Resting), PROBLEMS["quadratic"], SETTINGS, SEEDS, 5)
    assert done.unmoved.all()
    # In float32 an update below the rounding of the parameters is lost.
    done = advance(row(torch.optim.SGD), PROBLEMS["rosenbrock-2d"], [{"lr": 1e-30}], [0], 5)
    assert done.unmoved.all()

    class AtTheMinimum(type(PROBLEMS["quadratic"])):  # type: ignore[misc]
        def start(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
            return {name: 0 * value for name, value in super().start(rng).items()}

    at_rest = AtTheMinimum("at-rest", condition=10.0)
    done = advance(row(torch.optim.SGD), at_rest, [{"lr": 0.1}], [0], 5, dtype=torch.float64)
    assert not done.unmoved.any()


def test_a_hook_is_called_before_each_step_with_fresh_gradients() -> None:
    seen: list[tuple[int, bool]] = []

    def before_step(optimizer: Any, step: int) -> None:
        (parameter,) = optimizer.param_groups[0]["params"]
        seen.append((step, parameter.grad is not None))

    hooked = row(Clearing, before_step=before_step)
    advance(hooked, PROBLEMS["quadratic"], [{"lr": 0.1}], [0], 4)
    assert seen == [(0, True), (1, True), (2, True), (3, True)]
