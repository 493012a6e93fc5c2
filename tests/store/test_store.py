"""The store keeps what it is given: all of it or none, once, and in an order of its own."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import IntegrityError

import optbench
from optbench.analysis.results import COLUMNS
from optbench.engine.environment import Environment
from optbench.engine.identity import code_of, key
from optbench.engine.runs import Result, Run, Status, Trace, frozen
from optbench.problems import PROBLEMS
from optbench.store import Store

HERE = Environment(
    cpu="A CPU", cores=2, threads=1, os="Linux", python="3.11.9", torch="2.13.0", numpy="2.4.6",
    optbench="0.1.0", device="cpu", commit="abc1234", dirty=True,
)  # fmt: skip
INFINITE = math.inf
TARGETS = PROBLEMS["quadratic"].targets
HEADLINE = TARGETS.index(PROBLEMS["quadratic"].target)


def run(optimizer: str = "adam", problem: str = "quadratic", **changes: object) -> Run:
    one = Run(
        optimizer, frozen({"lr": 1e-3}), problem,
        PROBLEMS[problem].version, PROBLEMS[problem].data, seed=0, budget=100,
    )  # fmt: skip
    return replace(one, **changes)  # type: ignore[arg-type]


def result(of: Run | None = None, **changes: object) -> Result:
    of = of or run()
    some = Result(
        of,
        Status.OK,
        steps=100,
        initial_gap=12.5,
        final_gap=0.1 + 0.2,
        hits=(3, 70, *[None] * (len(PROBLEMS[of.problem].targets) - 2)),
        traces={"gap": trace([0, 1, 100], [12.5, 1.0, 0.3])},
        seconds_per_step=1.25e-5,
        state_bytes=804,
    )
    return replace(some, **changes)  # type: ignore[arg-type]


def trace(steps: list[int], values: list[float]) -> Trace:
    return Trace(np.array(steps, dtype=np.int32), np.array(values, dtype=np.float32))


@pytest.fixture(params=["sqlite", "postgresql"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where a store may be made, as a file and on a server."""
    if request.param == "postgresql":
        return str(request.getfixturevalue("postgres").new())
    return str(tmp_path / "results.sqlite")


@pytest.fixture
def store(path: str) -> Store:
    return Store(path, create=True)


def only(frame: pd.DataFrame) -> dict[str, object]:
    assert len(frame) == 1
    return dict(frame.iloc[0])


# What goes in comes out.


def test_every_field_of_a_result_comes_back(store: Store, path: str) -> None:
    of = run(
        "adam[fused]",
        hyperparameters=frozen({"lr": 0.032, "betas": [0.9, 0.99], "eps": 1e-8, "fused": True}),
        seed=7,
        budget=250,
        dtype="float64",
        default=False,
    )
    store.add([result(of)], HERE)
    store.close()
    with Store(path) as reopened:
        row = only(reopened.runs())
    told = {
        "optimizer": "adam[fused]", "base": "adam", "variant": "fused",
        "problem": "quadratic", "problem_version": of.problem_version, "data": "none",
        "family": "convex", "dimension": 100, "lr": 0.032, "default": False, "seed": 7,
        "dtype": "float64", "device": "cpu", "budget": 250, "status": "ok", "error": None,
        "steps": 100, "initial_gap": 12.5, "final_gap": 0.1 + 0.2,
        "seconds_per_step": 1.25e-5, "state_bytes": 804.0, "code": code_of("adam[fused]"),
        "commit": "abc1234",
    }  # fmt: skip
    assert {name: row[name] for name in told} == told
    others = json.loads(str(row["hyperparameters"]))
    assert others == {"betas": [0.9, 0.99], "eps": 1e-8, "fused": True}


