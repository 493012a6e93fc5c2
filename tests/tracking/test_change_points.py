"""Change points: planted steps are found where they are, and noise is not taken for one."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import t, ttest_ind

from optbench.tracking import change_points as room
from optbench.tracking.change_points import Step, change_points, without_spikes

FIXED = settings(deadline=None, derandomize=True, database=None, max_examples=60)


def noisy(levels: list[tuple[int, float]], noise: float = 0.02, seed: int = 1) -> list[float]:
    """A series of levels, each of so many points, in log-normal noise."""
    logs = np.concatenate([np.full(n, math.log(level)) for n, level in levels])
    logs += noise * np.random.default_rng(seed).normal(size=len(logs))
    return list(np.exp(logs).tolist())


ANY = st.lists(st.one_of(st.floats(1e-6, 1e6), st.sampled_from([1.0, 1.02, 2.0])), max_size=45)
LEVELS = st.builds(
    noisy,
    st.lists(
        st.tuples(st.integers(1, 15), st.sampled_from([0.5, 1.0, 1.04, 1.2, 3.0])),
        min_size=1,
        max_size=4,
    ),
    st.sampled_from([0.001, 0.02, 0.05]),
    st.integers(0, 2**31),
)
SECONDS = st.one_of(ANY, LEVELS)


def places(steps: tuple[Step, ...]) -> list[int]:
    return [step.index for step in steps]


# One step, two, none.


@pytest.mark.parametrize("seed", range(5))
def test_one_step_is_found_with_its_size(seed: int) -> None:
    (step,) = change_points(noisy([(20, 0.010), (20, 0.0125)], seed=seed))
    assert step.index == 20
    assert step.low < 1.25 < step.high
    assert step.high / step.low < 1.08
    assert step.earliest <= 20 <= step.latest
    assert step.p < 1e-10
    assert not step.recent


def test_the_numbers_of_a_step_are_those_of_the_formulas() -> None:
    # Alternating residuals are negatively correlated: no widening, and Welch's own numbers.
    before, after = [1.0, 1.01] * 8, [2.0, 2.04] * 6
    (step,) = change_points(before + after)
    logs = np.log(before), np.log(after)
    errors = [x.var(ddof=1) / len(x) for x in logs]
    freedom = sum(errors) ** 2 / (errors[0] ** 2 / 15 + errors[1] ** 2 / 11)
    assert step.ratio == pytest.approx(math.exp(logs[1].mean() - logs[0].mean()))
    assert step.p == pytest.approx(ttest_ind(*logs, equal_var=False).pvalue)
    reach = t.ppf(0.995, freedom) * math.sqrt(sum(errors))
    assert math.log(step.high / step.ratio) == pytest.approx(reach)
    assert math.log(step.ratio / step.low) == pytest.approx(reach)


@pytest.mark.parametrize("levels", [(1.0, 1.2, 1.5), (1.0, 1.2, 1.0), (1.0, 0.8, 1.1)])
def test_two_steps_are_told_apart(levels: tuple[float, float, float]) -> None:
    steps = change_points(noisy([(15, levels[0]), (12, levels[1]), (14, levels[2])]))
    assert places(steps) == [15, 27]
    for step, (before, after) in zip(steps, pairwise(levels), strict=True):
        assert step.low < after / before < step.high


def test_a_short_slowdown_in_a_long_history_is_two_steps() -> None:
    """Where a first split is judged on its own, its sides hardly differ and none is found."""
    steps = change_points(noisy([(30, 1.0), (8, 1.15), (30, 1.0)]))
    assert places(steps) == [30, 38]


@pytest.mark.parametrize("value", [1e-9, 1.0, 3e7])
def test_a_constant_series_has_none_and_a_constant_step_is_exact(value: float) -> None:
    assert change_points([value] * 40) == ()
    assert change_points([value] * 20 + [value * (1 + 1e-9)] * 3) == ()
    (step,) = change_points([value] * 20 + [value * 1.05] * 20)
    assert (step.index, step.earliest, step.latest) == (20, 20, 20)
    assert step.ratio == pytest.approx(1.05)


def test_what_is_less_than_three_percent_is_none_however_sure() -> None:
    assert change_points(noisy([(100, 1.0), (100, 1.02)], noise=0.005)) == ()
    assert places(change_points(noisy([(100, 1.0), (100, 1.04)], noise=0.005))) == [100]


def test_one_and_two_spikes_are_no_step_and_hide_none() -> None:
    values = noisy([(20, 1.0), (20, 1.1)])
    for spike in (4, 5, 13, 29, 36):
        values[spike] *= 1.8
    assert places(change_points(values)) == [20]
    assert change_points([*noisy([(20, 1.0)]), 1.6, 1.7]) == ()


def test_three_points_are_a_level_and_no_spike() -> None:
    logs = np.array([0.0] * 6 + [1.0] * 3 + [0.0] * 6)
    assert (without_spikes(logs) == logs).all()
    logs[7:9] = 0.0
    assert without_spikes(logs).max() == pytest.approx(4 * room.QUIET)


def test_correlated_noise_widens_the_error() -> None:
    """The same points, once in an order that wanders: mean, spread and place stay as they are."""
    generator = np.random.default_rng(3)
    logs = 0.02 * generator.normal(size=40)
    wander = np.concatenate([np.sort(logs[:20])[::-1], np.sort(logs[20:])])
    step = np.repeat([0.0, 0.3], 20)
    (white,), (drifting,) = (change_points(np.exp(x + step).tolist()) for x in (logs, wander))
    assert white.index == drifting.index == 20
    assert drifting.ratio == pytest.approx(white.ratio, rel=1e-3)
    assert drifting.high / drifting.low > (white.high / white.low) ** 1.5


def test_the_correlation_is_corrected_for_the_two_means() -> None:
    # Four up, four down, on either side.
    side = 0.02 * np.array([1.0, 1, 1, 1, -1, -1, -1, -1] * 2)
    logs = np.concatenate([side, side + 0.3])
    agreeing = sum(np.sign(a) == np.sign(b) for a, b in pairwise(side))
    seen = 2 * (agreeing - (15 - agreeing)) / 32
    r = (32 * seen + 2) / 29
    (step,) = change_points(np.exp(logs).tolist())
    error = math.sqrt(2 * side.var(ddof=1) / 16 * (1 + r) / (1 - r))
    assert step.index == 16
    assert math.log(step.high / step.ratio) == pytest.approx(t.ppf(0.995, 30) * error)


def test_the_place_is_the_likeliest_and_its_range_is_that_of_the_likelihood_ratio() -> None:
    widths = []
    for seed in range(60):
        values = noisy([(18, 1.0), (22, 1.05)], seed=seed)
        logs = without_spikes(np.log(values))
        squares = [
            sum(float(((x - x.mean()) ** 2).sum()) for x in (logs[:i], logs[i:]))
            for i in range(1, 40)
        ]
        steps = change_points(values)
        if len(steps) != 1 or steps[0].recent:
            continue
        (step,) = steps
        assert step.index == 5 + int(np.argmin(squares[4:35]))
        variance = squares[step.index - 1] / 38
        sides = logs[: step.index], logs[step.index :]
        widening = room._inflation(*sides)
        inside = [
            i
            for i, square in enumerate(squares, 1)
            if (1 - math.exp(-(square - squares[step.index - 1]) / variance / widening / 2)) ** 2
            <= 0.95
            or square < squares[step.index - 1]
        ]
        assert (step.earliest, step.latest) == (min(inside), max(inside))
        widths.append(step.latest - step.earliest)
    assert len(widths) >= 50
    assert max(widths) > 2


def test_the_split_is_that_of_the_largest_energy() -> None:
    """Against the definition, pair by pair."""

    def energy(left: np.ndarray, right: np.ndarray) -> float:
        def mean(x: np.ndarray, y: np.ndarray, pairs: float) -> float:
            return float(np.abs(x[:, None] - y[None, :]).sum()) / pairs

        n, m = len(left), len(right)
        within = mean(left, left, n * (n - 1)) + mean(right, right, m * (m - 1))
        return n * m / (n + m) * (2 * mean(left, right, n * m) - within)

    for seed in range(40):
        n = 10 + seed % 12
        logs = np.random.default_rng(seed).normal(size=n)
        logs[n // 2 : n // 2 + 3] += 2.0
        best = {
            cut: max(
                [energy(logs[:cut], logs[cut:end]) for end in range(cut + 5, n + 1)]
                + [energy(logs[start:cut], logs[cut:]) for start in range(cut - 4)]
            )
            for cut in range(5, n - 4)
        }
        assert room._split(logs) == max(best, key=lambda cut: best[cut])


def test_a_drift_of_some_percent_is_no_step() -> None:
    drift = np.exp(np.linspace(0.0, 0.04, 40)) * noisy([(40, 1.0)])
    assert change_points(drift.tolist()) == ()


# The recent step.


@pytest.mark.parametrize("noise", [0.02, 0.05])
def test_seven_and_three_points_name_the_eighth_commit(noise: float) -> None:
    series = [noisy([(7, 1.0), (3, 1.5)], noise, seed) for seed in range(40)]
    found = [change_points(values) for values in series]
    exact = [places(steps) == [7] and steps[0].recent for steps in found]
    assert sum(exact) >= 38
    assert all(step.low < step.ratio < step.high for steps in found for step in steps)


def test_a_recent_step_downwards_is_found_too() -> None:
    (step,) = change_points(noisy([(20, 1.5), (3, 1.0)]))
    assert (step.index, step.recent) == (20, True)
    assert step.ratio == pytest.approx(1 / 1.5, rel=0.05)


def test_a_recent_step_stays_found_while_points_are_added() -> None:
    values = noisy([(20, 1.0), (15, 1.3)])
    assert [places(change_points(values[:n])) for n in range(20, 36)] == [[]] * 3 + [[20]] * 13
    assert not change_points(values)[0].recent


def test_from_the_fifth_point_on_a_step_is_not_lost_for_want_of_freedom() -> None:
    """Welch's test alone finds two in three of these after five points."""
    series = [noisy([(20, 1.0), (5, 1.25)], noise=0.05, seed=seed) for seed in range(40)]
    found = [places(change_points(values)) == [20] for values in series]
    assert sum(found) >= 32


