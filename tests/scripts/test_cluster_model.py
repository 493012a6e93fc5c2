"""The laws of the model of a cluster, on cases that can be reckoned by hand."""

from __future__ import annotations

import math

import pytest
import simpy
from cluster_model import (
    LOOK_AGAIN_S,
    Cluster,
    Coordination,
    Load,
    Price,
    Processors,
    simulate,
    workers_at_the_limit,
)
from hypothesis import given, settings
from hypothesis import strategies as st

COORDINATION = Coordination(
    before=3.0,
    claim=Price(0.01, 0.001),
    hand_out=Price(0.02),
    take_back=Price(0.0, 0.002),
    keep=Price(0.03, 0.0005),
    refused=Price(0.005),
    server=0.25,
)

LOADS = st.lists(st.builds(Load, st.floats(0.01, 20), st.integers(1, 200)), min_size=1, max_size=25)


def equal(count: int, seconds: float = 10.0, runs: int = 100) -> list[Load]:
    return [Load(seconds, runs)] * count


@settings(max_examples=60, deadline=None)
@given(
    loads=LOADS,
    workers=st.integers(1, 9),
    share=st.integers(1, 4),
    divided=st.booleans(),
    failures=st.sampled_from([0.0, 30.0, 300.0]),
    latency=st.sampled_from([0.0, 0.001, 3.0]),
    seed=st.integers(0, 5),
)
def test_every_parcel_is_kept_once(
    loads: list[Load],
    workers: int,
    share: int,
    divided: bool,
    failures: float,
    latency: float,
    seed: int,
) -> None:
    cluster = Cluster(
        workers,
        2 * workers,
        start_s=1.0,
        latency_s=latency,
        failures_per_hour=failures,
        coordinators=min(share, workers),
        divided=divided,
    )
    outcome = simulate(loads, COORDINATION, cluster, seed)
    assert outcome.done == [1] * len(loads)
    assert outcome.work_s == pytest.approx(sum(load.seconds for load in loads))
    # Nobody does more than one thing at a time.
    assert outcome.workers_busy <= 1
    assert outcome.coordinators_busy <= 1
    assert outcome.wall_s >= max(load.seconds for load in loads)


def test_one_worker_takes_the_sum_of_the_parts() -> None:
    loads = [Load(5, 10), Load(3, 10), Load(2, 10)]
    outcome = simulate(loads, Coordination(before=7), Cluster(1, 2, start_s=1.5, per_parcel_s=0.1))
    assert outcome.wall_s == pytest.approx(7 + 1.5 + 10 + 0.3)


def test_with_nothing_ahead_a_worker_waits_for_its_coordinator() -> None:
    loads, outcome = equal(4), simulate(equal(4), COORDINATION, Cluster(1, 1, latency_s=0.25))
    # To the last parcel the coordinator and the worker wait for each other in turns.
    assert outcome.wall_s == pytest.approx(3 + sum(10 + 0.5 + COORDINATION.of(x) for x in loads))


def test_one_parcel_ahead_hides_the_coordinator() -> None:
    loads = equal(50)
    outcome = simulate(loads, COORDINATION, Cluster(1, 2, latency_s=0.1))
    assert outcome.wall_s == pytest.approx(3 + 500, abs=1.0)


def test_many_workers_come_to_the_coordinators_bound() -> None:
    loads = equal(2000)
    own = COORDINATION.of(loads[0])
    outcome = simulate(loads, COORDINATION, Cluster(4000, 8000))
    # Besides the parcels in its hands there is the first and the last one's work.
    assert outcome.wall_s == pytest.approx(3 + 2000 * own, rel=0.02)
    assert outcome.coordinators_busy > 0.98


