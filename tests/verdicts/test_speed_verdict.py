"""Times of two sides that took turns: slow rounds fool nobody, slower steps are found."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optbench.verdicts.comparison import AtSize, SpeedVerdict, StepWork
from optbench.verdicts.speed import ALPHA, SAME, judge_counts, judge_times

FIXED = settings(deadline=None, derandomize=True, database=None)

SAMENESS = (SpeedVerdict.SAME, SpeedVerdict.INCONCLUSIVE)


def noisy(generator: np.random.Generator, rounds: int, seconds: float = 1e-3) -> np.ndarray:
    """A few percent of noise; now and then a round is three times slower, on this side only."""
    times = seconds * np.exp(0.04 * np.abs(generator.normal(size=rounds)))
    return np.where(generator.random(rounds) < 0.15, 3 * times, times)


@pytest.mark.parametrize("rounds", [16, 64])
def test_of_the_same_code_heavy_tails_make_no_verdict(rounds: int) -> None:
    generator = np.random.default_rng(11)
    verdicts = [
        judge_times(10_000, noisy(generator, rounds), noisy(generator, rounds)).verdict
        for _ in range(200)
    ]
    assert sum(each not in SAMENESS for each in verdicts) <= 2
    if rounds == 64:
        assert verdicts.count(SpeedVerdict.SAME) > 150


@pytest.mark.parametrize(
    ("factor", "verdict"), [(1.3, SpeedVerdict.SLOWER), (1 / 1.3, SpeedVerdict.FASTER)]
)
def test_a_third_more_or_less_is_found_through_the_same_noise(
    factor: float, verdict: SpeedVerdict
) -> None:
    generator = np.random.default_rng(12)
    every = [
        judge_times(10_000, noisy(generator, 64), factor * noisy(generator, 64)) for _ in range(40)
    ]
    assert {each.verdict for each in every} == {verdict}
    assert sum(each.low <= factor <= each.high for each in every) >= 38
    assert np.mean([each.ratio for each in every]) == pytest.approx(factor, rel=0.02)


def test_too_few_rounds_are_inconclusive_however_clear_they_look() -> None:
    enough = math.ceil(1 - math.log2(ALPHA))
    for rounds in (1, 2, enough - 1):
        found = judge_times(10_000, [1.0] * rounds, [10.0] * rounds)
        assert found.verdict is SpeedVerdict.INCONCLUSIVE
        assert (found.low, found.high, found.rounds) == (0.0, math.inf, rounds)
        assert judge_times(1, [1.0] * rounds, [1.0] * rounds).verdict is SpeedVerdict.INCONCLUSIVE
    assert judge_times(1, [1.0] * enough, [10.0] * enough).verdict is SpeedVerdict.SLOWER


@pytest.mark.parametrize(
    ("factor", "verdict"),
    [
        (1.0, SpeedVerdict.SAME),
        (1.09, SpeedVerdict.SAME),
        (0.92, SpeedVerdict.SAME),
        (1.11, SpeedVerdict.SLOWER),
        (0.9, SpeedVerdict.FASTER),
    ],
)
def test_what_is_within_a_tenth_is_the_same(factor: float, verdict: SpeedVerdict) -> None:
    assert SAME == 0.1
    assert judge_times(1, [2.0] * 16, [2.0 * factor] * 16).verdict is verdict


def test_a_median_beyond_a_tenth_is_not_enough_where_the_interval_touches_one() -> None:
    head = [1.0] * 7 + [1.5] * 9
    found = judge_times(1, [1.0] * 16, head)
    assert found.ratio == 1.5
    assert found.verdict is SpeedVerdict.INCONCLUSIVE


@FIXED
@given(
    pairs=st.lists(st.tuples(st.floats(1e-6, 1.0), st.floats(1e-6, 1.0)), min_size=1, max_size=30)
)
def test_exchanging_the_sides_exchanges_slower_and_faster(pairs: list[tuple[float, float]]) -> None:
    base, head = map(list, zip(*pairs, strict=True))
    one, other = judge_times(5, base, head), judge_times(5, head, base)
    mirror = {SpeedVerdict.SLOWER: SpeedVerdict.FASTER, SpeedVerdict.FASTER: SpeedVerdict.SLOWER}
    limits = (1 + SAME, 1 + SAME / 2, 1 / (1 + SAME), 1 / (1 + SAME / 2))
    bounds = (one.low, one.ratio, one.high)
    if not any(math.isclose(bound, limit) for bound in bounds for limit in limits):
        assert other.verdict is mirror.get(one.verdict, one.verdict)
    assert other.ratio == pytest.approx(1 / one.ratio)
    assert other.seconds == one.seconds[::-1]


@FIXED
@given(unit=st.sampled_from([1e-9, 1e-3, 1e3]))
def test_the_unit_of_time_does_not_matter(unit: float) -> None:
    generator = np.random.default_rng(1)
    base, head = noisy(generator, 32), 1.2 * noisy(generator, 32)
    one, other = judge_times(5, base, head), judge_times(5, base * unit, head * unit)
    assert other.verdict is one.verdict
    assert (other.low, other.high) == (pytest.approx(one.low), pytest.approx(one.high))


def test_rounds_are_paired() -> None:
    """What drifts by a factor of 100 falls on both: only the ratio within a round counts."""
    drift = np.geomspace(1e-4, 1e-2, 32)
    assert judge_times(5, drift, 1.2 * drift).verdict is SpeedVerdict.SLOWER
    assert judge_times(5, drift, drift).verdict is SpeedVerdict.SAME


def test_the_seconds_told_are_the_medians_of_each_side() -> None:
    found = judge_times(10_000, [1.0, 2.0, 9.0], [3.0, 4.0, 5.0])
    assert found.seconds == (2.0, 4.0)
    assert found.parameters == 10_000


# Counts of work.


def work(operations: float, calls: float = 100.0, size: float = 8.0, **more: float) -> StepWork:
    """Work of ``update``, and tensor operations of other functions, by name."""
    others = {name: (count, 8.0, 10.0) for name, count in more.items()}
    return StepWork({"update": (operations, size, calls), **others}, f"{operations} {more}")


@pytest.mark.parametrize(
    ("base", "head", "verdict"),
    [
        (work(100, calls=0), work(111, calls=0), SpeedVerdict.SLOWER),
        (work(100, calls=0), work(110, calls=0), SpeedVerdict.INCONCLUSIVE),
        (work(98), work(98, calls=700), SpeedVerdict.SLOWER),
        (work(98), work(98, calls=600), SpeedVerdict.INCONCLUSIVE),
        # Fewer operations by many more calls.
        (work(100), work(95, calls=500), SpeedVerdict.INCONCLUSIVE),
        (work(0, calls=0), work(1, calls=0), SpeedVerdict.SLOWER),
        (work(100), work(100), SpeedVerdict.SAME),
        (work(100), work(100, size=9), SpeedVerdict.INCONCLUSIVE),
        (work(100), StepWork(work(100).functions, "another order"), SpeedVerdict.INCONCLUSIVE),
        (work(100), StepWork({"renamed": (100, 8, 100)}, "100 {}"), SpeedVerdict.INCONCLUSIVE),
    ],
)
def test_counts_decide_beyond_a_share(
    base: StepWork, head: StepWork, verdict: SpeedVerdict
) -> None:
    assert judge_counts(base, head)[0] is verdict
    mirror = {SpeedVerdict.SLOWER: SpeedVerdict.FASTER}
    assert judge_counts(head, base)[0] is mirror.get(verdict, verdict)


@pytest.mark.parametrize(
    ("timed", "same"),
    [
        ([], False),
        ([("same", 1.0)], True),
        ([("same", 1.0), ("inconclusive", 1.09), ("inconclusive", 0.92)], True),
        ([("same", 1.0), ("inconclusive", 1.11)], False),
        ([("same", 1.0), ("inconclusive", 0.9)], False),
        ([("inconclusive", 1.0), ("same", 1.0)], False),
    ],
)
def test_calls_that_take_no_time_leave_the_same_operations_the_same(
    timed: list[tuple[str, float]], same: bool
) -> None:
    sizes = [
        AtSize(1, SpeedVerdict(word), ratio, 0.5, 2.0, (1.0, ratio), 16) for word, ratio in timed
    ]
    base, head = work(100), work(100, calls=120)
    verdict = SpeedVerdict.SAME if same else SpeedVerdict.INCONCLUSIVE
    assert judge_counts(base, head, sizes)[0] is verdict
    other = StepWork(head.functions, "another order")
    assert judge_counts(base, other, sizes)[0] is SpeedVerdict.INCONCLUSIVE


def test_the_functions_that_grew_most_are_named() -> None:
    base = work(100, a=5, b=5, c=5, d=5, gone=50)
    head = work(90, a=6, b=9, c=7, d=5, new=2)
    counted = judge_counts(base, head)[1]
    assert [each.function for each in counted.dearer] == ["b", "c", "new"]
    assert counted.dearer[0].operations == (5, 9)
    assert counted.dearer[2].operations == (0, 2)
    assert counted.operations == (170, 119)
    assert judge_counts(base, base)[1].dearer == ()


def test_where_no_operation_was_added_bytes_name_the_function_and_else_calls() -> None:
    one = judge_counts(work(5), work(5, calls=120, size=16))[1].dearer
    assert [each.bytes for each in one] == [(8, 16)]
    (other,) = judge_counts(work(5), work(5, calls=120))[1].dearer
    assert other.calls == (100, 120)
