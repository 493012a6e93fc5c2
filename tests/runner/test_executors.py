"""Where units run changes nothing; a worker that dies takes only what it had in hand."""

from __future__ import annotations

import contextlib
import dataclasses
import multiprocessing
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from optbench.engine.runs import Result, Run, Status
from optbench.engine.work import Unit
from optbench.optimizers import OPTIMIZERS
from optbench.runner import executors
from optbench.runner.executors import InlineExecutor, default_jobs, execute, executor
from optbench.runner.isolation import Limits, perform_apart
from optbench.runner.packing import Parcel, Performed, pack, parcels

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
    del found["seconds_per_step"], found["seconds"]
    found["traces"] = {
        name: (trace.steps.tolist(), trace.values.tolist()) for name, trace in result.traces.items()
    }
    return {name: repr(value) for name, value in found.items()}


def everything(units: list[Unit], jobs: int) -> dict[Run, dict[str, str]]:
    """All results, after a check that each parcel came back once with its own runs."""
    handed = parcels(units, max(jobs, 1))
    with executor(jobs) as workers:
        done = list(execute(handed, workers))
    assert sorted(map(repr, handed)) == sorted(repr(parcel) for parcel, _ in done)
    for parcel, performed in done:
        assert tuple(r.run for r in performed.results) == parcel.runs
        assert performed.environment is None
    return {r.run: repeatable(r) for _, performed in done for r in performed.results}


@contextlib.contextmanager
def no_children_are_left() -> Iterator[None]:
    before = {*multiprocessing.active_children()}
    yield
    assert {*multiprocessing.active_children()} <= before


@pytest.fixture
def mortal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A third party's optimizer, on the path of the workers too."""
    (tmp_path / "mortal_optimizer.py").write_text(MORTAL, "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    yield "mortal_optimizer:Mortal"
    sys.modules.pop("mortal_optimizer", None)
    OPTIMIZERS._adopted.pop("mortal_optimizer:Mortal", None)


def mixed() -> list[Unit]:
    """Runs that end in each way, on problems with and without data."""
    return pack(
        [
            *[run("adam", lr, seed=s) for lr in (0.01, 0.1) for s in range(3)],
            *[run("sgd", lr, seed=s) for lr in (1e-4, 1.0) for s in range(3)],
            *[run("lbfgs", 1.0, problem="beale", seed=s) for s in range(2)],
            *[run("adafactor", 0.1, problem="matrix-completion", seed=s) for s in range(3)],
            run("torch.optim:SGD", 0.0),
            dataclasses.replace(run("torch.optim:SGD"), hyperparameters=(("nesterov", True),)),
            run("adam", 0.01, problem="mnist-mlp", data="mnist-10k", budget=5),
        ]
    )


def test_no_jobs_are_this_process_and_gives_parcels_in_order() -> None:
    assert isinstance(executor(0), InlineExecutor)
    handed = [Parcel((unit,)) for unit in mixed()]
    before = multiprocessing.active_children()
    assert [parcel for parcel, _ in execute(handed, executor(0))] == handed
    assert multiprocessing.active_children() == before


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
    before = multiprocessing.active_children()
    with executor(2) as workers:
        assert list(execute([], workers)) == []
        assert multiprocessing.active_children() == before


def test_parcels_are_taken_when_there_is_room_and_what_is_not_there_yet_is_asked_for_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    taken: list[str] = []

    class Two(ThreadPoolExecutor):
        ahead = 2

        def submit(self, fn: Any, /, parcel: Parcel, limits: Any) -> Future[Any]:  # type: ignore[override]
            taken.append(f"begin {parcel.runs[0].seed}")
            return super().submit(
                lambda: Performed(tuple(Result(one, Status.OK) for one in parcel.runs))
            )

    def coming() -> Iterator[Parcel | None]:
        for seed in range(3):
            yield Parcel((Unit((run(seed=seed),)),))
        yield None
        taken.append("asked again")
        yield Parcel((Unit((run(seed=3),)),))

    monkeypatch.setattr(executors, "LOOK_AGAIN_S", 0.01)
    with Two(1) as workers:
        for parcel, performed in execute(coming(), workers):
            taken.append(f"end {performed.results[0].run.seed}")
            assert parcel.runs == (performed.results[0].run,)
    assert taken[:2] == ["begin 0", "begin 1"]
    assert taken.index("end 0") < taken.index("begin 2") < taken.index("asked again")
    assert sorted(taken) == sorted(
        [f"{what} {seed}" for what in ("begin", "end") for seed in range(4)] + ["asked again"]
    )


def test_an_executor_of_anybody_is_told_how_to_isolate() -> None:
    class Notes(ThreadPoolExecutor):
        def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
            assert fn is perform_apart
            assert args == (Parcel((Unit((run(),)),)), Limits(timeout_s=7))
            return super().submit(lambda: Performed(()))

    with Notes(1) as workers:
        ((_, performed),) = execute([Parcel((Unit((run(),)),))], workers, Limits(timeout_s=7))
    assert performed.results == ()


def test_there_is_at_least_one_job() -> None:
    assert default_jobs() >= 1


@pytest.mark.proof
def test_two_processes_give_the_same_results_as_one() -> None:
    units = mixed()
    with no_children_are_left():
        two = everything(units, 2)
    one = everything(units, 0)
    assert two == one
    assert {r["status"] for r in one.values()} == {repr(s) for s in Status}


@pytest.mark.proof
def test_a_worker_that_dies_takes_nobody_along(mortal: str) -> None:
    def unit(lr: float, seed: int) -> Unit:
        return Unit((run(mortal, lr, seed=seed),))

    units = [unit(0.001, 0), unit(0.001, 1), unit(0.5, 0), *(unit(0.001, s) for s in range(2, 9))]
    with no_children_are_left():
        found = everything(units, 2)
    failed = {r: result for r, result in found.items() if result["status"] == repr(Status.FAILED)}
    ((killer, result),) = failed.items()
    assert killer.settings["lr"] == 0.5
    assert f"status 3, as by os._exit while it ran {mortal} on rosenbrock-2d" in result["error"]
    healthy = [r for r in found if r not in failed]
    assert len(healthy) == 9
    assert {r: found[r] for r in healthy} == everything([Unit((r,)) for r in healthy], 0)


@pytest.mark.proof
def test_stopping_early_leaves_no_worker_behind() -> None:
    units = [Unit((run("adam", problem="mnist-mlp", data="mnist-10k", seed=s, budget=100_000),))
             for s in range(6)]  # fmt: skip
    units.insert(0, Unit((run(),)))

    def interrupted() -> None:
        with executor(2) as workers:
            for parcel, performed in execute([Parcel((unit,)) for unit in units], workers):
                assert parcel.units == (units[0],)
                assert performed.results[0].status is Status.OK
                assert multiprocessing.active_children()
                raise KeyboardInterrupt

    with no_children_are_left(), pytest.raises(KeyboardInterrupt):
        interrupted()