def test_a_spike_of_the_past_hides_no_recent_step() -> None:
    values = noisy([(20, 1.0), (3, 1.4)])
    values[8] *= 1.9
    assert places(change_points(values)) == [20]


def test_a_recent_step_does_not_blur_an_earlier_one() -> None:
    early, recent = change_points(noisy([(15, 1.0), (15, 1.1), (3, 2.0)]))
    assert (early.index, early.recent) == (15, False)
    assert early.ratio == pytest.approx(1.1, rel=0.02)
    assert (recent.index, recent.recent) == (30, True)
    assert recent.ratio == pytest.approx(2.0 / 1.1, rel=0.05)


def test_less_than_ten_percent_is_not_reported_of_three_points() -> None:
    assert change_points(noisy([(30, 1.0), (3, 1.08)], noise=0.005)) == ()
    assert places(change_points(noisy([(30, 1.0), (3, 1.12)], noise=0.005))) == [30]


def test_two_points_are_not_enough() -> None:
    assert change_points(noisy([(30, 1.0), (2, 3.0)])) == ()


def test_three_slow_points_that_scatter_are_spikes() -> None:
    quiet = noisy([(30, 1.0)])
    assert change_points([*quiet, 1.3, 1.9, 1.5]) == ()
    assert places(change_points([*quiet, 1.52, 1.49, 1.55])) == [30]


