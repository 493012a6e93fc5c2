"""Lanes do not know of each other, and starts and batches know of the seed alone."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch

from optbench.engine.lanes import advance, feed, one_thread, start
from optbench.optimizers import OPTIMIZERS
from optbench.problems import CATALOGUE, PROBLEMS
from optbench.problems.convex import Quadratic
from optbench.problems.problem import Problem

CPU = torch.device("cpu")
NAMES = [problem.name for problem in CATALOGUE]
SETTINGS: list[Mapping[str, Any]] = [{"lr": 0.01}] * 3 + [{"lr": 0.003}] * 2
SEEDS = [3, 0, 7, 3, 1]


def steps(name: str) -> int:
    return 8 if name.startswith("mnist-") else 30


def first_batches(problem: Problem, seeds: list[int], count: int) -> list[torch.Tensor | None]:
    stream = feed(problem, seeds, torch.float64, CPU)
    return [next(stream) for _ in range(count)]


@pytest.mark.proof
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["float64", "float32"])
@pytest.mark.parametrize("name", NAMES)
def test_every_lane_is_its_own_run_bit_for_bit(name: str, dtype: torch.dtype) -> None:
    problem, adam = PROBLEMS[name], OPTIMIZERS["adam"]
    together = advance(adam, problem, SETTINGS, SEEDS, steps(name), dtype=dtype)
    for lane, (settings, seed) in enumerate(zip(SETTINGS, SEEDS, strict=True)):
        alone = advance(adam, problem, [settings], [seed], steps(name), dtype=dtype)
        for key, value in alone.params.items():
            assert value.dtype == dtype
            assert torch.equal(together.params[key][lane], value[0]), f"{key} of lane {lane}"
        np.testing.assert_array_equal(together.gaps[:, lane], alone.gaps[:, 0])
        for key, values in alone.metrics.items():
            np.testing.assert_array_equal(together.metrics[key][:, lane], values[:, 0])
        assert torch.isfinite(value).all()


@pytest.mark.parametrize("far", [0.0, 2.0, 60.0])
@pytest.mark.parametrize("name", [name for name in NAMES if not name.startswith("mnist-")])
def test_a_lane_does_not_depend_on_its_place_in_a_vector_register(name: str, far: float) -> None:
    """A register holds 16 numbers, and some functions round what is left over otherwise.

    Far from the starts, too: torch's sigmoid does so only about -87, where exp leaves float32.
    """
    problem, lanes = PROBLEMS[name].bind(torch.float32, CPU), 37
    batch = next(feed(problem, list(range(lanes)), torch.float32, CPU))
    generator = torch.Generator().manual_seed(1)
    points = {
        key: value + far * torch.randn(value.shape, generator=generator)
        for key, value in start(problem, list(range(lanes)), torch.float32, CPU).items()
    }

    def evaluated(some: slice) -> tuple[torch.Tensor, ...]:
        leaves = {key: value[some].clone().requires_grad_() for key, value in points.items()}
        loss = problem.loss(leaves, None if batch is None else batch[some])
        loss.sum().backward()
        return loss.detach(), *(leaf.grad for leaf in leaves.values())

    with one_thread():
        together = evaluated(slice(None))
        for lane in range(lanes):
            for one, every in zip(evaluated(slice(lane, lane + 1)), together, strict=True):
                np.testing.assert_array_equal(one[0].numpy(), every[lane].numpy())


@pytest.mark.parametrize("name", NAMES)
def test_a_lanes_loss_does_not_depend_on_what_the_others_hold(name: str) -> None:
    """Not even where another lane holds infinities."""
    problem = PROBLEMS[name].bind(torch.float32, CPU)
    batch = first_batches(problem, [0, 1, 2], 1)[0]
    if batch is not None and batch.is_floating_point():
        batch = batch.float()
    params = start(problem, [0, 1, 2], torch.float32, CPU)
    loss, score = problem.loss(params, batch), problem.objective(params)
    for value in params.values():
        value[1] = torch.inf
    spoilt, spoilt_score = problem.loss(params, batch), problem.objective(params)
    for lane in (0, 2):
        assert torch.equal(loss[lane], spoilt[lane])
        assert torch.equal(score[lane], spoilt_score[lane])
    assert loss.shape == score.shape == (3,)


@pytest.mark.parametrize("name", NAMES)
def test_starts_and_batches_come_from_the_seed_and_from_no_global_generator(name: str) -> None:
    problem = PROBLEMS[name]
    seen = []
    for salt in (1, 2):
        torch.manual_seed(salt)
        np.random.seed(salt)  # noqa: NPY002 - it is the global generator that is meant
        random.seed(salt)
        seen.append((start(problem, [5], torch.float64, CPU), first_batches(problem, [5], 3)))
    (start_a, batches_a), (start_b, batches_b) = seen
    for key, value in start_a.items():
        assert torch.equal(value, start_b[key])
    for one, other in zip(batches_a, batches_b, strict=True):
        assert (one is None and other is None) or torch.equal(one, other)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", NAMES)
def test_another_seed_gives_another_start_and_other_batches(name: str) -> None:
    problem = PROBLEMS[name]
    a, b = (start(problem, [seed], torch.float64, CPU) for seed in (0, 1))
    # Wilson's start is the origin, by his statement, and says so: there all seeds are one run.
    assert all(torch.equal(a[key], b[key]) for key in a) == (name == "wilson")
    if not problem.deterministic:
        one, other = (first_batches(problem, [seed], 300)[-1] for seed in (0, 1))
        assert name == "reddi" or not torch.equal(one, other)  # type: ignore[arg-type]


def test_the_draws_change_with_the_name_and_with_the_version() -> None:
    def first(name: str, version: int) -> float:
        problem = Quadratic(name, condition=2.0)
        problem.version = version
        return float(problem.start(problem.generators(0)[0])["x"][0])

    assert len({first("a", 1), first("b", 1), first("a", 2), first("a", 11)}) == 4
    assert first("a", 1) == first("a", 1)


def test_the_start_does_not_depend_on_how_much_data_is_drawn() -> None:
    problem = PROBLEMS["noisy-quadratic"]
    starts, data = problem.generators(0)
    data.random(1000)
    expected = problem.start(problem.generators(0)[0])["x"]
    np.testing.assert_array_equal(problem.start(starts)["x"], expected)


@pytest.mark.parametrize("name", ["noisy-quadratic", "sparse-logistic", "reddi"])
def test_every_optimizer_meets_the_same_starts_and_the_same_batches(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    problem = PROBLEMS[name]
    kind, met = type(problem), []
    loss = kind.loss

    def spy(self: Problem, params: Any, batch: Any) -> torch.Tensor:
        met[-1].append(None if batch is None else batch.clone())
        return loss(self, params, batch)

    monkeypatch.setattr(kind, "loss", spy)
    initial = []
    for optimizer in ("sgd", "adam", "adafactor", "adam-swarm"):
        met.append([])
        row = OPTIMIZERS[optimizer]
        each = 4 if optimizer == "adam-swarm" else 1
        done = advance(row, problem, [dict(row.defaults)], [4], 12 * each)
        initial.append(done.gaps[0, 0])
        batches = [b for b in met[-1] if b is not None]
        met[-1] = batches[::each]
    assert len({*initial}) == 1
    for other in met[1:]:
        assert len(other) == len(met[0]) == 12
        assert all(torch.equal(a, b) for a, b in zip(met[0], other, strict=True))


@pytest.mark.parametrize("name", NAMES)
def test_a_row_says_what_it_is(name: str) -> None:
    problem = PROBLEMS[name]
    assert problem.family in (
        *("convex", "landscape", "noisy", "counterexample", "network", "factorization"),
    )
    assert problem.version >= 1
    assert problem.budget >= 1
    assert any(target == pytest.approx(problem.target, rel=1e-12) for target in problem.targets)
    assert problem.cite
    assert problem.summary.endswith(".")
    assert problem.dimension == sum(int(np.prod(s)) for s in problem.shapes.values())
    assert problem.deterministic == ("stochastic" not in problem.traits)


def test_the_catalogue_has_the_six_families_and_the_problems_that_are_promised() -> None:
    assert len({p.family for p in CATALOGUE}) == 6
    assert {p.name for p in CATALOGUE} >= {
        *("quadratic", "quadratic-ill", "quadratic-ill-rotated", "l1", "sparse-logistic"),
        *("mnist-logistic", "rosenbrock-2d", "rosenbrock-20d", "beale", "himmelblau"),
        *("styblinski-tang", "rastrigin", "powell-singular", "saddle", "plateau", "cliff"),
        *("noisy-quadratic", "heavy-tailed-quadratic", "multiplicative-quadratic"),
        *("noisy-rosenbrock", "reddi", "network-2-3-1", "network-2-3-1-brief", "deep-tanh"),
        *("mnist-autoencoder", "mnist-mlp", "matrix-completion"),
    }
    assert PROBLEMS["rosenbrock-20d"].dimension == 20
    assert PROBLEMS["quadratic"].dimension == 100
    assert PROBLEMS["network-2-3-1"].dimension == 2 * 3 + 3 + 3 + 1
    assert PROBLEMS["network-2-3-1-brief"].budget == 10
    for name, hidden in (("mnist-mlp", 128), ("mnist-mlp-32", 32), ("mnist-mlp-8", 8)):
        assert PROBLEMS[name].dimension == 784 * hidden + hidden + hidden * 10 + 10


@pytest.mark.parametrize(
    ("name", "of"),
    [("mnist-mlp-8", "mnist-mlp"), ("mnist-mlp-32", "mnist-mlp"), ("shallow-tanh", "deep-tanh")],
)
def test_a_smaller_network_differs_in_its_layers_alone(name: str, of: str) -> None:
    """Or a comparison of the two would not be one of size, or of depth."""
    small, large = PROBLEMS[name], PROBLEMS[of]
    for stated in ("budget", "target", "targets", "minimum", "settings", "observe_every", "data"):
        assert getattr(small, stated) == getattr(large, stated), stated
    assert type(small) is type(large)
    np.testing.assert_array_equal(small.arrays()["x"], large.arrays()["x"])
    assert small.dimension < large.dimension


@pytest.mark.parametrize("name", NAMES)
def test_the_data_that_a_problem_trains_on_has_a_name(name: str) -> None:
    expected = {"network": "synthetic", "factorization": "synthetic"}.get(
        PROBLEMS[name].family, "none"
    )
    if name.startswith("mnist-"):
        expected = "mnist-10k"
    if name in ("sparse-logistic", "wilson"):
        expected = "synthetic"
    assert PROBLEMS[name].data == expected


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"target": 0.3}, "target 0.3 is not among its targets"),
        ({"target": 0.1, "targets": (0.1, 0.5)}, "targets must fall"),
        ({"budget": 0}, "a budget must be at least 1"),
    ],
)
def test_a_row_that_contradicts_itself_is_refused(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Quadratic("some", condition=2.0, **wrong)


@pytest.mark.parametrize("start_at", [-3.0, 3.0, 0.5])
def test_the_projection_is_onto_the_interval_and_happens_in_place(start_at: float) -> None:
    problem = PROBLEMS["reddi"]
    params = {"x": torch.full((2, 1), start_at)}
    problem.project(params)
    assert params["x"].flatten().tolist() == [max(-1.0, min(1.0, start_at))] * 2
    assert [p.name for p in CATALOGUE if p.projects] == ["reddi"]
