"""An optimizer is anybody's code: what it raises is the result of its run, and of no other."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch

from optbench.engine.runs import Result, Run, Status
from optbench.engine.work import Unit, perform
from optbench.optimizers import OPTIMIZERS, Optimizer, Route, WrongHyperparameter

BAD = 0.0123


class RaisesAtSeven(torch.optim.SGD):
    """Raises in its seventh step, where one of its groups has the bad rate."""

    def __init__(self, params: Any, lr: float = 1e-4) -> None:
        super().__init__(params, lr=lr)
        self.turns = 0

    def step(self, closure: Any = None) -> Any:
        self.turns += 1
        if self.turns == 7 and any(group["lr"] == BAD for group in self.param_groups):
            raise ArithmeticError("seven is one too many")
        return super().step(closure)


class RaisesWhenMade(torch.optim.SGD):
    def __init__(self, params: Any, lr: float = 1e-4) -> None:
        if lr == BAD:
            raise ValueError("no such rate here")
        super().__init__(params, lr=lr)


class RaisesInAClosure(torch.optim.SGD):
    """With a closure it needs; raises at the bad rate, after a step that changed the state."""

    def step(self, closure: Any) -> Any:
        loss = super().step(closure)
        if self.param_groups[0]["lr"] == BAD:
            raise ArithmeticError("seven is one too many")
        return loss


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> Callable[[type, Route], str]:
    """Registers a class on a route, until the test ends."""

    def register(kind: type, route: Route) -> str:
        OPTIMIZERS["adam"]
        row = Optimizer("faulty", kind, {"lr": 1e-4}, {"lr": (1e-4,)}, route, "nobody")
        monkeypatch.setitem(OPTIMIZERS._entries, "faulty", row)
        return "faulty"

    return register


def runs(optimizer: str, rates: Sequence[float], budget: int = 40) -> list[Run]:
    return [
        Run(optimizer, (("lr", lr),), "rosenbrock-2d", 1, "none", seed, budget)
        for lr in rates
        for seed in (0, 1)
    ]


def repeatable(result: Result) -> dict[str, Any]:
    """All of a result but for its time."""
    found = {f.name: getattr(result, f.name) for f in dataclasses.fields(result)}
    del found["seconds_per_step"], found["seconds"]
    found["traces"] = {k: (t.steps.tolist(), t.values.tolist()) for k, t in result.traces.items()}
    return {k: repr(v) for k, v in found.items()}


@pytest.mark.parametrize("rates", [(1e-4, BAD, 2e-4), (BAD, 1e-4), (1e-4, BAD)])
@pytest.mark.parametrize("route", list(Route), ids=lambda route: route.value)
def test_an_exception_on_one_lane_fails_that_run_alone(
    registered: Callable[[type, Route], str], route: Route, rates: tuple[float, ...]
) -> None:
    asked = runs(registered(RaisesAtSeven, route), rates)
    done = perform(Unit(tuple(asked)))
    assert [result.run for result in done] == asked
    for result in done:
        if result.run.settings["lr"] == BAD:
            assert result.status is Status.FAILED
            assert result.error is not None
            assert result.error.startswith("ArithmeticError: seven is one too many\n  at ")
            assert "test_failures.py:" in result.error
            assert result.hits == ()
            assert result.final_gap is None
        else:
            assert result.status is Status.OK
            (alone,) = perform(Unit((result.run,)))
            assert repeatable(result) == repeatable(alone)


def test_a_constructor_that_raises_fails_its_own_run(
    registered: Callable[[type, Route], str],
) -> None:
    """Where lanes share an optimizer a plan has tried the values before (`Optimizer.settings`)."""
    asked = runs(registered(RaisesWhenMade, Route.INSTANCE), (1e-4, BAD))
    done = perform(Unit(tuple(asked)))
    assert [result.status for result in done] == ["ok", "ok", "failed", "failed"]
    for result in done[2:]:
        assert result.error is not None
        assert result.error.startswith("ValueError: no such rate here")
    with pytest.raises(WrongHyperparameter, match="no such rate here"):
        OPTIMIZERS["faulty"].settings({"lr": BAD})


def test_an_exception_under_a_closure_fails_its_own_run() -> None:
    asked = runs(f"{__name__}:RaisesInAClosure", (1e-4, BAD))
    assert OPTIMIZERS[asked[0].optimizer].closure
    done = perform(Unit(tuple(asked)))
    assert [result.status for result in done] == ["ok", "ok", "failed", "failed"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"optimizer": "no-such"}, "UnknownName: unknown optimizer 'no-such'"),
        ({"problem": "no-such"}, "UnknownName: unknown problem 'no-such'"),
        ({"hyperparameters": (("momentun", 1),)}, "unexpected keyword argument 'momentun'"),
    ],
)
def test_what_only_shows_in_the_worker_is_a_failed_run_too(
    change: dict[str, Any], said: str
) -> None:
    (run, _) = runs("adam", (1e-3,))
    (result,) = perform(Unit((dataclasses.replace(run, **change),)))
    assert result.status is Status.FAILED
    assert result.error is not None
    assert said in result.error


def test_a_class_that_takes_sparse_gradients_only_is_given_them() -> None:
    """torch's SparseAdam, named by its class."""
    run = Run("torch.optim:SparseAdam", (("lr", 1e-3),), "sparse-logistic", 1, "synthetic", 0, 10)
    (result,) = perform(Unit((run,)))
    assert result.status is Status.OK


def test_an_interrupt_is_nobodys_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(torch.optim.SGD, "step", interrupt)
    with pytest.raises(KeyboardInterrupt):
        perform(Unit(tuple(runs("sgd", (1e-4,)))))