def test_recent_points_must_stand_clear_of_the_whole_level() -> None:
    quiet = noisy([(100, 1.0)])
    slow = [1.17, 1.18, 1.19]
    assert places(change_points(quiet + slow)) == [100]
    # Three points of long ago as high as the new ones: the machine has done that before.
    for before, expected in ((1.15, [103]), (1.20, [])):
        values = [*quiet[:50], *[before] * 3, *quiet[50:], *slow]
        assert places(change_points(values)) == expected


def test_recent_points_must_stand_four_deviations_above() -> None:
    noise = 0.05 * np.linspace(-1, 1, 25)[np.random.default_rng(4).permutation(25)]
    spread = noise.std(ddof=1)
    for deviations, expected in ((3.6, []), (5.0, [25])):
        recent = deviations * spread + np.array([-0.005, 0.0, 0.005])
        found = change_points(np.exp(np.concatenate([noise, recent])).tolist())
        assert places(found) == expected, deviations


def test_five_and_three_points_need_more_deviations_than_many_do() -> None:
    """At 4.6 pooled deviations p is 7e-4 with six degrees of freedom; at 9 it is 2e-5."""
    old, new = 0.05 * np.array([-1, 1, 0, 1, -1]), 0.05 * np.array([-1, 0, 1])
    for deviations, expected in ((4.6, []), (9.0, [5])):
        values = np.exp(np.concatenate([old, new + deviations * 0.05]))
        assert places(change_points(values.tolist())) == expected