def test_the_knee_is_where_the_formula_has_it() -> None:
    loads = equal(6000)
    limit = workers_at_the_limit(loads, COORDINATION)
    assert limit == pytest.approx(10 / 0.41)
    few, many = (
        simulate(loads, COORDINATION, Cluster(round(limit * factor), 2 * round(limit * factor)))
        for factor in (0.5, 2.0)
    )
    assert few.workers_busy > 0.97
    assert few.coordinators_busy == pytest.approx(0.5, abs=0.03)
    assert many.workers_busy == pytest.approx(0.5, abs=0.03)
    assert many.coordinators_busy > 0.97


def test_a_coordinator_without_costs_has_no_limit() -> None:
    assert workers_at_the_limit(equal(3), Coordination()) == math.inf


def test_a_lost_parcel_is_done_again() -> None:
    loads = equal(40, seconds=60)
    calm = simulate(loads, COORDINATION, Cluster(4, 8, start_s=5))
    rough = simulate(loads, COORDINATION, Cluster(4, 8, start_s=5, failures_per_hour=20), seed=1)
    assert calm.lost == 0
    # 2,400 seconds of work at 20 an hour: 13 are expected.
    assert 5 <= rough.lost <= 30
    assert rough.done == [1] * 40
    assert rough.wall_s > calm.wall_s


def test_two_coordinators_with_a_part_each_do_twice_as_much() -> None:
    loads = equal(2000)
    one = simulate(loads, COORDINATION, Cluster(400, 800, server_slots=64))
    two = simulate(
        loads, COORDINATION, Cluster(400, 800, coordinators=2, divided=True, server_slots=64)
    )
    assert (one.wall_s - 3) / (two.wall_s - 3) == pytest.approx(2, rel=0.03)


def test_coordinators_that_share_a_plan_ask_for_every_parcel() -> None:
    loads = equal(300)
    cluster = Cluster(60, 120, coordinators=3, server_slots=64)
    together = simulate(loads, COORDINATION, cluster)
    apart = simulate(loads, COORDINATION, Cluster(60, 120, coordinators=3, divided=True))
    refusals = (together.coordinators_s - apart.coordinators_s) / COORDINATION.refused.of(loads[0])
    # Each asks at least once for what the two others have; at the end again until it is done.
    assert refusals >= 600 - 1e-6
    assert refusals < 600 + 300 * 10 / LOOK_AGAIN_S


def test_a_server_of_one_slot_serializes_the_coordinators() -> None:
    only_server = Coordination(keep=Price(0.5), server=1.0)
    cluster = Cluster(40, 80, coordinators=4, divided=True, server_slots=1)
    outcome = simulate(equal(200, seconds=1), only_server, cluster)
    assert outcome.wall_s == pytest.approx(1 + 200 * 0.5, rel=0.03)


@pytest.mark.parametrize(("tasks", "number", "wall"), [(4, 2, 20.0), (2, 2, 10.0), (1, 2, 10.0)])
def test_processors_are_shared_in_equal_parts(tasks: int, number: float, wall: float) -> None:
    env = simpy.Environment()
    shared = Processors(env, number)
    env.run(until=simpy.AllOf(env, [shared.compute(10) for _ in range(tasks)]))
    assert env.now == pytest.approx(wall)


def test_one_who_comes_later_takes_a_part_of_what_is_left() -> None:
    env = simpy.Environment()
    shared, ends = Processors(env, 1), {}

    def task(name: str, begin: float, seconds: float):
        yield env.timeout(begin)
        yield shared.compute(seconds)
        ends[name] = env.now

    for arguments in (("long", 0, 10), ("short", 4, 2)):
        env.process(task(*arguments))
    env.run()
    # From 4 to 8 both have half; the long one has 4 of its 10 by 4, 6 by 8.
    assert ends == pytest.approx({"short": 8, "long": 12})


def test_four_workers_on_two_processors_take_the_time_of_two() -> None:
    loads = equal(40)
    four, two = (simulate(loads, Coordination(), Cluster(n, 2 * n, processors=2)) for n in (4, 2))
    assert four.wall_s == pytest.approx(two.wall_s)
