"""The median of ratios: its interval keeps its level, whatever the ratios are like."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from optbench.analysis.paired import MARGIN, MedianRatio, median_ratio, pairs_needed

FIXED = settings(deadline=None, derandomize=True, database=None)

RATIOS = st.lists(
    st.one_of(st.floats(2**-20, 2**20), st.sampled_from([0.0, 1.0, math.inf])),
    min_size=1,
    max_size=40,
)
LEVELS = st.sampled_from([0.2, 0.05, 0.01, 0.001])


def same_number(one: float, other: float) -> bool:
    return one == other or (math.isnan(one) and math.isnan(other)) or math.isclose(one, other)


def outside(n: int, k: int) -> float:
    """The chance that a median lies outside of the k-th values from either end."""
    return 2 * sum(math.comb(n, i) for i in range(k)) / 2**n


# The interval.


@pytest.mark.parametrize("alpha", [0.3, 0.05, 0.01, 0.05 / 60, 1e-6])
def test_the_interval_is_the_shortest_of_order_statistics_that_keeps_the_level(
    alpha: float,
) -> None:
    for n in range(1, 65):
        found = median_ratio([float(i) for i in range(1, n + 1)], alpha)
        k = max((k for k in range(n // 2 + 1) if outside(n, k) <= alpha), default=0)
        expected = (float(k), float(n + 1 - k)) if k else (0.0, math.inf)
        assert (found.low, found.high) == expected, n
        assert found.pairs == n


@pytest.mark.parametrize(("n", "alpha", "censored"), [(12, 0.05, 0.0), (9, 0.2, 0.3), (31, 0.1, 0)])
def test_the_interval_covers_the_true_median_at_least_at_its_level(
    n: int, alpha: float, censored: float
) -> None:
    """Skewed ratios whose median is 1.3; censoring falls on either side of it."""
    generator = np.random.default_rng(7)
    times, covered = 1000, 0
    for _ in range(times):
        ratios = 1.3 * np.expm1(generator.exponential(size=n)) / np.expm1(math.log(2))
        cut = generator.random(n) < censored
        ratios = np.where(cut, np.where(ratios > 1.3, np.inf, 0.0), ratios)
        found = median_ratio(ratios.tolist(), alpha)
        covered += found.low <= 1.3 <= found.high
    share = covered / times
    assert share >= 1 - alpha - 3 * math.sqrt(alpha * (1 - alpha) / times)
    # Nor is it bought by an interval of any width: what it is exactly is known.
    k = max(k for k in range(n // 2 + 1) if outside(n, k) <= alpha)
    assert share == pytest.approx(1 - outside(n, k), abs=4 * math.sqrt(0.25 / times))


@FIXED
@given(ratios=RATIOS, alpha=LEVELS, power=st.integers(-30, 30))
def test_scaling_the_ratios_scales_the_interval(
    ratios: list[float], alpha: float, power: int
) -> None:
    # Half of them censored on either side, and nothing between, have no median but by convention.
    assume(any(0 < r < math.inf for r in ratios) or len(set(ratios)) == 1)
    one, other = (median_ratio([c * r for r in ratios], alpha) for c in (1.0, 2.0**power))
    assert (other.low, other.high) == (one.low * 2.0**power, one.high * 2.0**power)
    assert same_number(other.ratio, one.ratio * 2.0**power)


@FIXED
@given(ratios=RATIOS, alpha=LEVELS)
def test_exchanging_the_sides_mirrors_the_interval(ratios: list[float], alpha: float) -> None:
    def inverse(x: float) -> float:
        return math.inf if x == 0 else 1 / x

    one = median_ratio(ratios, alpha)
    other = median_ratio([inverse(r) for r in ratios], alpha)
    assert same_number(other.low, inverse(one.high))
    assert same_number(other.high, inverse(one.low))
    assert same_number(other.ratio, inverse(one.ratio))


@FIXED
@given(ratios=RATIOS, alpha=LEVELS, random=st.randoms(use_true_random=False))
def test_the_order_of_pairs_does_not_matter(ratios: list[float], alpha: float, random) -> None:
    shuffled = random.sample(ratios, len(ratios))
    one, other = median_ratio(ratios, alpha), median_ratio(shuffled, alpha)
    assert repr(one) == repr(other)


@FIXED
@given(ratios=RATIOS, alpha=LEVELS)
def test_the_median_lies_in_its_interval(ratios: list[float], alpha: float) -> None:
    found = median_ratio(ratios, alpha)
    if not math.isnan(found.ratio):
        near = 1e-12 * found.ratio if math.isfinite(found.ratio) else 0.0
        assert found.low <= found.ratio + near
        assert found.ratio - near <= found.high
    assert found.high >= found.low


@FIXED
@given(ratios=RATIOS)
def test_a_stricter_level_never_gives_a_shorter_interval(ratios: list[float]) -> None:
    narrow, wide = median_ratio(ratios, 0.2), median_ratio(ratios, 0.01)
    assert wide.low <= narrow.low <= narrow.high <= wide.high


def test_who_does_not_arrive_counts_as_infinite_and_not_as_missing() -> None:
    assert median_ratio([1.0] * 5 + [math.inf] * 8, 0.05).ratio == math.inf
    assert median_ratio([0.0] * 8 + [1.0] * 5, 0.05).ratio == 0.0
    every = median_ratio([math.inf] * 12, 0.001)
    assert (every.low, every.ratio, every.high) == (math.inf,) * 3
    none = median_ratio([0.0] * 12, 0.001)
    assert (none.low, none.ratio, none.high) == (0.0,) * 3
    some = median_ratio([2.0] * 11 + [math.inf], 0.05)
    assert (some.low, some.ratio, some.high) == (2.0, 2.0, 2.0)


def test_nothing_is_warned_of() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        median_ratio([0.0, 0.0, 1.0, math.inf], 0.05)
        median_ratio([], 0.05)


@pytest.mark.parametrize("each", [1, 6])
def test_pairs_censored_half_on_either_side_still_have_a_median(each: int) -> None:
    found = median_ratio([0.0] * each + [math.inf] * each, 0.05)
    assert (found.low, found.high) == (0.0, math.inf)
    assert not math.isnan(found.ratio)


@pytest.mark.parametrize("alpha", [0.05, 0.01, 0.001])
def test_with_too_few_pairs_for_the_level_anything_is_possible(alpha: float) -> None:
    enough = math.ceil(1 - math.log2(alpha))
    few, many = (median_ratio([3.0] * n, alpha) for n in (enough - 1, enough))
    assert (few.low, few.ratio, few.high) == (0.0, pytest.approx(3.0), math.inf)
    assert (many.low, many.high) == (3.0, 3.0)


def test_no_pairs_say_nothing() -> None:
    assert median_ratio([], 0.05) == MedianRatio(1.0, 0.0, math.inf, 0)
    assert not median_ratio([], 0.05).within(1e9)


def test_an_even_number_has_the_geometric_mean_of_the_middle_two() -> None:
    assert median_ratio([1.0, 2.0, 8.0, 9.0], 0.05).ratio == pytest.approx(4.0)


@pytest.mark.parametrize(
    ("low", "high", "within"),
    [
        (1.0, 1.0, True),
        (20 / 21, 21 / 20, True),
        (0.94, 1.0, False),
        (1.0, 1.06, False),
        (0.0, math.inf, False),
        (1.2, 1.3, False),
        # A ratio of 0.95 is further from one than one of 1.05: the margin is on the ratio.
        (0.95, 1.0, False),
    ],
)
def test_within_a_margin_is_meant_both_ways(low: float, high: float, within: bool) -> None:
    assert MedianRatio(1.0, low, high, 20).within(MARGIN) is within


# How many more.


def log_normal(n: int, median: float, spread: float) -> list[float]:
    """Ratios at the quantiles of a distribution: as typical as a sample can be."""
    return (median * np.exp(spread * norm.ppf((np.arange(n) + 0.5) / n))).tolist()


@pytest.mark.parametrize("median", [1.0, 1.02, 1.3])
def test_more_spread_needs_more_pairs(median: float) -> None:
    needed = [pairs_needed(log_normal(101, median, s), 0.001) for s in (0.02, 0.2, 0.4, 0.8)]
    assert all(needed)
    assert needed == sorted(needed)  # type: ignore[type-var]
    assert needed[3] == pytest.approx(4 * needed[2], rel=0.02)  # type: ignore[operator]


def test_a_stricter_level_and_a_smaller_effect_need_more_pairs() -> None:
    levels = [pairs_needed(log_normal(101, 1.3, 0.4), a) for a in (0.05, 0.01, 0.001)]
    assert levels == sorted(set(levels))  # type: ignore[type-var]
    effects = [pairs_needed(log_normal(101, m, 0.8), 0.01) for m in (2.0, 1.5, 1.2)]
    assert effects == sorted(set(effects))  # type: ignore[type-var]


@FIXED
@given(alpha=LEVELS)
def test_never_fewer_pairs_than_the_level_asks_for(alpha: float) -> None:
    needed = pairs_needed([1.0] * 5, alpha)
    assert needed is not None
    assert median_ratio([1.3] * needed, alpha).low == 1.3
    assert median_ratio([1.3] * (needed - 1), alpha).low == 0.0


@pytest.mark.parametrize(
    "ratios",
    [[], [1.1, 1.2], [1.1] * 2 + [math.inf] * 2, [1.1] * 3 + [0.0] * 5, [math.inf] * 12],
)
def test_of_too_little_it_is_not_known_how_many(ratios: list[float]) -> None:
    assert pairs_needed(ratios, 0.05) is None


@pytest.mark.parametrize(("median", "spread"), [(1.3, 0.4), (1.0, 0.15), (0.8, 0.5)])
def test_so_many_pairs_do_settle_it_about(median: float, spread: float) -> None:
    """With a third of them it is mostly open; with three times as many it is settled."""
    alpha = 0.01
    needed = pairs_needed(log_normal(2001, median, spread), alpha)
    assert needed is not None
    generator = np.random.default_rng(3)

    def settled(n: int) -> float:
        count = 0
        for _ in range(100):
            ratios = median * np.exp(spread * generator.normal(size=n))
            found = median_ratio(ratios.tolist(), alpha)
            count += found.within(MARGIN) or found.low > 1 or found.high < 1
        return count / 100

    assert settled(needed // 3) < 0.35
    assert settled(3 * needed) > 0.9