# What is not a series of timings.


@pytest.mark.parametrize("bad", [0.0, -1.0, math.nan, math.inf, -math.inf])
def test_what_has_no_logarithm_is_refused_by_place(bad: float) -> None:
    for n in (2, 30):
        with pytest.raises(ValueError, match=rf"value {n} is {bad}.*leave out"):
            change_points([1.0] * n + [bad])


def test_a_table_is_refused() -> None:
    with pytest.raises(ValueError, match="one series"):
        change_points([[1.0, 2.0]] * 10)  # type: ignore[list-item]


def test_fewer_than_eight_points_have_no_steps() -> None:
    values = [1.0] * 4 + [9.0] * 4
    assert [change_points(values[:n]) for n in range(8)] == [()] * 8
    assert change_points([]) == ()
    assert places(change_points([1.0] * 5 + [9.0] * 3)) == [5]


# Properties.


@FIXED
@given(values=LEVELS, power=st.integers(-30, 30))
def test_the_unit_does_not_matter(values: list[float], power: int) -> None:
    """A power of two changes no bit of a value but its exponent; of its log, the last ones."""
    one, other = (change_points([v * c for v in values]) for c in (1.0, 2.0**power))
    assert places(one) == places(other)
    for a, b in zip(one, other, strict=True):
        assert (a.ratio, a.low, a.high) == pytest.approx((b.ratio, b.low, b.high), rel=1e-6)
        assert a.recent == b.recent


@FIXED
@given(
    before=st.integers(10, 30),
    after=st.integers(10, 30),
    ratio=st.sampled_from([0.5, 0.8, 0.9, 1.1, 1.3, 3.0]),
    seed=st.integers(0, 2**31),
)
def test_a_series_read_backwards_has_its_step_at_the_same_place(
    before: int, after: int, ratio: float, seed: int
) -> None:
    values = noisy([(before, 1.0), (after, ratio)], seed=seed)
    forwards, backwards = change_points(values), change_points(values[::-1])
    assert len(forwards) >= 1
    assert [len(values) - s.index for s in reversed(backwards)] == places(forwards)
    for one, other in zip(forwards, reversed(backwards), strict=True):
        assert other.ratio == pytest.approx(1 / one.ratio)
        assert other.low == pytest.approx(1 / one.high)
        assert len(values) - other.latest == one.earliest


@FIXED
@given(values=SECONDS, more=SECONDS)
def test_any_series_and_any_longer_one_gives_ordered_steps(
    values: list[float], more: list[float]
) -> None:
    for series in (values, values + more):
        steps = change_points(series)
        assert steps == change_points(series)
        edges = [0, *places(steps), len(series)]
        lengths = [b - a for a, b in pairwise(edges)]
        recent = [s.recent for s in steps]
        assert not any(recent[:-1])
        for step, (start, _), (_, end) in zip(
            steps, pairwise(edges), list(pairwise(edges))[1:], strict=False
        ):
            assert start < step.earliest <= step.index <= step.latest < end
            assert 0 < step.low <= step.ratio <= step.high < math.inf
            assert abs(math.log(step.ratio)) >= math.log(1.10 if step.recent else 1.03) - 1e-12
            assert step.p < (1e-4 if step.recent else 3e-5)
        if steps:
            assert min(lengths[:-1]) >= 5
            assert lengths[-1] >= (3 if recent[-1] else 5)


# How often it errs; scripts/measure_change_points.py has the whole table.


@pytest.mark.proof
def test_a_night_of_white_noise_is_quiet() -> None:
    """Forty histories, looked at each fifth night: 2 % noise, nothing at all."""
    alarms = 0
    for seed in range(40):
        values = noisy([(60, 1.0)], seed=seed)
        alarms += any(change_points(values[:n]) for n in range(8, 61, 4))
    assert alarms <= 1


def test_five_percent_in_two_percent_noise_is_found() -> None:
    found = [change_points(noisy([(20, 1.0), (20, 1.05)], seed=seed)) for seed in range(60)]
    assert sum(any(abs(i - 20) <= 1 for i in places(steps)) for steps in found) >= 48
    assert sum(len(steps) == 1 for steps in found) >= 54
    covered = [s.earliest <= 20 <= s.latest for steps in found for s in steps]
    assert np.mean(covered) >= 0.9
