"""How runs are packed changes nothing but the time."""

from __future__ import annotations

import dataclasses
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optbench.engine.runs import Result, Run, canonical, frozen
from optbench.engine.work import Unit, max_lanes, perform
from optbench.optimizers import OPTIMIZERS, Route
from optbench.problems import PROBLEMS
from optbench.runner import packing
from optbench.runner.packing import (
    COST_S,
    PARCEL_S,
    TURNS,
    Pace,
    Parcel,
    estimated_cost,
    pack,
    parcels,
    trimmed,
)

RUNS = st.builds(
    lambda optimizer, lr, problem, seed, budget, dtype: Run(
        optimizer, (("lr", lr),), problem, 1, "none", seed, budget, dtype
    ),
    st.sampled_from(["adam", "sgd", "lbfgs", "torch.optim:SGD"]),
    st.sampled_from([0.1, 0.01, 0.001]),
    st.sampled_from(["quadratic", "rosenbrock-2d", "mnist-mlp"]),
    st.integers(0, 60),
    st.sampled_from([10, 20]),
    st.sampled_from(["float32", "float64"]),
)


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(st.lists(RUNS, max_size=150, unique=True))
def test_every_run_is_in_one_unit_with_its_like_and_units_are_not_too_large(
    runs: list[Run],
) -> None:
    units = pack(runs)
    assert Counter(run for unit in units for run in unit.runs) == Counter(runs)
    for unit in units:
        first = unit.runs[0]
        shared = {(r.optimizer, r.problem, r.budget, r.dtype, r.device) for r in unit.runs}
        assert len(shared) == 1
        optimizer, problem = OPTIMIZERS[first.optimizer], PROBLEMS[first.problem]
        assert 1 <= len(unit.runs) <= max_lanes(optimizer, problem) <= problem.max_lanes
        if optimizer.route is Route.INSTANCE:
            assert len(unit.runs) <= 8
        lanes = [canonical(run.settings) for run in unit.runs]
        assert lanes == sorted(lanes), "lanes of one setting stand together"
    costs = [estimated_cost(unit.runs) for unit in units]
    assert costs == sorted(costs, reverse=True), "the dearest first"
    assert [unit.expected_s for unit in units] == pytest.approx([COST_S * c for c in costs])
    assert all(cost > 0 for cost in costs)


@settings(max_examples=20, deadline=None, derandomize=True, database=None)
@given(st.lists(RUNS, max_size=60, unique=True), st.randoms(use_true_random=False))
def test_units_do_not_depend_on_the_order_of_the_runs(runs: list[Run], random: Any) -> None:
    shuffled = list(runs)
    random.shuffle(shuffled)
    assert {unit.runs for unit in pack(shuffled)} == {unit.runs for unit in pack(runs)}


SECONDS = st.dictionaries(
    st.tuples(
        st.sampled_from(["adam", "sgd", "lbfgs"]),
        st.sampled_from(["quadratic", "rosenbrock-2d", "mnist-mlp"]),
        st.sampled_from(["float32", "float64"]),
        st.just("cpu"),
    ),
    st.floats(1e-6, 1.0),
)


@settings(max_examples=40, deadline=None, derandomize=True, database=None)
@given(st.lists(RUNS, max_size=120, unique=True), SECONDS, st.integers(1, 64))
def test_every_run_is_in_one_parcel_and_parcels_are_about_as_long_as_they_should_be(
    runs: list[Run], measured: dict[tuple[str, str, str, str], float], workers: int
) -> None:
    units = pack(runs, Pace(measured))
    found = parcels(units, workers)
    assert Counter(run for parcel in found for run in parcel.runs) == Counter(runs)
    expected = [parcel.expected_s for parcel in found]
    assert expected == sorted(expected, reverse=True), "the longest first"
    enough = min(PARCEL_S, sum(expected) / (workers * TURNS))
    for parcel in found:
        shortest = min(unit.expected_s for unit in parcel.units)
        if len(parcel.units) > 1:
            assert parcel.expected_s - shortest < enough * (1 + 1e-9), "it was enough before"
        elif len(parcel.runs) > 1:
            assert parcel.expected_s <= 2.5 * PARCEL_S, "lanes that take long are split"
    short = [parcel for parcel in found if parcel.expected_s < enough * (1 - 1e-9)]
    assert len(short) <= 1, "only what is left over is shorter"


