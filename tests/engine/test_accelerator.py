"""On an accelerator the loop never waits for a value but at logged steps.

There need be no accelerator for that: a tensor on torch's `meta` device has no values, and whatever
would wait for one raises there. Values that lie on the processor anyway, such as Adam's count of
steps, are read as ever.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from optbench.engine import lanes
from optbench.engine.lanes import CHECK_EVERY, advance, feed, one_thread, start
from optbench.engine.plan import NoSuchDevice, Selection, device_name, plan
from optbench.engine.routes import Driver
from optbench.engine.schedule import log_schedule
from optbench.engine.work import perform
from optbench.optimizers import OPTIMIZERS
from optbench.problems import CATALOGUE, PROBLEMS, Problem
from optbench.runner.packing import pack

F32, META = torch.float32, torch.device("meta")
NAMES = [problem.name for problem in CATALOGUE]
WAITING = ("asgd", "adafactor", "lbfgs", "sparseadam", "adam-swarm")
"""Bases that read a value of the device in every step by themselves, as torch or their method has
it; ASGD does not where it is ``capturable``."""

gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")


def steps(optimizer: str, problem: Problem, count: int = 3) -> None:
    """Everything that the loop does between two logged steps, without values."""
    row = OPTIMIZERS[optimizer]
    seeds = list(range(1 if row.closure else min(2, problem.max_lanes)))
    bound = problem.bind(F32, META)
    with one_thread():
        begin = start(problem, seeds, F32, META)
        driver = Driver(row, bound, [dict(row.defaults)] * len(seeds), begin, 100)
        for spent, batch in enumerate(itertools.islice(feed(problem, seeds, F32, META), count)):
            driver.step(batch, 100 - spent)
            if problem.projects:
                driver.project()
        bound.observe(driver.params)


@pytest.mark.parametrize("name", NAMES)
def test_no_problem_waits(name: str) -> None:
    for optimizer in ("sgd", "adam", "adam[foreach]"):
        steps(optimizer, PROBLEMS[name])


def test_what_waits_is_known() -> None:
    """Fused kernels are not offered without values, and the references are NumPy."""
    waiting = set()
    for row in OPTIMIZERS:
        if row.variant or row.base.startswith("textbook"):
            continue
        problem = PROBLEMS["sparse-logistic" if "sparse" in row.needs else "mnist-mlp"]
        try:
            steps(row.name, problem)
        except (RuntimeError, NotImplementedError):
            waiting.add(row.name)
    assert waiting == set(WAITING)


class Reading(torch.optim.SGD):
    """Looks at its own gradient."""

    def step(self, closure: object = None) -> None:
        self.param_groups[0]["params"][0].grad.sum().item()


def test_an_optimizer_that_reads_a_value_is_found_out() -> None:
    bound = PROBLEMS["quadratic"].bind(F32, META)
    driver = Driver(OPTIMIZERS["sgd"], bound, [{"lr": 0.1}], start(bound, [0], F32, META), 9)
    driver._live = [Reading(driver.params.values(), lr=0.1).step]
    with pytest.raises(RuntimeError, match="meta"):
        driver.step(None, 9)


@pytest.mark.parametrize("waits", [False, True])
@pytest.mark.parametrize("budget", [1, 100, 2000])
def test_values_are_read_at_logged_steps_alone_where_that_is_to_wait(
    budget: int, waits: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the processor every 128 steps, as ever."""
    checked: list[int] = []
    check = lanes.Record.diverged_lanes

    class Noting(lanes.Record):
        def __init__(self, *args: object, **how: object) -> None:
            super().__init__(*args, **{**how, "waits": waits})  # type: ignore[arg-type]

        def diverged_lanes(self, step: int) -> np.ndarray:
            checked.append(step)
            return check(self, step)

    monkeypatch.setattr(lanes, "Record", Noting)
    advance(OPTIMIZERS["sgd"], PROBLEMS["quadratic"], [{"lr": 0.1}], [0], budget)
    if not waits:
        assert checked == list(range(CHECK_EVERY, budget + 1, CHECK_EVERY))
        return
    assert set(checked) <= set(log_schedule(budget).tolist())
    assert bool(checked) == (budget >= CHECK_EVERY)
    assert all(b - a >= CHECK_EVERY for a, b in itertools.pairwise([0, *checked]))