def test_a_schedule_is_a_column_and_a_hyperparameter(store: Store) -> None:
    told = [{}, {"lr_schedule": "cosine"}, {"lr_schedule": "step", "eps": 1e-6}]
    runs = [replace(run(), hyperparameters=frozen({"lr": 0.1, **each})) for each in told]
    store.add([result(each) for each in runs], HERE)
    frame = store.runs()
    assert sorted(frame["lr_schedule"]) == ["", "cosine", "step"]
    for _, row in frame.iterrows():
        assert json.loads(row["hyperparameters"]).get("lr_schedule", "") == row["lr_schedule"]
    assert store.missing(runs) == []


@pytest.mark.parametrize("final", [INFINITE, 1e-320, 1.7976931348623157e308, 0.0, -0.5])
def test_a_gap_comes_back_to_the_last_bit(store: Store, final: float) -> None:
    store.add([result(initial_gap=1 / 3, final_gap=final)], HERE)
    row = only(store.runs())
    assert (row["initial_gap"], row["final_gap"]) == (1 / 3, final)


def test_what_a_database_would_refuse_is_written_out(store: Store) -> None:
    words = "a\0b \ud83d lone"
    store.add([Result(run("sgd"), Status.FAILED, error=words)], replace(HERE, cpu="\udcff\0"))
    assert only(store.runs())["error"] == "a\\x00b \\ud83d lone"
    assert only(store.environments())["cpu"] == "\\udcff\\x00"


def test_large_numbers_come_back(store: Store) -> None:
    of = run(seed=2**31 - 1, budget=10**9, hyperparameters=frozen({"lr": 1e308}))
    large = result(of, steps=10**9, state_bytes=2**41, seconds=1e6, seconds_per_step=math.inf)
    store.add([large], HERE)
    row = only(store.runs())
    assert (row["seed"], row["budget"], row["steps"]) == (2**31 - 1, 10**9, 10**9)
    assert (row["state_bytes"], row["seconds"], row["lr"]) == (2**41, 1e6, 1e308)
    assert row["seconds_per_step"] == math.inf


def test_a_gap_that_is_not_a_number_comes_back_as_such(store: Store) -> None:
    store.add([result(status=Status.DIVERGED, final_gap=math.nan)], HERE)
    row = only(store.runs())
    assert row["status"] == "diverged"
    assert isinstance(row["final_gap"], float)
    assert math.isnan(row["final_gap"])


def test_a_failed_run_keeps_its_text_and_has_no_figures(store: Store) -> None:
    words = "ValueError: no — 'quoted'; \"twice\"\n  at somewhere.py:3"
    store.add([Result(run(), Status.FAILED, error=words)], HERE)
    row = only(store.runs())
    assert (row["status"], row["error"], row["steps"]) == ("failed", words, 0)
    for figure in ("initial_gap", "final_gap", "steps_to_target", "seconds_per_step"):
        assert math.isnan(row[figure])  # type: ignore[arg-type]
    assert store.targets().empty
    assert store.traces().empty


def test_traces_come_back_in_their_own_precision(store: Store) -> None:
    gap = trace([0, 1, 2, 2**31 - 1], [1 / 3, math.inf, math.nan, 1e-45])
    error = trace([0, 100], [0.9, 0.0775])
    store.add([result(run(problem="mnist-mlp"), traces={"gap": gap, "error_rate": error})], HERE)
    frame = store.traces()
    for metric, told in (("gap", gap), ("error_rate", error)):
        one = frame[frame["metric"] == metric]
        np.testing.assert_array_equal(one["step"], told.steps)
        np.testing.assert_array_equal(one["value"].astype(np.float32), told.values)
    assert set(frame["metric"]) == {"gap", "error_rate"}
    assert frame["run"].unique().tolist() == store.runs()["run"].tolist()


def test_a_target_that_was_not_reached_is_censored(store: Store) -> None:
    hits = (3, 70, *[None] * (len(TARGETS) - 2))
    store.add([result(hits=hits)], HERE)
    frame = store.targets()
    assert frame["target"].tolist() == list(TARGETS)
    assert frame["step"].head(2).tolist() == [3, 70]
    assert frame["step"].tail(len(TARGETS) - 2).isna().all()


