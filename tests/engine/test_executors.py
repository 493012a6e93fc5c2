"""Where units run changes nothing; a worker that dies takes only what it had in hand."""

from __future__ import annotations

import contextlib
import dataclasses
import multiprocessing
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from optbench.engine import executors
from optbench.engine.executors import InlineExecutor, default_jobs, execute, executor
from optbench.engine.runs import Result, Run, Status
from optbench.engine.work import Unit, pack
from optbench.optimizers import OPTIMIZERS

MORTAL = """
import os
import torch

class Mortal(torch.optim.SGD):
    def __init__(self, params, lr=0.001):
        super().__init__(params, lr=lr)

    def step(self, closure=None):
        if self.param_groups[0]["lr"] == 0.5:
            os._exit(3)
        return super().step(closure)
"""


def run(optimizer: str = "adam", lr: float = 0.01, **rest: Any) -> Run:
    fields = {
        **{"problem": "rosenbrock-2d", "problem_version": 1, "data": "none"},
        **{"seed": 0, "budget": 60},
        **rest,
    }
    return Run(optimizer, (("lr", lr),), **fields)


def repeatable(result: Result) -> dict[str, str]:
    """All of a result but for its time."""
    found = {f.name: getattr(result, f.name) for f in dataclasses.fields(result)}
    del found["seconds_per_step"]
    found["traces"] = {
        name: (trace.steps.tolist(), trace.values.tolist()) for name, trace in result.traces.items()
    }
    return {name: repr(value) for name, value in found.items()}


def everything(units: list[Unit], jobs: int) -> dict[Run, dict[str, str]]:
    """All results, after a check that each unit came back once with its own runs."""
    done = list(execute(units, jobs))
    assert sorted(map(id_of, units)) == sorted(id_of(unit) for unit, _, _ in done)
    for unit, results, seconds in done:
        assert tuple(r.run for r in results) == unit.runs
        assert seconds >= 0
    return {r.run: repeatable(r) for _, results, _ in done for r in results}


def id_of(unit: Unit) -> str:
    return repr(unit)


@contextlib.contextmanager
def no_children_are_left() -> Iterator[None]:
    yield
    deadline = time.monotonic() + 30
    # More than once: a child that the pool's own thread is reaping cannot be joined from here.
    while multiprocessing.active_children() and time.monotonic() < deadline:
        for child in multiprocessing.active_children():
            child.join(timeout=1)
    assert multiprocessing.active_children() == []


@pytest.fixture
def mortal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A third party's optimizer, on the path of the workers too."""
    (tmp_path / "mortal_optimizer.py").write_text(MORTAL, "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    yield "mortal_optimizer:Mortal"
    sys.modules.pop("mortal_optimizer", None)
    OPTIMIZERS._adopted.pop("mortal_optimizer:Mortal", None)


def mixed() -> list[Unit]:
    """Runs that end well, diverge and fail, on problems with and without data."""
    return pack(
        [
            *[run("adam", lr, seed=s) for lr in (0.01, 0.1) for s in range(3)],
            *[run("sgd", lr, seed=s) for lr in (1e-4, 1.0) for s in range(3)],
            *[run("lbfgs", 1.0, problem="beale", seed=s) for s in range(2)],
            *[run("adafactor", 0.1, problem="matrix-completion", seed=s) for s in range(3)],
            run("torch.optim:SparseAdam", 0.1),
            run("adam", 0.01, problem="mnist-mlp", data="mnist-10k", budget=5),
        ]
    )


def test_one_job_is_this_process_and_gives_units_in_order() -> None:
    assert isinstance(executor(1), InlineExecutor)
    units = mixed()
    done = execute(units, 1)
    assert [unit for unit, _, _ in done] == units
    assert multiprocessing.active_children() == []


def test_the_inline_executor_keeps_an_exception_for_the_one_who_asks() -> None:
    def fail() -> None:
        raise ZeroDivisionError("kept")

    with InlineExecutor() as inline:
        good, bad = inline.submit(max, 3, 4), inline.submit(fail)
    assert isinstance(good, Future)
    assert good.done()
    assert good.result() == 4
    with pytest.raises(ZeroDivisionError, match="kept"):
        bad.result()


def test_nothing_to_do_starts_no_worker() -> None:
    def make(jobs: int) -> Any:
        raise AssertionError("no worker is needed")

    assert list(execute([], 2, make)) == []


def test_there_is_at_least_one_job() -> None:
    assert default_jobs() >= 1


@pytest.mark.slow
def test_two_processes_give_the_same_results_as_one() -> None:
    units = mixed()
    with no_children_are_left():
        two = everything(units, 2)
    one = everything(units, 1)
    assert two == one
    assert {r["status"] for r in one.values()} == {repr(s) for s in Status}


@pytest.mark.slow
def test_a_worker_that_dies_fails_what_was_in_flight_and_the_rest_is_done(mortal: str) -> None:
    def unit(lr: float, seed: int) -> Unit:
        return Unit((run(mortal, lr, seed=seed),))

    units = [unit(0.001, 0), unit(0.001, 1), unit(0.5, 0), *(unit(0.001, s) for s in range(2, 9))]
    with no_children_are_left():
        found = everything(units, 2)
    failed = {r: result for r, result in found.items() if result["status"] == repr(Status.FAILED)}
    (killer,) = [r for r in found if r.settings["lr"] == 0.5]
    assert killer in failed
    assert len(failed) <= 3, "two workers, and one unit ahead"
    for result in failed.values():
        assert f"the worker process died while it ran {mortal} on rosenbrock-2d" in result["error"]
    healthy = [r for r in found if r not in failed]
    assert len(healthy) >= 7
    assert {r: found[r] for r in healthy} == everything([Unit((r,)) for r in healthy], 1)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["close", "interrupt"])
def test_stopping_early_leaves_no_worker_behind(how: str) -> None:
    units = [Unit((run("adam", problem="mnist-mlp", data="mnist-10k", seed=s, budget=100_000),))
             for s in range(6)]  # fmt: skip
    units.insert(0, Unit((run(),)))
    with no_children_are_left():
        work = execute(units, 2)
        first, results, _ = next(work)
        assert first == units[0]
        assert results[0].status is Status.OK
        assert multiprocessing.active_children()
        if how == "close":
            work.close()  # type: ignore[attr-defined]
        else:
            with pytest.raises(KeyboardInterrupt):
                work.throw(KeyboardInterrupt())  # type: ignore[attr-defined]


def test_stopping_early_in_this_process_does_no_more_units(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begun = []
    monkeypatch.setattr(executors, "timed", lambda unit: (begun.append(unit), ([], 0.0))[1])
    units = [Unit((run(seed=seed),)) for seed in range(5)]
    work = execute(units, 1)
    next(work)
    work.close()  # type: ignore[attr-defined]
    assert begun == units[:1]