def test_when_values_are_read_changes_no_result(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also of lanes that diverge in between."""
    runs = plan([Selection(optimizers=("sgd",), problems=("rosenbrock-2d",), budget=900,
                           rates=(1e-4, 1e-2, 1.0), seeds=(0, 1))]).runs  # fmt: skip
    (unit,) = pack(runs)
    often = perform(unit)
    record = lanes.Record
    monkeypatch.setattr(lanes, "Record", lambda *a, **how: record(*a, **{**how, "waits": True}))
    for one, other in zip(often, perform(unit), strict=True):
        assert (one.status, one.steps, one.hits) == (other.status, other.steps, other.hits)
        assert (one.initial_gap, one.final_gap) == (other.initial_gap, other.final_gap)


# Names.


def test_a_device_has_one_name() -> None:
    assert [device_name(each) for each in ("cuda", "cuda:0", "cuda:1", "cpu", "cpu:0")] == [
        *("cuda:0", "cuda:0", "cuda:1", "cpu", "cpu")
    ]  # fmt: skip
    select = Selection(optimizers=("sgd",), problems=("beale",), seeds=(0,))
    assert plan([select], device="cpu:0").runs[0].device == "cpu"


def test_a_device_without_values_is_none_to_run_on() -> None:
    select = Selection(optimizers=("sgd",), problems=("beale",), seeds=(0,))
    with pytest.raises(NoSuchDevice, match="'meta' is not a device: give cpu, cuda"):
        plan([select], device="meta")


# On a GPU.


@pytest.fixture
def no_waiting() -> Iterator[None]:
    yield
    torch.cuda.set_sync_debug_mode("default")


@gpu
@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adam[fused]"])
def test_steps_on_a_gpu_do_not_wait(optimizer: str, no_waiting: None) -> None:
    row, cuda = OPTIMIZERS[optimizer], torch.device("cuda:0")
    for problem in CATALOGUE:
        seeds = list(range(min(2, problem.max_lanes)))
        torch.cuda.set_sync_debug_mode("default")
        bound = problem.bind(F32, cuda)
        begin = start(problem, seeds, F32, cuda)
        driver = Driver(row, bound, [dict(row.defaults)] * len(seeds), begin, 9)
        batches = feed(problem, seeds, F32, cuda)
        driver.step(next(batches), 9)  # the first step makes the optimizer's state
        torch.cuda.set_sync_debug_mode("error")
        for turn in (1, 2):
            driver.step(next(batches), 9 - turn)


@gpu
@pytest.mark.parametrize("name", ["quadratic", "rosenbrock-2d", "noisy-quadratic", "mnist-mlp"])
def test_a_gpu_agrees_with_the_cpu_in_float64(name: str) -> None:
    row, settings = OPTIMIZERS["adam"], [{"lr": 0.01}] * 2
    here, there = (
        advance(row, PROBLEMS[name], settings, [0, 1], 60, dtype=torch.float64,
                device=torch.device(device))
        for device in ("cpu", "cuda:0")
    )  # fmt: skip
    np.testing.assert_allclose(there.gaps, here.gaps, rtol=1e-8)
    assert there.steps.tolist() == here.steps.tolist()


@gpu
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_runs_on_a_gpu_end_well_and_cost_something(dtype: str) -> None:
    select = Selection(optimizers=("adam", "adam[fused]"), problems=("mnist-mlp",), seeds=(0,),
                       budget=50)  # fmt: skip
    runs = plan([select], dtype=dtype, device="cuda").runs
    results = [result for unit in pack(runs) for result in perform(unit)]
    assert [result.status for result in results] == ["ok"] * len(results)
    assert all(r.seconds_per_step and r.run.device == "cuda:0" for r in results)
