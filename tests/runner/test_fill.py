"""Filling a store: what is missing is run, what is finished stays, whatever ends it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from optbench.engine.plan import Selection, plan
from optbench.engine.runs import Run, Status
from optbench.optimizers import OPTIMIZERS, SCHEDULES, Optimizer, Route
from optbench.problems import PROBLEMS
from optbench.registry import NotAdoptable, Registry
from optbench.runner import Progress, fill
from optbench.runner.executors import executor
from optbench.store import Store

NOT_REPEATABLE = ["run", "seconds_per_step", "environment", "attempts", "seconds"]
BUDGET = 12


def wanted(
    optimizers: Sequence[str] = ("sgd", "adam", "lbfgs"),
    problems: Sequence[str] = ("quadratic", "beale"),
    **more: object,
) -> tuple[Run, ...]:
    selection = {"optimizers": optimizers, "problems": problems, "seeds": (0, 1), "budget": BUDGET}
    return plan([Selection.model_validate({**selection, **more})]).runs


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path / "results.sqlite"), create=True)


def contents(store: Store) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Runs, targets and traces without what cannot repeat; runs named by their place."""
    runs = store.runs()
    place = {number: i for i, number in enumerate(runs["run"])}
    long = []
    for frame, order in ((store.targets(), ["target"]), (store.traces(), ["metric", "step"])):
        frame = frame.assign(run=frame["run"].map(place))
        long.append(frame.sort_values(["run", *order], ignore_index=True))
    return runs.drop(columns=NOT_REPEATABLE), long[0], long[1]


def assert_same(one: Store, other: Store) -> None:
    for ours, theirs in zip(contents(one), contents(other), strict=True):
        assert not ours.empty
        pd.testing.assert_frame_equal(ours, theirs, check_exact=True)


class Told:
    """A watch that copies what it is told."""

    def __init__(self) -> None:
        self.seen: list[Progress] = []

    def __call__(self, progress: Progress) -> None:
        kept = copy(progress)
        kept.status, kept.failures = Counter(progress.status), list(progress.failures)
        self.seen.append(kept)


def interrupt_after(units: int, error: BaseException) -> object:
    calls = iter(range(units))

    def watch(progress: Progress) -> None:
        # The first call comes before any unit.
        if progress.done and next(calls, None) == units - 1:
            raise error

    return watch


# A failing optimizer, in the catalogue for the length of a test.

BROKEN = {"on": True}


class Fragile(torch.optim.SGD):
    """Breaks in a step, at learning rates above 0.005, as long as BROKEN says so."""

    def step(self, closure: object = None) -> None:  # type: ignore[override]
        if BROKEN["on"] and any(group["lr"] > 0.005 for group in self.param_groups):
            raise RuntimeError("[bold]out of luck")
        super().step()


@pytest.fixture
def fragile(monkeypatch: pytest.MonkeyPatch) -> str:
    row = Optimizer("fragile", Fragile, {"lr": 1e-3}, {"lr": (1e-3,)}, Route.STACK, "nowhere")
    monkeypatch.setitem(OPTIMIZERS._entries, "fragile", row)
    monkeypatch.setitem(BROKEN, "on", True)
    return "fragile"


def test_all_runs_are_done_and_nothing_is_left_to_do(store: Store) -> None:
    runs = wanted()
    progress = fill(store, runs)
    assert len(runs) == 12
    assert (progress.planned, progress.present, progress.to_do, progress.done) == (12, 0, 12, 12)
    assert store.missing(runs) == []
    again = fill(store, runs)
    assert (again.planned, again.present, again.to_do, again.done) == (12, 12, 0, 0)
    assert (again.status, again.failures) == (Counter(), [])


def test_only_what_is_missing_is_run(store: Store) -> None:
    fill(store, wanted(["sgd"]))
    before = store.runs().set_index(["optimizer", "problem", "seed"])["run"]
    progress = fill(store, wanted())
    after = store.runs().set_index(["optimizer", "problem", "seed"])["run"]
    assert (progress.present, progress.to_do, progress.done) == (4, 8, 8)
    assert after[before.index].equals(before)


def test_progress_is_told_at_the_start_and_after_each_unit_and_adds_up(store: Store) -> None:
    runs = wanted(["sgd", "lbfgs"])
    told = Told()
    final = fill(store, runs, watch=told)
    # Two optimizers on two problems are four units.
    assert [each.done for each in told.seen] == [0, 2, 4, 6, 8]
    assert {(each.planned, each.present, each.to_do) for each in told.seen} == {(8, 0, 8)}
    shares = [each.work_done / each.work for each in told.seen]
    assert shares == sorted(set(shares))
    assert (shares[0], shares[-1]) == (0, pytest.approx(1))
    for each in told.seen:
        assert each.status.total() == each.done
        assert len(each.failures) == each.status[Status.FAILED] == 0
    assert final.done == told.seen[-1].done


def test_a_watch_hears_of_the_start_where_nothing_is_to_do(store: Store) -> None:
    fill(store, wanted(["sgd"]))
    told = Told()
    fill(store, wanted(["sgd"]), watch=told)
    assert [(each.present, each.to_do, each.done) for each in told.seen] == [(4, 0, 0)]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), RuntimeError("the disk is full")])