@pytest.mark.parametrize("step", [0, 41, None])
def test_steps_to_target_is_that_of_the_headline(store: Store, step: int | None) -> None:
    # Every other target is reached in a step of its own, so that no other can be taken for it.
    hits = tuple(step if i == HEADLINE else 1000 + i for i in range(len(TARGETS)))
    store.add([result(hits=hits)], HERE)
    found = only(store.runs())["steps_to_target"]
    assert found == step if step is not None else math.isnan(found)  # type: ignore[arg-type]


# Which runs are here.


def test_nothing_is_here_at_first(store: Store) -> None:
    wanted = [run(seed=s) for s in range(3)]
    assert store.missing(wanted) == wanted
    assert store.missing([]) == []
    assert store.count() == 0


def test_what_was_added_is_no_longer_missing(store: Store) -> None:
    # More of them than one query takes.
    wanted = [run(seed=s) for s in range(1203)]
    store.add([result(r, traces={}) for r in wanted[::2]], HERE)
    assert store.missing(wanted) == wanted[1::2]
    assert store.count() == 602


@pytest.mark.parametrize("status", list(Status))
def test_only_a_failed_run_is_missing_still(store: Store, status: Status) -> None:
    store.add([result(status=status)], HERE)
    assert store.missing([run()]) == ([run()] if status is Status.FAILED else [])


@pytest.mark.parametrize(
    "other",
    [
        {"hyperparameters": frozen({"lr": 2e-3})},
        {"problem_version": 99},
        {"data": "else"},
        {"seed": 1},
        {"budget": 101},
        {"dtype": "float64"},
        {"device": "cuda"},
        {"optimizer": "adamw"},
        {"problem": "l1"},
    ],
    ids=lambda other: next(iter(other)),
)
def test_runs_that_differ_in_anything_are_kept_apart(
    store: Store, other: dict[str, object]
) -> None:
    different = run(**other)
    store.add([result()], HERE)
    assert store.missing([different]) == [different]
    store.add([result(different)], HERE)
    assert store.missing([run(), different]) == []
    assert len(store.runs()) == 2


def test_what_league_a_run_is_in_is_no_part_of_its_identity(store: Store) -> None:
    store.add([result(run(default=False))], HERE)
    assert store.missing([run(default=True)]) == []


def test_a_result_replaces_that_of_the_same_run(store: Store) -> None:
    store.add([result(), result(run(seed=1))], HERE)
    store.add([result(final_gap=-1.0, traces={"x0": trace([0], [5.0])})], HERE)
    frame = store.runs()
    assert frame.set_index("seed")["final_gap"].to_dict() == {0: -1.0, 1: 0.1 + 0.2}
    first = frame.set_index("seed")["run"]
    kept = store.traces().groupby("run", observed=True)["metric"].unique()
    assert {seed: kept[number].tolist() for seed, number in first.items()} == {
        0: ["x0"],
        1: ["gap"],
    }


def test_the_last_of_a_batch_counts_where_a_run_is_in_it_twice(store: Store) -> None:
    store.add([result(final_gap=1.0), result(final_gap=2.0)], HERE)
    assert only(store.runs())["final_gap"] == 2.0
    assert len(store.traces()) == 3


@pytest.mark.parametrize("part", ["problem_version", "data"])
def test_versions_and_data_of_a_problem_are_kept_apart_within_a_batch(
    store: Store, part: str
) -> None:
    values = [1, 2] if part == "problem_version" else ["mnist-10k", "mnist-70k"]
    both = [run(problem="mnist-mlp", **{part: value}) for value in values]
    store.add([result(both[0], final_gap=1.0), result(both[1], final_gap=2.0)], HERE)
    assert store.runs().set_index(part)["final_gap"].to_dict() == dict(
        zip(values, [1.0, 2.0], strict=True)
    )
    assert store.problems()[part].tolist() == values


