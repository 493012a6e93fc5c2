"""From a trajectory to results: hits, the end of a record, and what is kept of it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optbench.engine.lanes import Trajectory
from optbench.engine.outcome import NEVER_MOVED, hits, results
from optbench.engine.runs import DIVERGENCE, Result, Run, Status
from optbench.engine.schedule import log_schedule

NAN, INF = float("nan"), float("inf")


def run(seed: int = 0, budget: int = 100) -> Run:
    return Run("adam", (("lr", 0.1),), "quadratic", 1, "none", seed, budget)


def outcome(
    *lanes: Sequence[float],
    steps: Sequence[int] | None = None,
    targets: Sequence[float] = (0.5, 0.1),
    budget: int | None = None,
    logged: Sequence[int] = (),
    unmoved: Sequence[bool] | None = None,
) -> list[Result]:
    gaps = np.array(lanes, dtype=float).T
    at = np.arange(len(gaps)) if steps is None else np.array(steps)
    budget = int(at[-1]) if budget is None else budget
    metric = np.stack([np.array(logged, dtype=float) + 100 * k for k in range(len(lanes))], axis=1)
    trajectory = Trajectory(
        at,
        gaps,
        np.array(logged, dtype=np.int64),
        {"metric": metric} if len(logged) else {},
        {},
        np.array(unmoved or [False] * len(lanes)),
    )
    runs = [run(seed, budget) for seed in range(len(lanes))]
    return results(runs, trajectory, targets, 1)


@pytest.mark.parametrize(
    ("gaps", "expected"),
    [
        ([8, 4, 2, 1], (10, 20, 30)),
        ([8, 4.001, 2, 1], (20, 20, 30)),
        ([8, 9, 8, 8], (None, None, None)),
        ([8, 1, 8, 8], (10, 10, 10)),
        ([8, 4, 5, 2], (10, 30, None)),
        ([8, 0, 8, 0], (10, 10, 10)),
        ([8, -1e-9, 8, 0], (10, 10, 10)),
        ([8, NAN, 4, 2], (20, 30, None)),
        ([0, 0, 0, 0], (None, None, None)),
        ([-1, -2, -3, -4], (None, None, None)),
        ([NAN, 1, 1, 1], (None, None, None)),
        ([INF, 1, 1, 1], (None, None, None)),
    ],
)
def test_a_hit_is_the_first_observed_step_at_or_below_the_relative_gap(
    gaps: list[float], expected: tuple[int | None, ...]
) -> None:
    found = hits(np.array([0, 10, 20, 30]), np.array(gaps, dtype=float), (0.5, 0.25, 0.125))
    assert found == expected
    assert all(step is None or type(step) is int for step in found)


@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@given(
    gaps=st.lists(st.floats(1e-6, 10) | st.just(NAN), min_size=1, max_size=30),
    first=st.floats(0.1, 10),
    targets=st.lists(st.floats(1e-5, 2), min_size=1, max_size=5),
)
def test_hits_are_what_a_plain_search_finds(
    gaps: list[float], first: float, targets: list[float]
) -> None:
    series = np.array([first, *gaps])
    steps = np.arange(len(series)) * 7
    for target, found in zip(targets, hits(steps, series, targets), strict=True):
        plain = [int(s) for s, gap in zip(steps, series, strict=True) if gap / first <= target]
        assert found == (plain[0] if plain else None)


@pytest.mark.parametrize("bad", [INF, NAN, -INF, 8 * DIVERGENCE * 1.01])
def test_a_diverged_lane_ends_with_the_observation_that_shows_it(bad: float) -> None:
    (one, other) = outcome([8, 5, bad, 1, 0], [8, 7, 6, 5, 0.5])
    assert one.status is Status.DIVERGED
    assert one.steps == 2
    assert repr(one.final_gap) == repr(bad)
    assert one.hits == (None, None), "neither at nor after the divergence"
    assert one.traces["gap"].steps.tolist() == [0, 1, 2]
    assert other.status is Status.OK
    assert other.steps == 4
    assert other.hits == (4, 4)


def test_a_hit_before_the_divergence_counts() -> None:
    (one,) = outcome([8, 3, INF, 0])
    assert one.status is Status.DIVERGED
    assert one.hits == (1, None)


def test_a_gap_of_the_limit_itself_has_not_diverged() -> None:
    (one,) = outcome([8, 8 * DIVERGENCE, 3])
    assert one.status is Status.OK
    assert one.hits == (2, None)


def test_a_start_that_is_no_number_has_diverged_at_once() -> None:
    (one,) = outcome([NAN, 1, 1])
    assert (one.status, one.steps, one.hits) == (Status.DIVERGED, 0, (None, None))
    assert one.traces["gap"].steps.tolist() == [0]


def test_the_initial_and_the_final_gap_are_the_records_ends() -> None:
    (one,) = outcome([8, 9, 3])
    assert (one.initial_gap, one.final_gap) == (8.0, 3.0)


def test_a_trace_keeps_to_the_schedule_and_to_the_lane() -> None:
    gaps = np.linspace(10, 1, 1001)
    one, other = outcome(gaps.tolist(), (2 * gaps).tolist(), logged=[0, 10, 1000])
    kept = one.traces["gap"]
    assert kept.steps.tolist() == log_schedule(1000).tolist()
    np.testing.assert_array_equal(kept.values, gaps[kept.steps].astype(np.float32))
    np.testing.assert_array_equal(other.traces["gap"].values, 2 * kept.values)
    assert kept.steps.dtype == np.int32
    assert kept.values.dtype == np.float32
    assert one.traces["metric"].steps.tolist() == [0, 10, 1000]
    assert one.traces["metric"].values.tolist() == [0, 10, 1000]
    assert other.traces["metric"].values.tolist() == [100, 110, 1100]


def test_traces_end_with_the_divergence() -> None:
    gaps = [10.0] * 600 + [INF] + [1.0] * 400
    (one,) = outcome(gaps, logged=[0, 100, 599, 700, 1000])
    assert one.traces["gap"].steps[-1] == 600
    assert one.traces["gap"].values[-1] == INF
    assert one.traces["metric"].steps.tolist() == [0, 100, 599]


def test_where_a_step_costs_several_evaluations_the_last_known_value_is_kept() -> None:
    (one,) = outcome([9, 8, 7, 6], steps=[0, 4, 8, 10], budget=10)
    assert one.traces["gap"].steps.tolist() == [0, 4, 8, 10]
    assert one.traces["gap"].values.tolist() == [9, 8, 7, 6]
    assert one.steps == 10


def test_a_lane_that_never_moved_is_named_unless_it_diverged() -> None:
    still, lost, fine = outcome([8, 8], [8, NAN], [8, 4], unmoved=[True, True, False])
    assert (still.status, still.error) == (Status.UNMOVED, NEVER_MOVED)
    assert (lost.status, lost.error) == (Status.DIVERGED, None)
    assert (fine.status, fine.error) == (Status.OK, None)