@pytest.mark.parametrize("units", [1, 3])
def test_what_was_finished_stays_and_the_same_call_goes_on(
    store: Store, tmp_path: Path, error: BaseException, units: int
) -> None:
    runs = wanted()
    told = Told()
    stop = interrupt_after(units, error)

    def watch(progress: Progress) -> None:
        told(progress)
        stop(progress)  # type: ignore[operator]

    with pytest.raises(type(error)):
        fill(store, runs, watch=watch)
    finished = told.seen[-1].done
    assert 0 < finished < len(runs)
    assert store.count() == finished
    kept = store.runs().set_index(["optimizer", "problem", "seed"])["run"]

    progress = fill(store, runs)
    assert (progress.present, progress.done) == (finished, 12 - finished)
    now = store.runs().set_index(["optimizer", "problem", "seed"])["run"]
    assert now[kept.index].equals(kept)
    with Store(str(tmp_path / "uninterrupted.sqlite"), create=True) as other:
        fill(other, runs)
        assert_same(store, other)


def test_a_unit_that_was_not_told_of_is_in_the_store_all_the_same(store: Store) -> None:
    # The results are kept before the watch is told: a crash of the display loses nothing.
    with pytest.raises(OSError, match="terminal is gone"):
        fill(
            store,
            wanted(["sgd"], ["beale"]),
            watch=interrupt_after(1, OSError("the terminal is gone")),  # type: ignore[arg-type]
        )
    assert store.count() == 2


def test_a_failed_run_is_listed_with_its_text_and_the_others_go_on(
    store: Store, fragile: str
) -> None:
    runs = wanted([fragile, "adam"], ["beale"], rates=(1e-3, 0.01))
    progress = fill(store, runs)
    assert progress.status == {Status.OK: 6, Status.FAILED: 2}
    assert {(f.run.optimizer, f.run.settings["lr"]) for f in progress.failures} == {(fragile, 0.01)}
    frame = store.runs()
    failed = frame[frame["status"] == "failed"]
    assert failed[["optimizer", "lr"]].drop_duplicates().values.tolist() == [[fragile, 0.01]]
    for text in failed["error"]:
        first, second = text.splitlines()
        assert first == "RuntimeError: [bold]out of luck"
        assert "test_fill.py:" in second
    # A lane of the same unit that did not fail has the bits of its own run.
    alone = frame[(frame["optimizer"] == fragile) & (frame["lr"] == 1e-3)]
    assert alone["status"].tolist() == ["ok", "ok"]


def test_a_failed_run_is_run_again_and_no_other(
    store: Store, fragile: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = wanted([fragile], ["beale"], rates=(1e-3, 0.01))
    fill(store, runs)
    still = fill(store, runs)
    assert (still.present, still.to_do, len(still.failures)) == (2, 2, 2)
    monkeypatch.setitem(BROKEN, "on", False)
    mended = fill(store, runs)
    assert (mended.present, mended.to_do, len(mended.failures)) == (2, 2, 0)
    frame = store.runs()
    assert frame["status"].tolist() == ["ok"] * 4
    assert frame["error"].isna().all()
    assert fill(store, runs).to_do == 0


def test_again_runs_what_is_there_and_replaces_it(store: Store) -> None:
    runs = wanted(["sgd"])
    fill(store, runs)
    before = contents(store)
    progress = fill(store, runs, again=True)
    assert (progress.planned, progress.present, progress.done) == (4, 0, 4)
    for was, now in zip(before, contents(store), strict=True):
        pd.testing.assert_frame_equal(was, now, check_exact=True)
    assert store.count() == 4
    assert store.runs()["attempts"].tolist() == [2] * 4


@pytest.mark.proof
def test_two_workers_give_what_one_gives(store: Store, tmp_path: Path) -> None:
    runs = wanted(rates="tuned", thin=3)
    told = Told()
    with executor(2) as workers:
        fill(store, runs, executor=workers, watch=told)
    assert told.seen[-1].done == len(runs)
    with Store(str(tmp_path / "alone.sqlite"), create=True) as alone:
        fill(alone, runs)
        assert_same(store, alone)


@pytest.mark.proof
def test_an_interrupt_with_two_workers_leaves_what_was_finished(store: Store) -> None:
    runs = wanted()
    watch = interrupt_after(1, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt), executor(2) as workers:
        fill(store, runs, executor=workers, watch=watch)  # type: ignore[arg-type]
    done = store.count()
    assert done
    assert done % 2 == 0
    assert len(store.missing(runs)) == len(runs) - done


@pytest.mark.parametrize("ddp", [None, 2])
@pytest.mark.parametrize(
    ("registry", "asked"),
    [
        (OPTIMIZERS, {"optimizers": ("mine",)}),
        (PROBLEMS, {"problems": ("mine",)}),
        (SCHEDULES, {"schedules": ("mine",)}),
    ],
    ids=["optimizer", "problem", "schedule"],
)
def test_what_workers_do_not_find_is_refused_before_anything_is_run(
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
    registry: Registry[Any],
    asked: dict[str, tuple[str, ...]],
    ddp: int | None,
) -> None:
    known = {OPTIMIZERS: "adam", PROBLEMS: "wilson", SCHEDULES: "cosine"}[registry]
    monkeypatch.setattr(registry, "_entries", dict(registry._entries))
    monkeypatch.setattr(registry, "_here_alone", set())
    row = copy(registry[known])
    object.__setattr__(row, "name", "mine")
    registry.register(row)
    runs = wanted(**{"optimizers": ("sgd",), "problems": ("wilson",), "ddp": ddp, **asked})
    # The processes of a data-parallel run are other ones, wherever it is worked on.
    with executor(0 if ddp else 1) as workers, pytest.raises(NotAdoptable, match="'mine' was reg"):
        fill(store, runs, executor=workers)
    assert store.runs().empty


def test_what_is_registered_here_is_found_here(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(OPTIMIZERS, "_entries", dict(OPTIMIZERS._entries))
    monkeypatch.setattr(OPTIMIZERS, "_here_alone", set())
    OPTIMIZERS.register(replace(OPTIMIZERS["sgd"], name="mine"))
    assert fill(store, wanted(("mine",), ("quadratic",))).status == {Status.OK: 2}
