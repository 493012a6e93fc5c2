"""The one training loop, against loops that a person would write and against arithmetic."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pytest
import torch

from optbench.engine.lanes import CHECK_EVERY, Trajectory, advance, feed, one_thread, start
from optbench.engine.outcome import results
from optbench.engine.runs import Result, Run, Status, frozen
from optbench.optimizers import OPTIMIZERS, Optimizer, Route
from optbench.problems import PROBLEMS, Problem, mnist
from optbench.problems.convex import Quadratic

CPU = torch.device("cpu")
F32, F64 = torch.float32, torch.float64
BOTH = pytest.mark.parametrize("dtype", [F32, F64], ids=["float32", "float64"])
ROUTES = pytest.mark.parametrize("route", list(Route), ids=lambda route: route.value)


def at(*rates: float) -> list[Mapping[str, Any]]:
    return [{"lr": lr} for lr in rates]


def do(
    optimizer: Optimizer | str,
    problem: Problem | str,
    settings: Sequence[Mapping[str, Any]],
    seeds: Sequence[int],
    budget: int,
    **how: Any,
) -> tuple[Trajectory, list[Result]]:
    row = OPTIMIZERS[optimizer] if isinstance(optimizer, str) else optimizer
    task = PROBLEMS[problem] if isinstance(problem, str) else problem
    trajectory = advance(row, task, settings, seeds, budget, **how)
    runs = [
        Run(row.name, frozen(s), task.name, 1, "none", seed, budget)
        for s, seed in zip(settings, seeds, strict=True)
    ]
    return trajectory, results(runs, trajectory, task.targets, task.observe_every)


# Against loops that a person would write.


def plain_rosenbrock(optimizer: type, dtype: torch.dtype, seed: int, **settings: Any) -> Any:
    problem = PROBLEMS["rosenbrock-2d"]
    first = problem.start(problem.generators(seed)[0])["x"]
    x = torch.nn.Parameter(torch.tensor(first, dtype=dtype))
    made, losses = optimizer([x], **settings), []
    for _ in range(200):
        made.zero_grad()
        loss = (1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2
        loss.backward()
        made.step()
        losses.append(loss.item())
    return x.detach(), losses


@BOTH
@pytest.mark.parametrize(
    ("name", "kind", "settings"),
    [
        ("adam", torch.optim.Adam, {"lr": 0.01}),
        ("nesterov", torch.optim.SGD, {"lr": 1e-4, "momentum": 0.9, "nesterov": True}),
        ("adafactor", torch.optim.Adafactor, {"lr": 0.1}),
    ],
)
def test_a_lane_is_the_plain_loop_on_rosenbrock_bit_for_bit(
    name: str, kind: type, settings: dict[str, Any], dtype: torch.dtype
) -> None:
    x, losses = plain_rosenbrock(kind, dtype, 3, **settings)
    done = advance(
        OPTIMIZERS[name], PROBLEMS["rosenbrock-2d"], [settings] * 2, [3, 4], 200, dtype=dtype
    )
    assert torch.equal(done.params["x"][0], x)
    assert done.gaps[:-1, 0].tolist() == losses
    assert done.steps.tolist() == list(range(201))


@BOTH
def test_a_lane_is_the_plain_loop_on_digits_bit_for_bit(dtype: torch.dtype) -> None:
    """With ``torch.nn.functional.linear`` and ``cross_entropy``, as in any tutorial."""
    problem, digits = PROBLEMS["mnist-mlp"], mnist.load()
    starts, data = problem.generators(3)
    w = {
        k: torch.nn.Parameter(torch.tensor(v, dtype=dtype))
        for k, v in problem.start(starts).items()
    }
    x, y = torch.tensor(digits.train_x, dtype=dtype), torch.tensor(digits.train_y)
    stream = problem.batches(data)
    assert stream is not None
    with one_thread():
        optimizer = torch.optim.Adam(w.values(), lr=1e-3)
        for batch in next(stream)[:10]:
            optimizer.zero_grad()
            hidden = torch.relu(torch.nn.functional.linear(x[batch], w["w0"].T, w["b0"]))
            logits = torch.nn.functional.linear(hidden, w["w1"].T, w["b1"])
            torch.nn.functional.cross_entropy(logits, y[batch]).backward()
            optimizer.step()
    done = advance(OPTIMIZERS["adam"], problem, at(1e-3), [3], 10, dtype=dtype)
    for name, parameter in w.items():
        assert torch.equal(done.params[name][0], parameter.detach()), name


def test_lbfgs_is_the_plain_loop_with_a_closure_bit_for_bit() -> None:
    problem = PROBLEMS["rosenbrock-2d"]
    first = problem.start(problem.generators(3)[0])["x"]
    x = torch.nn.Parameter(torch.tensor(first))
    settings = {"lr": 1.0, "line_search_fn": "strong_wolfe", "max_iter": 4}
    optimizer, evaluations = torch.optim.LBFGS([x], **settings), 0

    def closure() -> torch.Tensor:
        nonlocal evaluations
        evaluations += 1
        optimizer.zero_grad()
        loss = (1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2
        loss.backward()
        return loss

    spent = [0]
    for _ in range(5):
        optimizer.step(closure)
        spent.append(evaluations)
    done = advance(OPTIMIZERS["lbfgs"], problem, [settings], [3], evaluations, dtype=F64)
    assert torch.equal(done.params["x"][0], x.detach())
    assert done.steps.tolist() == spent


# Against arithmetic.


@pytest.mark.parametrize("lr", [0.1, 1.0, 1.9, 2.0])
def test_gradient_descent_on_a_quadratic_shrinks_each_coordinate_by_its_factor(lr: float) -> None:
    problem = PROBLEMS["quadratic"]
    assert isinstance(problem, Quadratic)
    steps = 40
    done = advance(OPTIMIZERS["sgd"], problem, at(lr, lr), [0, 5], steps, dtype=F64)
    factor = 1 - lr * problem.eigenvalues
    powers = factor ** np.arange(steps + 1)[:, None]
    for lane, seed in enumerate((0, 5)):
        x0 = problem.start(problem.generators(seed)[0])["x"]
        ended = done.params["x"][lane].numpy()
        np.testing.assert_allclose(ended, x0 * powers[-1], rtol=1e-12, atol=1e-15)
        expected = 0.5 * (problem.eigenvalues * (x0 * powers) ** 2).sum(1)
        np.testing.assert_allclose(done.gaps[:, lane], expected, rtol=1e-12)


def test_the_first_step_of_adam_is_the_rate_in_every_coordinate() -> None:
    done = advance(OPTIMIZERS["adam"], PROBLEMS["quadratic"], at(0.1), [0], 1, dtype=F64)
    before = start(PROBLEMS["quadratic"], [0], F64, CPU)["x"]
    moved = (done.params["x"] - before).abs()
    torch.testing.assert_close(moved, torch.full_like(moved, 0.1), rtol=1e-4, atol=0)


def test_the_projection_is_applied_after_every_step() -> None:
    """The first gradient is the frequent -1, which a rate of 10 takes far out of [-1, 1]."""
    done = advance(OPTIMIZERS["sgd"], PROBLEMS["reddi"], at(10.0, 0.3), [0, 0], 2000)
    x = done.metrics["x0"]
    assert np.abs(x[0]).max() <= 0.5
    assert x[1:, 0].tolist()[:5] == [1.0] * 5
    assert np.abs(x).max() == 1.0
    slope = PROBLEMS["reddi"].minimum
    assert done.gaps.min() >= 0.0
    assert done.gaps.max() <= -2 * slope + 1e-6


# What is seen, and when.


class Watched(Problem):
    """A stochastic bowl that notes where it is looked at."""

    family = "noisy"
    observe_every = 5

    def __init__(self, name: str, **row: Any) -> None:
        super().__init__(name, **row)
        self.losses: list[float] = []
        self.looks: list[float] = []

    def start(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        return {"x": np.array([1.0])}

    def batches(self, rng: np.random.Generator) -> Iterator[np.ndarray]:
        while True:
            yield np.zeros((3, 1))

    def loss(self, params: Mapping[str, torch.Tensor], batch: torch.Tensor | None) -> torch.Tensor:
        self.losses.append(params["x"][0].item())
        return 0.5 * params["x"].square().sum(1)

    def objective(self, params: Mapping[str, torch.Tensor]) -> torch.Tensor:
        self.looks.append(params["x"][0].item())
        return 0.5 * params["x"].square().sum(1)


@pytest.mark.parametrize(
    ("budget", "seen"), [(12, [0, 5, 10, 12]), (10, [0, 5, 10]), (3, [0, 3]), (1, [0, 1])]
)
def test_a_noisy_problem_is_scored_at_multiples_and_at_the_end(
    budget: int, seen: list[int]
) -> None:
    problem = Watched("watched")
    done = advance(OPTIMIZERS["sgd"], problem, at(0.5), [0], budget, dtype=F64)
    assert done.steps.tolist() == seen
    assert problem.losses == [0.5**k for k in range(budget)]
    assert problem.looks == [0.5**k for k in seen]
    assert done.gaps[:, 0].tolist() == [0.5 * 0.25**k for k in seen]


def test_lanes_of_a_seed_get_the_same_batches_and_others_do_not() -> None:
    problem = PROBLEMS["noisy-quadratic"]
    stream = feed(problem, [4, 1, 4], F64, CPU)
    own = feed(problem, [1], F64, CPU)
    for _ in range(300):  # longer than a block
        together, alone = next(stream), next(own)
        assert together is not None
        assert alone is not None
        assert torch.equal(together[0], together[2])
        assert torch.equal(together[1], alone[0])
        assert not torch.equal(together[0], together[1])


def test_a_run_takes_one_thread_and_gives_them_back() -> None:
    before = torch.get_num_threads()

    def fail() -> None:
        with one_thread():
            assert torch.get_num_threads() == 1
            raise ZeroDivisionError

    try:
        torch.set_num_threads(2)
        with pytest.raises(ZeroDivisionError):
            fail()
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


# A lane that diverges.


def equal_but_for(
    lost: Sequence[int], ours: Trajectory, theirs: Trajectory, kept: Sequence[int]
) -> None:
    """Lanes ``kept`` of ours, in order, are all the lanes of theirs."""
    assert not {*lost} & {*kept}
    for name, value in theirs.params.items():
        assert torch.equal(ours.params[name][list(kept)], value)
    np.testing.assert_array_equal(ours.gaps[:, list(kept)], theirs.gaps)


@ROUTES
@pytest.mark.parametrize(
    ("optimizer", "problem", "good", "bad"),
    [
        ("sgd", "rosenbrock-2d", 1e-4, 1.0),
        ("momentum", "noisy-rosenbrock", 1e-5, 0.1),
        ("sgd", "matrix-completion", 1e-2, 1e6),
    ],
)
def test_a_lane_that_diverges_leaves_its_neighbours_bits_alone(
    optimizer: str, problem: str, good: float, bad: float, route: Route
) -> None:
    settings, seeds = at(good, good, bad, good / 2), [0, 1, 0, 1]
    ours, four = do(optimizer, problem, settings, seeds, 300, route=route)
    keep = [0, 1, 3]
    theirs, three = do(
        optimizer, problem, [settings[k] for k in keep], [seeds[k] for k in keep], 300, route=route
    )
    assert [r.status for r in four] == ["ok", "ok", "diverged", "ok"]
    equal_but_for([2], ours, theirs, keep)
    for one, other in zip([four[k] for k in keep], three, strict=True):
        assert one.hits == other.hits
        assert one.traces["gap"].values.tolist() == other.traces["gap"].values.tolist()
    (alone,) = do(optimizer, problem, [settings[2]], [seeds[2]], 300, route=route)[1]
    lost = four[2]
    assert (lost.status, lost.steps) == (Status.DIVERGED, alone.steps)
    assert repr(lost.final_gap) == repr(alone.final_gap)
    assert lost.traces["gap"].steps.tolist() == alone.traces["gap"].steps.tolist()
    assert 0 < lost.steps < CHECK_EVERY


@ROUTES
def test_lanes_of_one_rate_diverge_by_their_seed_alone(route: Route) -> None:
    """One stacked parameter: three starts of nine are thrown out of the valley at this rate."""
    seeds = list(range(9))
    ours, nine = do("sgd", "rosenbrock-2d", at(*[2e-3] * 9), seeds, 400, route=route)
    lost = [k for k, r in enumerate(nine) if r.status is Status.DIVERGED]
    assert lost == [0, 5, 8]
    keep = [k for k in seeds if k not in lost]
    theirs, six = do("sgd", "rosenbrock-2d", at(*[2e-3] * 6), keep, 400, route=route)
    equal_but_for(lost, ours, theirs, keep)
    assert {r.status for r in six} == {Status.OK}
    for k in lost:
        (alone,) = do("sgd", "rosenbrock-2d", at(2e-3), [k], 400, route=route)[1]
        assert nine[k].steps == alone.steps


@ROUTES
def test_when_every_lane_has_diverged_the_loop_ends_early(route: Route) -> None:
    ours, lanes = do("sgd", "rosenbrock-2d", at(1.0, 2.0), [0, 1], 5000, route=route)
    assert {r.status for r in lanes} == {Status.DIVERGED}
    assert ours.steps[-1] == CHECK_EVERY


def test_a_loop_that_ends_early_has_the_same_record_as_one_that_does_not() -> None:
    early = do("sgd", "rosenbrock-2d", at(1.0), [0], 5000)[1][0]
    late = do("sgd", "rosenbrock-2d", at(1e-5, 1.0), [0, 0], 5000)[1][1]
    assert early.steps == late.steps
    assert repr(early.final_gap) == repr(late.final_gap)
    assert early.traces["gap"].steps.tolist() == late.traces["gap"].steps.tolist()


class Counting(torch.optim.SGD):
    """Counts the steps of each instance, by its rate."""

    steps: dict[float, int] = {}  # noqa: RUF012 - shared on purpose

    def step(self, closure: Any = None) -> Any:
        lr = self.param_groups[0]["lr"]
        self.steps[lr] = self.steps.get(lr, 0) + 1
        return super().step(closure)


def test_a_diverged_lane_with_an_optimizer_of_its_own_costs_nothing_more() -> None:
    Counting.steps.clear()
    do(f"{__name__}:Counting", "rosenbrock-2d", at(1e-4, 1.0), [0, 0], 500)
    assert Counting.steps == {1e-4: 500, 1.0: CHECK_EVERY}


def test_divergence_is_counted_from_the_runs_own_start() -> None:
    """A gap 1e6 times the initial one, finite or not."""
    _, (one,) = do("sgd", "quadratic", at(3.0), [0], 200, dtype=F64)
    problem = PROBLEMS["quadratic"]
    assert isinstance(problem, Quadratic)
    x0 = problem.start(problem.generators(0)[0])["x"]
    factor = (1 - 3.0 * problem.eigenvalues) ** np.arange(200)[:, None]
    gaps = 0.5 * (problem.eigenvalues * (x0 * factor) ** 2).sum(1)
    assert one.status is Status.DIVERGED
    assert one.steps == int(np.argmax(gaps > 1e6 * gaps[0]))
    assert one.final_gap == pytest.approx(gaps[one.steps], rel=1e-9)
