"""A user's own module as a problem, from the call to the result."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.functional import mse_loss

from optbench.engine.lanes import advance
from optbench.engine.plan import Selection, plan
from optbench.engine.runs import Result, Status
from optbench.engine.work import perform
from optbench.optimizers import OPTIMIZERS
from optbench.problems import PROBLEMS, Problem, module_problem
from optbench.runner.packing import pack

CPU = torch.device("cpu")
RNG = np.random.default_rng(1)
X = RNG.standard_normal((80, 4)).astype(np.float32)
Y = np.stack([X[:, 0] * X[:, 1], X.sum(1)], axis=1)
TRAIN, HELD = (X[:60], Y[:60]), (X[60:], Y[60:])


def network() -> torch.nn.Module:
    return torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Tanh(), torch.nn.Linear(8, 2))


def normalised() -> torch.nn.Module:
    return torch.nn.Sequential(
        torch.nn.Linear(4, 8), torch.nn.BatchNorm1d(8), torch.nn.Tanh(), torch.nn.Linear(8, 2)
    )


def make(module: Callable[[], torch.nn.Module] = network, **row: Any) -> Problem:
    row = {"budget": 60, "batch_size": 16, "summary": "A test's.", **row}
    return module_problem("users-own", module, mse_loss, TRAIN, HELD, **row)


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> Callable[[Problem], Problem]:
    """Registers a problem until the test ends."""

    def register(problem: Problem) -> Problem:
        PROBLEMS["quadratic"]  # the registry is filled before a name is added for a while
        monkeypatch.setitem(PROBLEMS._entries, problem.name, problem)
        return problem

    return register


def results(optimizer: str, seeds: tuple[int, ...], lr: float = 0.01) -> dict[int, Result]:
    """Planned, packed and done as the command line does it, by seed."""
    selection = Selection(
        optimizers=(optimizer,), problems=("users-own",), seeds=seeds, rates=(lr,)
    )
    done = [r for unit in pack(plan([selection]).runs) for r in perform(unit)]
    return {result.run.seed: result for result in done}


@pytest.mark.proof
@pytest.mark.parametrize("optimizer", ["adam", "muon", "lbfgs", "adam-swarm", "torch.optim:SGD"])
def test_it_runs_from_a_plan_to_a_result(
    registered: Callable[[Problem], Problem], optimizer: str
) -> None:
    problem = registered(make())
    (result,) = results(optimizer, (0,)).values()
    assert result.status is Status.OK
    assert result.run.data == "user"
    assert result.run.budget == result.steps == 60
    assert result.initial_gap is not None
    assert result.final_gap is not None
    assert result.final_gap < result.initial_gap
    assert problem.family == "network"
    assert problem.shapes == {
        "0.weight": (8, 4),
        "0.bias": (8,),
        "2.weight": (2, 8),
        "2.bias": (2,),
    }
    assert problem.dimension == 8 * 4 + 8 + 2 * 8 + 2
    assert problem.traits == {"matrices", "stochastic"}


def test_it_ends_where_a_plain_loop_over_the_module_ends() -> None:
    problem = make()
    ended = advance(OPTIMIZERS["adam"], problem, [{"lr": 0.01}], [3], 20, dtype=torch.float64)
    starts, data = problem.generators(3)
    module = network().double()
    module.load_state_dict({k: torch.from_numpy(v) for k, v in problem.start(starts).items()})
    optimizer = torch.optim.Adam(module.parameters(), lr=0.01)
    stream = problem.batches(data)
    assert stream is not None
    order = np.concatenate([next(stream) for _ in range(8)])[:20]
    x, y = (torch.from_numpy(part).double() for part in TRAIN)
    for batch in order:
        optimizer.zero_grad()
        mse_loss(module(x[batch]), y[batch]).backward()
        optimizer.step()
    for name, parameter in module.named_parameters():
        assert torch.equal(ended.params[name][0], parameter.detach())
    held_x, held_y = (torch.from_numpy(part).double() for part in HELD)
    assert ended.gaps[-1, 0] == mse_loss(module(held_x), held_y).item()


def test_a_start_is_the_modules_own_under_the_runs_seed() -> None:
    problem = make()
    torch.manual_seed(1)
    before = torch.get_rng_state()
    a = problem.start(problem.generators(0)[0])
    assert torch.equal(torch.get_rng_state(), before), "torch's generator is put back"
    torch.manual_seed(2)
    b = problem.start(problem.generators(0)[0])
    other = problem.start(problem.generators(1)[0])
    for name, value in a.items():
        assert value.dtype == np.float64
        np.testing.assert_array_equal(value, b[name])
        assert not np.array_equal(value, other[name])
    assert np.abs(a["0.weight"]).max() <= 0.5, "torch.nn.Linear's uniform start, 1/sqrt(4)"


def test_lanes_of_a_module_are_never_stacked(registered: Callable[[Problem], Problem]) -> None:
    registered(make())
    units = pack(plan([Selection(optimizers=("adam",), problems=("users-own",))]).runs)
    assert [len(unit.runs) for unit in units] == [1] * 4


def trace(result: Result) -> list[float]:
    return result.traces["gap"].values.tolist()


def test_running_statistics_belong_to_one_run(registered: Callable[[Problem], Problem]) -> None:
    """A run is the same whatever ran before it on the same problem."""
    problem = registered(make(normalised))
    alone = {seed: results("adam", (seed,))[seed] for seed in (1, 0)}
    again = results("adam", (0, 1))
    for seed in (0, 1):
        assert trace(again[seed]) == trace(alone[seed])
        assert alone[seed].status is Status.OK
    assert "0.weight" in problem.shapes
    assert not any("running" in name for name in problem.shapes)


def test_running_statistics_are_learned_in_training_and_used_in_scoring() -> None:
    problem = make(normalised).bind(torch.float64, CPU)
    start = problem.start(problem.generators(0)[0])
    params = {k: torch.from_numpy(v[None]).requires_grad_() for k, v in start.items()}
    before = problem.objective(params).item()
    assert problem.objective(params).item() == before, "scoring changes nothing"
    problem.loss(params, torch.arange(16).unsqueeze(0))
    assert problem.objective(params).item() != before
    fresh = make(normalised).bind(torch.float64, CPU)
    assert fresh.objective(params).item() == before


def test_a_modules_own_parameters_are_not_trained_behind_the_back() -> None:
    problem = make().bind(torch.float64, CPU)
    module = problem.module  # type: ignore[attr-defined]
    assert not any(p.requires_grad for p in module.parameters())


def test_arrays_and_tensors_are_the_same_data() -> None:
    tensors = tuple(torch.from_numpy(part) for part in TRAIN)
    held = tuple(torch.from_numpy(part) for part in HELD)
    other = module_problem("users-own", network, mse_loss, tensors, held, budget=60, batch_size=16)
    ours = advance(OPTIMIZERS["adam"], make(), [{"lr": 0.01}], [0], 5)
    theirs = advance(OPTIMIZERS["adam"], other, [{"lr": 0.01}], [0], 5)
    for name, value in ours.params.items():
        assert torch.equal(value, theirs.params[name])


def test_labels_of_classes_stay_integers() -> None:
    def classifier() -> torch.nn.Module:
        return torch.nn.Linear(4, 3)

    labels = (X[:, 0] > 0).astype(np.int64) + (X[:, 1] > 0)
    problem = module_problem(
        "users-own", classifier, torch.nn.functional.cross_entropy,
        (X[:60], labels[:60]), (X[60:], labels[60:]), budget=200, batch_size=20,
    )  # fmt: skip
    done = advance(OPTIMIZERS["adam"], problem, [{"lr": 0.1}], [0], 200)
    assert done.gaps[-1, 0] < 0.6 * done.gaps[0, 0]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"train": (X[:60], Y[:59])}, "users-own: train has 60 inputs and 59 labels"),
        ({"held_out": (X[:3], Y[:4])}, "users-own: held_out has 3 inputs and 4 labels"),
        ({"held_out": (X[:0], Y[:0])}, "users-own: held_out has 0 inputs and 0 labels"),
        ({"batch_size": 61}, "batch_size=61 of 60 training examples"),
        ({"batch_size": 0}, "batch_size=0 of 60 training examples"),
        ({"budget": 0}, "a budget must be at least 1, not 0"),
        ({"target": 0.33}, "target 0.33 is not among its targets"),
    ],
)
def test_wrong_input_is_refused_in_words(change: dict[str, Any], said: str) -> None:
    given: dict[str, Any] = {"train": TRAIN, "held_out": HELD, "budget": 60, **change}
    with pytest.raises(ValueError, match="users-own") as caught:
        module_problem("users-own", network, mse_loss, **given)
    assert said in str(caught.value)


def test_a_module_that_fails_is_a_failed_run_with_its_text(
    registered: Callable[[Problem], Problem],
) -> None:
    def wrong() -> torch.nn.Module:
        return torch.nn.Linear(3, 2)

    registered(make(wrong))
    (result,) = results("adam", (0,)).values()
    assert result.status is Status.FAILED
    assert result.error is not None
    assert "RuntimeError" in result.error
    assert "shape" in result.error


def test_dropout_draws_the_same_in_every_run_of_a_seed() -> None:
    def module() -> torch.nn.Module:
        return torch.nn.Sequential(
            torch.nn.Linear(4, 8), torch.nn.Dropout(0.5), torch.nn.Linear(8, 1)
        )

    x = torch.linspace(-1, 1, 160).reshape(40, 4)
    problem = module_problem(
        "dropped", module, torch.nn.functional.mse_loss, (x[:30], x[:30, :1]), (x[30:], x[30:, :1]),
        budget=40, batch_size=10,
    )  # fmt: skip
    ends = []
    for disturbance in (1, 2):
        torch.manual_seed(disturbance)
        state = torch.get_rng_state()
        ends.append(advance(OPTIMIZERS["adam"], problem, [{"lr": 0.01}], [0], 40))
        assert torch.equal(torch.get_rng_state(), state)
    np.testing.assert_array_equal(ends[0].gaps, ends[1].gaps)
