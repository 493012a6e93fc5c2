"""A run never uses more gradient evaluations than its budget, however its optimizer steps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import Tensor

from optbench.engine.lanes import advance, start
from optbench.engine.runs import Run, Status
from optbench.engine.work import Unit, perform
from optbench.optimizers import OPTIMIZERS
from optbench.problems import PROBLEMS
from optbench.problems.landscape import Landscape, rosenbrock

BUDGETS = (1, 2, 3, 5, 10, 24, 25, 26, 27, 60)
SETTINGS = {
    "lbfgs": {"lr": 1.0, "line_search_fn": "strong_wolfe", "max_iter": 4},
    "adam-swarm": {"lr": 0.01, "particles": 4},
}


class Counted(Landscape):
    """Rosenbrock's valley that notes every gradient that is asked for."""

    def __init__(self) -> None:
        super().__init__("counted", rosenbrock, (-2.0, -2.0), (2.0, 2.0), budget=1000)
        self.asked: list[Tensor] = []

    def loss(self, params: Mapping[str, Tensor], batch: Tensor | None) -> Tensor:
        self.asked.append(params["x"].detach().clone())
        return super().loss(params, batch)

    def objective(self, params: Mapping[str, Tensor]) -> Tensor:
        return rosenbrock(params["x"])


class NeverAsks(torch.optim.SGD):
    """Has its closure, and does not call it."""

    def step(self, closure: Any) -> None:
        with torch.no_grad():
            self.param_groups[0]["params"][0].mul_(0.9)


class Insatiable(torch.optim.SGD):
    """Asks for gradients without end, and moves on the way."""

    def step(self, closure: Any) -> None:
        while True:
            closure()
            with torch.no_grad():
                self.param_groups[0]["params"][0].add_(1.0)


@pytest.mark.parametrize("budget", BUDGETS)
@pytest.mark.parametrize("name", list(SETTINGS))
def test_no_more_gradients_are_asked_for_than_the_budget(name: str, budget: int) -> None:
    problem = Counted()
    done = advance(OPTIMIZERS[name], problem, [SETTINGS[name]], [0], budget, dtype=torch.float64)
    assert len(problem.asked) <= budget
    assert done.steps[-1] == len(problem.asked)
    assert (done.steps <= budget).all()


@pytest.mark.parametrize("budget", BUDGETS)
@pytest.mark.parametrize("name", list(SETTINGS))
def test_a_step_that_the_budget_cuts_short_is_undone(name: str, budget: int) -> None:
    """The run ends where the last whole step left it, not at a trial point."""
    row, problem = OPTIMIZERS[name], Counted()
    whole = advance(row, problem, [SETTINGS[name]], [0], 200, dtype=torch.float64)
    cut = advance(row, problem, [SETTINGS[name]], [0], budget, dtype=torch.float64)
    last = int((whole.steps <= budget).sum()) - 1
    assert cut.gaps[-1, 0] == whole.gaps[last, 0]
    assert cut.steps[-1] == budget
    if budget == 1:
        assert torch.equal(
            cut.params["x"], start(problem, [0], torch.float64, torch.device("cpu"))["x"]
        )


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "muon"])
def test_an_ordinary_step_costs_one(optimizer: str) -> None:
    name = "matrix-completion"
    row = OPTIMIZERS[optimizer]
    done = advance(row, PROBLEMS[name], [dict(row.defaults)], [0], 17)
    assert done.steps.tolist() == list(range(18))
    problem = Counted()
    advance(OPTIMIZERS["sgd"], problem, [{"lr": 1e-4}] * 3, [0, 1, 2], 17)
    assert len(problem.asked) == 17, "once for all lanes"


def test_a_closure_that_is_never_called_still_ends() -> None:
    problem = Counted()
    done = advance(OPTIMIZERS[f"{__name__}:NeverAsks"], problem, [{"lr": 1.0}], [0], 12)
    assert problem.asked == []
    assert done.steps.tolist() == list(range(13))


def test_a_step_without_end_is_ended_and_undone() -> None:
    problem = Counted()
    done = advance(OPTIMIZERS[f"{__name__}:Insatiable"], problem, [{"lr": 1.0}], [0], 12)
    assert len(problem.asked) == 12
    assert done.steps.tolist() == [0, 12]
    assert done.gaps[0, 0] == done.gaps[1, 0]


@pytest.mark.parametrize("name", ["lbfgs", "adam-swarm", "adam"])
def test_a_result_says_what_was_used(name: str) -> None:
    row = OPTIMIZERS[name]
    hyperparameters = tuple(sorted(row.defaults.items()))
    runs = tuple(
        Run(name, hyperparameters, "rosenbrock-2d", 1, "none", seed, 50) for seed in (0, 1)
    )
    for result in perform(Unit(runs)):
        assert result.status is Status.OK
        assert result.steps == 50
        assert all(step is None or step <= 50 for step in result.hits)
        assert result.traces["gap"].steps[-1] == 50
        assert result.seconds_per_step is not None
        assert result.seconds_per_step > 0
        assert result.state_bytes is not None
        assert result.state_bytes > 0


@pytest.mark.parametrize(
    ("name", "numbers"), [("sgd", 0), ("momentum", 1), ("adagrad", 1), ("adam", 2), ("amsgrad", 3)]
)
def test_the_state_of_one_lane_is_counted_in_bytes(name: str, numbers: int) -> None:
    """Of float32 numbers a parameter, and four bytes of a step count where there is one."""
    row = OPTIMIZERS[name]
    run = Run(name, tuple(sorted(row.defaults.items())), "quadratic", 1, "none", 0, 5)
    (one,) = perform(Unit((run,)))
    (*_, many) = perform(Unit((run, run, run)))
    counter = 0 if name in ("sgd", "momentum") else 4
    assert one.state_bytes == many.state_bytes == 4 * 100 * numbers + counter
