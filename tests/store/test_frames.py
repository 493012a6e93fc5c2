"""The frames of a store, however many portions they are read in."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import pandas as pd
import pytest
from test_store import HERE, result, run, trace

from optbench.engine.runs import Result, Status
from optbench.store import Store, StoreError, columns

FRAMES = ("runs", "targets", "traces", "problems", "environments")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store(str(tmp_path / "results.sqlite"), create=True)
    two = {"x1": trace([0, 5], [1.0, 2.0]), "gap": trace([0, 1, 2], [3.0, 2.0, 1.0])}
    names = ("sgd", "adam[fused]", "adam")
    made.add([result(run(name, seed=seed)) for name in names for seed in (1, 0)], HERE)
    made.add([Result(run(problem="beale"), Status.FAILED, error="no")], HERE)
    made.add([result(run(problem="beale", seed=1), traces=two)], HERE)
    return made


def test_they_do_not_depend_on_portions(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = [getattr(store, name)() for name in FRAMES]
    for portion in (1, 3):
        monkeypatch.setattr(columns, "PORTION", portion)
        for name, expected in zip(FRAMES, whole, strict=True):
            pd.testing.assert_frame_equal(getattr(store, name)(), expected)


def test_runs_stand_by_optimizer_problem_and_seed(store: Store) -> None:
    frame = store.runs()
    keys = list(frame[["optimizer", "problem", "seed"]].itertuples(index=False, name=None))
    assert keys == sorted(keys)
    assert len(keys) == 8
    assert frame["error"].dropna().tolist() == ["no"]


def test_a_failed_run_has_no_row_of_a_target(store: Store) -> None:
    runs, targets = store.runs().set_index("run"), store.targets()
    assert set(targets["run"]) == set(runs.index[runs["status"] == "ok"])
    assert targets["run"].is_monotonic_increasing


def test_traces_stand_by_run_and_metric(store: Store) -> None:
    traces = store.traces()
    last = traces[traces["run"] == traces["run"].max()]
    assert last["metric"].tolist() == ["gap"] * 3 + ["x1"] * 2
    assert last["step"].tolist() == [0, 1, 2, 0, 5]
    assert last["value"].tolist() == [3.0, 2.0, 1.0, 1.0, 2.0]
    assert traces["run"].is_monotonic_increasing


def test_a_run_of_a_problem_that_is_not_there_is_no_other_problems(
    store: Store, tmp_path: Path
) -> None:
    store.close()
    with contextlib.closing(sqlite3.connect(tmp_path / "results.sqlite")) as file:
        file.execute("UPDATE runs SET problem_id = 77 WHERE id = 3")
        file.commit()
    damaged = Store(str(tmp_path / "results.sqlite"))
    with damaged, pytest.raises(StoreError, match="is damaged: there is no row 77"):
        damaged.runs()