def test_how_often_a_run_was_done_is_counted(store: Store) -> None:
    first, second, never = (run(seed=seed) for seed in range(3))
    store.add([Result(first, Status.FAILED, error="no"), result(second)], HERE)
    store.add([result(first)], HERE)
    store.add([result(first), result(first)], HERE)
    assert store.attempts(map(key, (first, second, never))) == {key(first): 3, key(second): 1}
    assert store.attempts([]) == {}
    assert store.runs().set_index("seed")["attempts"].to_dict() == {0: 3, 1: 1}


def test_a_cost_is_seconds_a_gradient_evaluation(store: Store) -> None:
    assert store.costs() == {}
    timed = [(run(seed=0), 3.0), (run(seed=1), 5.0), (run(seed=2), None)]
    store.add([result(of, seconds=seconds) for of, seconds in timed], HERE)
    store.add(
        [
            Result(run(seed=3), Status.FAILED, error="no", seconds=1e9),
            result(run(dtype="float64"), seconds=1.0),
            result(run("sgd", budget=50), seconds=1.0),
        ],
        HERE,
    )
    assert store.costs() == {
        ("adam", "quadratic", "float32", "cpu"): pytest.approx(8.0 / 200),
        ("adam", "quadratic", "float64", "cpu"): pytest.approx(1.0 / 100),
        ("sgd", "quadratic", "float32", "cpu"): pytest.approx(1.0 / 50),
    }


def test_steps_that_many_runs_share_are_kept_once(store: Store) -> None:
    shared, own = [0, 1, 100], [0, 1, 50]
    results = [
        result(
            run(seed=s), traces={"gap": trace(shared, [s, 2, 3]), "x0": trace(shared, [1, 2, s])}
        )
        for s in range(5)
    ]
    store.add(results[:3], HERE)
    store.add([*results[3:], result(run(seed=9), traces={"gap": trace(own, [1, 2, 3])})], HERE)
    engine = create_engine(store._database.url)
    with engine.connect() as connection:
        kept = connection.execute(text("SELECT steps FROM schedules ORDER BY id")).scalars().all()
    engine.dispose()
    assert [np.frombuffer(steps, "<i4").tolist() for steps in kept] == [shared, own]
    frame = store.traces().merge(store.runs()[["run", "seed"]], on="run")
    assert frame[frame["seed"] == 9]["step"].tolist() == own
    assert frame[(frame["seed"] == 4) & (frame["metric"] == "x0")]["value"].tolist() == [1, 2, 4]


# All or nothing.


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_batch_with_one_bad_row_changes_nothing(store: Store, place: int) -> None:
    store.add([result(run(seed=1), final_gap=5.0)], HERE)
    before = store.runs(), store.traces(), store.problems(), store.environments()
    batch = [result(run(seed=s, problem="l1"), final_gap=6.0) for s in range(2)]
    # A run without a status that the table takes; seed 1 of the batch's would be replaced.
    batch.insert(place, result(run(seed=1), steps=None))
    elsewhere = replace(HERE, cpu="Another CPU")
    with pytest.raises(IntegrityError, match="steps"):
        store.add(batch, elsewhere)
    after = store.runs(), store.traces(), store.problems(), store.environments()
    for was, now in zip(before, after, strict=True):
        pd.testing.assert_frame_equal(was, now)


def test_a_trace_that_cannot_be_kept_takes_its_batch_along(store: Store) -> None:
    broken = result(run(seed=1), traces={"gap": None})
    with pytest.raises(AttributeError):
        store.add([result(), broken], HERE)
    assert store.count() == 0
    assert store.traces().empty


def test_an_empty_batch_is_nothing(store: Store) -> None:
    store.add([], HERE)
    assert store.environments().empty


def test_a_reader_sees_whole_batches_while_a_writer_is_at_work(store: Store, path: str) -> None:
    store.add([result(run(seed=0))], HERE)
    with Store(path) as reader:
        assert reader.count() == 1
        store.add([result(run(seed=s)) for s in (1, 2)], HERE)
        assert reader.count() == 3


def test_the_file_is_in_wal_mode_and_stays_so(tmp_path: Path) -> None:
    path = str(tmp_path / "results.sqlite")
    with Store(path, create=True) as store:
        store.add([result()], HERE)
        assert mode(path) == "wal"
    assert mode(path) == "wal"


