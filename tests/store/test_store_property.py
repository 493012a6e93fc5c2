"""Whatever is added in whatever order, a store answers as a dictionary would."""

from __future__ import annotations

import math
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from optbench.engine.environment import Environment
from optbench.engine.runs import Result, Run, Status, Trace, frozen
from optbench.problems import PROBLEMS
from optbench.store import Store

environments = st.builds(
    Environment,
    cpu=st.sampled_from(["A CPU", "Another CPU"]), cores=st.just(2), threads=st.just(1),
    os=st.just("Linux"), python=st.just("3.11.9"), torch=st.just("2.13.0"),
    numpy=st.just("2.4.6"), optbench=st.just("0.1.0"), device=st.just("cpu"),
    commit=st.sampled_from(["abc1234", None]), dirty=st.sampled_from([True, False, None]),
)  # fmt: skip

runs = st.builds(
    lambda optimizer, problem, lr, seed: Run(
        optimizer, frozen({"lr": lr}), problem, PROBLEMS[problem].version, PROBLEMS[problem].data,
        seed, 50,
    ),
    st.sampled_from(["sgd", "adam"]),
    st.sampled_from(["quadratic", "beale"]),
    st.sampled_from([1e-3, 0.1]),
    st.integers(0, 2),
)  # fmt: skip

numbers = st.floats(width=32)
traces = st.lists(numbers, max_size=4).map(
    lambda values: Trace(np.arange(len(values), dtype=np.int32), np.array(values, dtype=np.float32))
)


@st.composite
def results(draw: st.DrawFn) -> Result:
    of = draw(runs)
    count = len(PROBLEMS[of.problem].targets)
    hits = draw(st.lists(st.none() | st.integers(0, 50), min_size=count, max_size=count))
    return Result(
        of,
        draw(st.sampled_from(Status)),
        error=draw(st.none() | st.text(max_size=10).filter(lambda words: "\x00" not in words)),
        steps=draw(st.integers(0, 50)),
        initial_gap=draw(st.none() | st.floats()),
        final_gap=draw(st.none() | st.floats()),
        hits=draw(st.sampled_from([(), tuple(hits)])),
        traces=draw(st.dictionaries(st.sampled_from(["gap", "x0"]), traces, max_size=2)),
        state_bytes=draw(st.none() | st.integers(0, 2**40)),
    )


def same(one: float | None, other: float | None) -> bool:
    one, other = (math.nan if each is None else float(each) for each in (one, other))
    return one == other or (math.isnan(one) and math.isnan(other))


class StoreIsADictionary(RuleBasedStateMachine):
    """Against a dict of run to result, in batches, with failures and reopenings between."""

    @initialize()
    def begin(self) -> None:
        self.folder = tempfile.mkdtemp()
        self.path = str(Path(self.folder) / "results.sqlite")
        self.store = Store(self.path, create=True)
        self.model: dict[Run, Result] = {}

    @rule(batch=st.lists(results(), max_size=5), environment=environments)
    def add(self, batch: list[Result], environment: Environment) -> None:
        self.store.add(batch, environment)
        self.model.update((result.run, result) for result in batch)

    @precondition(lambda self: self.model)
    @rule(batch=st.lists(results(), min_size=1, max_size=3), environment=environments)
    def add_in_vain(self, batch: list[Result], environment: Environment) -> None:
        # Its row is written, and then its trace cannot be.
        broken = replace(batch[0], run=replace(batch[0].run, seed=99), traces={"gap": None})
        try:
            self.store.add([*batch, broken], environment)
        except AttributeError:
            return
        raise AssertionError("a trace that is none was kept")

    @rule()
    def reopen(self) -> None:
        self.store.close()
        self.store = Store(self.path)

    @rule(wanted=st.lists(runs, max_size=6, unique=True))
    def ask_what_is_missing(self, wanted: list[Run]) -> None:
        there = {r for r, found in self.model.items() if found.status is not Status.FAILED}
        assert self.store.missing(wanted) == [r for r in wanted if r not in there]

    @invariant()
    def each_run_is_there_once_with_its_last_result(self) -> None:
        frame = self.store.runs()
        assert self.store.count() == len(frame) == len(self.model)
        assert list(frame["optimizer"]) == sorted(frame["optimizer"])
        by_run = dict(list(self.store.traces().groupby("run")))
        targets = dict(list(self.store.targets().groupby("run")))
        for row in frame.itertuples():
            of = Run(
                row.optimizer, frozen({"lr": row.lr}), row.problem, row.problem_version, row.data,
                row.seed, row.budget,
            )  # fmt: skip
            told = self.model[of]
            # Text in the frame is None or, beside texts, NaN where there is none.
            assert (row.error if isinstance(row.error, str) else None) == told.error
            assert (row.status, row.steps) == (told.status, told.steps)
            assert same(row.initial_gap, told.initial_gap)
            assert same(row.final_gap, told.final_gap)
            assert same(row.state_bytes, told.state_bytes)
            self._traces_are(told, by_run.get(row.run))
            reached = targets.pop(row.run)["step"].tolist() if told.hits else []
            assert len(reached) == len(told.hits)
            assert all(map(same, reached, told.hits))
        assert not targets

    def _traces_are(self, told: Result, frame: object) -> None:
        kept = {name: trace for name, trace in told.traces.items() if len(trace.steps)}
        if not kept:
            assert frame is None
            return
        assert set(frame["metric"]) == set(kept)
        for metric, trace in kept.items():
            one = frame[frame["metric"] == metric]
            np.testing.assert_array_equal(one["step"], trace.steps)
            np.testing.assert_array_equal(one["value"].astype(np.float32), trace.values)

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.store.close()
            shutil.rmtree(self.folder)


StoreIsADictionary.TestCase.settings = settings(
    max_examples=12,
    stateful_step_count=12,
    deadline=None,
    derandomize=True,
    report_multiple_bugs=False,
)
TestStoreIsADictionary = StoreIsADictionary.TestCase