def test_what_was_measured_says_how_long_runs_take() -> None:
    runs = [Run("adam", (("lr", 0.1),), "quadratic", 1, "none", s, 100) for s in range(4)]
    pace = Pace({("adam", "quadratic", "float32", "cpu"): 0.01})
    (unit,) = pack(runs, pace)
    assert unit.expected_s == pytest.approx(4.0)
    slow = Pace({("adam", "quadratic", "float32", "cpu"): 0.1})
    assert [len(unit.runs) for unit in pack(runs, slow)] == [1, 1, 1, 1]
    # Another dtype is another measurement.
    other = Pace({("adam", "quadratic", "float64", "cpu"): 0.1})
    assert [len(unit.runs) for unit in pack(runs, other)] == [4]


def test_a_parcel_without_some_of_its_runs() -> None:
    runs = [Run("adam", (("lr", 0.1),), "quadratic", 1, "none", s, 100) for s in range(4)]
    parcel = Parcel((Unit(tuple(runs[:3])), Unit(tuple(runs[3:]), certify=True)))
    assert trimmed(parcel, {*runs}) == parcel
    assert trimmed(parcel, {runs[1]}) == Parcel((Unit((runs[1],)),))
    assert trimmed(parcel, {runs[3]}) == Parcel((Unit((runs[3],), certify=True),))
    assert trimmed(parcel, set()) is None


def test_nothing_makes_no_unit() -> None:
    assert pack([]) == []


def repeatable(result: Result) -> dict[str, str]:
    """All of a result but for its time."""
    found = {f.name: getattr(result, f.name) for f in dataclasses.fields(result)}
    del found["seconds_per_step"], found["seconds"]
    found["traces"] = {
        name: (trace.steps.tolist(), trace.values.tolist()) for name, trace in result.traces.items()
    }
    return {name: repr(value) for name, value in found.items()}


@pytest.mark.proof
@pytest.mark.parametrize(
    ("optimizer", "problem", "dtype"),
    [
        ("adam", "rosenbrock-2d", "float32"),
        ("adam", "noisy-quadratic", "float64"),
        ("nesterov", "network-2-3-1", "float32"),
        ("adafactor", "matrix-completion", "float32"),
        ("muon", "matrix-completion", "float64"),
        ("adam[fused]", "deep-tanh", "float32"),
        ("sparseadam", "sparse-logistic", "float64"),
        ("lbfgs", "beale", "float64"),
        ("sgd", "rosenbrock-2d", "float64"),
        ("torch.optim:RMSprop", "l1", "float32"),
    ],
)
def test_results_do_not_depend_on_how_runs_are_packed(
    monkeypatch: pytest.MonkeyPatch, optimizer: str, problem: str, dtype: str
) -> None:
    """Rates up to where lanes diverge, in units of all, of three and of one."""
    row, task = OPTIMIZERS[optimizer], PROBLEMS[problem]
    runs = [
        Run(optimizer, frozen({**row.defaults, "lr": lr}), problem, 1, task.data, s, 150, dtype)
        for lr in (float(row.defaults["lr"]), 0.02, 1.0)
        for s in (0, 1)
    ]
    seen = []
    for size in (6, 3, 1):
        monkeypatch.setattr(packing, "max_lanes", lambda *_, size=size: size)
        units = pack(runs)
        assert max(len(unit.runs) for unit in units) == size
        results = {r.run: repeatable(r) for unit in units for r in perform(unit)}
        assert results.keys() == {*runs}
        if optimizer == "lbfgs":
            # A history grows as the run goes; the bytes are those of the unit's first run.
            for result in results.values():
                del result["state_bytes"]
        seen.append(results)
    assert seen[0] == seen[1] == seen[2]


def test_a_unit_has_a_title_for_people() -> None:
    run = Run("adam", (("lr", 0.1),), "quadratic", 1, "none", 0, 10)
    assert Unit((run,)).title == "adam on quadratic"