def mode(path: str) -> str:
    engine = create_engine(f"sqlite:///{path}")
    with engine.connect() as connection:
        found = str(connection.execute(text("PRAGMA journal_mode")).scalar_one())
    engine.dispose()
    return found


# Frames.


def test_the_order_of_runs_does_not_depend_on_when_they_were_made(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    results = [
        result(run(name, problem, seed=seed, hyperparameters=frozen({"lr": lr, **more})))
        for name in ("sgd", "adam")
        for problem in ("quadratic", "beale")
        for seed in (0, 1)
        for lr in (1e-3, 10.0)
        for more in ({}, {"weight_decay": 0.1})
    ]
    frames = []
    for turn in range(3):
        with Store(str(tmp_path / f"{turn}.sqlite"), create=True) as store:
            order = rng.permutation(len(results))
            for first in range(0, len(results), 5):
                store.add([results[i] for i in order[first : first + 5]], HERE)
            frames.append(store.runs().drop(columns="run"))
    pd.testing.assert_frame_equal(frames[0], frames[1])
    pd.testing.assert_frame_equal(frames[0], frames[2])
    assert len(frames[0]) == len(results)


def test_an_environment_is_kept_once_and_referred_to(store: Store) -> None:
    unknown = replace(HERE, commit=None, dirty=None)
    store.add([result(run(seed=0))], HERE)
    store.add([result(run(seed=1))], unknown)
    store.add([result(run(seed=2))], replace(HERE))
    frame = store.environments()
    assert len(frame) == 2
    known = frame.set_index("environment")
    by_seed = store.runs().set_index("seed")["environment"]
    assert by_seed[0] == by_seed[2] != by_seed[1]
    assert known.loc[by_seed[0], ["cpu", "threads", "commit"]].tolist() == ["A CPU", 1, "abc1234"]
    assert bool(known.loc[by_seed[0], "dirty"]) is True
    assert known.loc[by_seed[1], ["commit", "dirty"]].isna().all()
    commits = store.runs().set_index("seed")["commit"]
    assert commits[0] == commits[2] == "abc1234"
    assert pd.isna(commits[1])


def test_a_problem_is_kept_with_what_its_results_mean(store: Store) -> None:
    store.add([result(run(problem="mnist-mlp")), result(run(problem="mnist-mlp", seed=1))], HERE)
    row, problem = only(store.problems()), PROBLEMS["mnist-mlp"]
    assert row["target"] == problem.target
    assert bool(row["minimum_is_bound"]) is problem.minimum_is_bound is True
    assert (row["family"], row["data"], row["budget"]) == ("network", "mnist-10k", problem.budget)


def test_the_frames_are_those_that_analysis_reads(store: Store, path: str) -> None:
    store.add([result(), Result(run(seed=1), Status.FAILED, error="no")], HERE)
    results = optbench.load(path)
    for name, columns in COLUMNS.items():
        frame = getattr(results, name)
        assert not frame.empty
        assert set(columns) <= set(frame.columns)
    assert set(results.targets["run"]) | set(results.traces["run"]) <= set(results.runs["run"])


def test_the_frames_of_an_empty_store_have_the_same_columns(store: Store, path: str) -> None:
    empty = optbench.load(path)
    store.add([result()], HERE)
    full = optbench.load(path)
    for name in COLUMNS:
        before, after = getattr(empty, name), getattr(full, name)
        assert before.empty
        assert list(before.columns) == list(after.columns)
    for number in ("final_gap", "steps_to_target", "seconds_per_step", "state_bytes"):
        assert empty.runs[number].dtype == np.float64


def test_figures_keep_their_type_where_all_runs_failed(store: Store) -> None:
    store.add([Result(run(), Status.FAILED, error="no")], HERE)
    frame = store.runs()
    for number in ("initial_gap", "final_gap", "steps_to_target", "state_bytes"):
        assert frame[number].dtype == np.float64
    assert frame["default"].dtype == bool


# What is in a file is data.
