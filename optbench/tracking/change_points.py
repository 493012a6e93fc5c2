"""Where a history of timings changed its level.

Three parts, all on the logarithms, all deterministic:

1. Spikes of one or two points are brought near to their surroundings: on a shared machine one time
   in twenty is a third or more too long, and says nothing about the commit.
2. E-divisive (Matteson and James 2014, Journal of the American Statistical Association 109:334)
   splits the series as far as it goes; then the least convincing split is taken back until Welch's
   t-test and a least size hold for each that is left. Splitting first and judging afterwards is
   what finds a slowdown that was repaired: at the first split its two steps cancel.
   The test widens its error by the series' own autocorrelation.
3. A *recent step*: a new level of only a few points, too few for the above, is reported when it is
   large and stands clear of all points of the last level.

`scripts/measure_change_points.py` measures how often each of it errs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view
from scipy.special import fdtrc, stdtr, stdtrit

Floats = npt.NDArray[np.float64]

SHORTEST = 8
"""Fewer points have no steps: the shortest level, and the shortest recent one after it."""

SEGMENT = 5
"""The fewest points of a level."""

LEAST = 0.03
"""A step of less than 3 % is none: machines drift as much in a month."""

ALPHA = 3e-5
"""Level of Welch's test. A split is the best of many, and a night looks at many series, each night
anew. At 1e-4, false alarms upwards are twice as many with heavy tails, half as many again with
correlated noise."""

RECENT = range(3, 8)
"""Lengths of a recent level. Beyond `SEGMENT` too, or what alarmed one night is gone the next:
five points on their own have too few degrees of freedom for Welch's test."""

RECENT_LEAST = 0.10
"""The least size of a recent step."""

RECENT_SPREADS = 4.0
"""... and in standard deviations: what correlated noise does in three points, it does below."""

RECENT_ALPHA = 1e-4
"""Level of the pooled test: at 3e-5 it would miss three times as many steps of 1.5x after seven
and three points of 5 % noise (5 % of them, not 2 %)."""

UNQUIET = 1e-3
"""Level of the F-test that the recent points scatter more than the level before. Three spikes in
a row do, a new level does not."""

QUIET = 0.01
"""Least standard deviation, as a ratio, in judging spikes and recent steps."""

RESOLUTION = 1e-3
"""Least standard deviation in Welch's test: of a series that is constant to the last bit, too."""

SPIKE = 4.0
"""A spike is more standard deviations than this away from the median of the five around it."""

CONFIDENCE = 0.99


@dataclass(frozen=True)
class Step:
    """A change of level.

    Attributes
    ----------
    index : int
        The first point of the new level.
    ratio, low, high : float
        Geometric mean after over before, between its neighbouring steps, and the 99 % interval.
        That a step was looked for makes the smallest look larger than they are.
    p : float
        Of Welch's test, or of the pooled one where recent.
    earliest, latest : int
        The indices the change may have happened at, both included; ``index`` is the likeliest.
    recent : bool
        Only a few points yet. May be taken back by the next ones.
    """

    index: int
    ratio: float
    low: float
    high: float
    p: float
    earliest: int
    latest: int
    recent: bool


@dataclass(frozen=True)
class _Difference:
    """Of two levels' means, on the logarithms."""

    size: float
    error: float
    freedom: float

    @property
    def p(self) -> float:
        return float(2 * stdtr(self.freedom, -abs(self.size) / self.error))

    def step(self, index: int, earliest: int, latest: int, recent: bool) -> Step:
        reach = float(stdtrit(self.freedom, (1 + CONFIDENCE) / 2)) * self.error
        ratio, low, high = (math.exp(self.size + d) for d in (0.0, -reach, reach))
        return Step(index, ratio, low, high, self.p, earliest, latest, recent)


def change_points(values: Sequence[float]) -> tuple[Step, ...]:
    """Return the steps of a series in the order of commits, oldest first.

    Time and memory grow with the square of the length: 1000 points take about a second.

    Parameters
    ----------
    values : sequence of float
        Positive and finite, any unit. Leave out what was not measured.

    Raises
    ------
    ValueError
        For a value that has no logarithm.

    >>> [(s.index, round(s.ratio, 3)) for s in change_points([2.0] * 12 + [3.0] * 8)]
    [(12, 1.5)]
    """
    given = np.asarray(values, dtype=np.float64)
    if given.ndim != 1:
        raise ValueError(f"change points need one series, not an array of shape {given.shape}")
    wrong = np.flatnonzero(~(np.isfinite(given) & (given > 0)))
    if len(wrong):
        raise ValueError(
            f"change points need positive, finite values: value {wrong[0]} is {given[wrong[0]]}; "
            "leave out what was not measured, and compare censored metrics exactly"
        )
    if len(given) < SHORTEST:
        return ()
    logs = np.log(given)
    smooth = without_spikes(logs)
    cuts = _cuts(smooth)
    newest = _recent(logs, cuts)
    if newest is not None:
        smooth, cuts, step = newest
        return (*_steps(smooth, cuts), step)
    return _steps(smooth, cuts)


def without_spikes(logs: Floats) -> Floats:
    """One or two points far from the median of the five around them are brought near to it.

    Levels of three points or more stay, and so do their edges: a median keeps a step.
    """
    middle = np.median(sliding_window_view(logs, 5), axis=1)
    middle = np.concatenate([middle[:1], middle[:1], middle, middle[-1:], middle[-1:]])
    # The median of absolute values, times 1.4826, is the standard deviation of normal noise.
    spread = max(1.4826 * float(np.median(np.abs(logs - middle))), QUIET)
    near: Floats = np.clip(logs, middle - SPIKE * spread, middle + SPIKE * spread)
    return near


def _cuts(logs: Floats) -> list[int]:
    """First points of the levels after the first one."""
    cuts, whole = [], [(0, len(logs))]
    while whole:
        start, end = whole.pop()
        if end - start >= 2 * SEGMENT:
            cut = start + _split(logs[start:end])
            cuts.append(cut)
            whole += [(start, cut), (cut, end)]
    cuts.sort()
    while cuts:
        for i in range(len(cuts)):
            start, end = _around(cuts, i, len(logs))
            cuts[i] = start + _likeliest(logs[start:end])
        found = []
        for i, cut in enumerate(cuts):
            start, end = _around(cuts, i, len(logs))
            found.append(_welch(logs[start:cut], logs[cut:end]))
        # What is too small goes first, then what is least sure.
        doubts = [(abs(d.size) < math.log1p(LEAST), d.p) for d in found]
        doubt = max(doubts)
        if not doubt[0] and doubt[1] < ALPHA:
            break
        del cuts[doubts.index(doubt)]
    return cuts


def _around(cuts: Sequence[int], i: int, end: int) -> tuple[int, int]:
    """Where the level before a cut begins, and where the one after it ends."""
    return (cuts[i - 1] if i else 0), (cuts[i + 1] if i + 1 < len(cuts) else end)


def _split(logs: Floats) -> int:
    """Return the split of largest energy distance (Matteson and James, formula 7, alpha = 1).

    There the right side may end before the series does, so that what follows a second change does
    not dilute the first; here the left side may also begin late, so that a series read backwards
    is split at the same place.
    """
    n = len(logs)
    sums = np.zeros((n + 1, n + 1))
    sums[1:, 1:] = np.abs(logs[:, None] - logs[None, :]).cumsum(0).cumsum(1)
    within = np.diagonal(sums)

    cut = np.arange(SEGMENT, n - SEGMENT + 1)[:, None]

    def energy(start: npt.NDArray[np.intp], end: npt.NDArray[np.intp]) -> Floats:
        left, right = cut - start, end - cut
        fits = (left >= SEGMENT) & (right >= SEGMENT)
        left, right = np.maximum(left, 2), np.maximum(right, 2)
        between = sums[cut, end] - sums[start, end] - within[cut] + sums[start, cut]
        among_left = within[cut] - 2 * sums[start, cut] + within[start]
        among_right = within[end] - 2 * sums[cut, end] + within[cut]
        distance = (
            2 * between / (left * right)
            - among_left / (left * (left - 1))
            - among_right / (right * (right - 1))
        )
        best: Floats = np.where(fits, left * right / (left + right) * distance, -np.inf).max(1)
        return best

    zero, last = np.zeros((1, 1), dtype=np.intp), np.full((1, 1), n, dtype=np.intp)
    starts, ends = np.arange(n - 2 * SEGMENT + 1)[None, :], np.arange(2 * SEGMENT, n + 1)[None, :]
    return SEGMENT + int(np.argmax(np.maximum(energy(zero, ends), energy(starts, last))))


def _residual(logs: Floats) -> Floats:
    """Sum of squares about two means, for the second beginning at 1, 2 ... n - 1."""
    n = len(logs)
    centred = logs - logs.mean()
    before, left = centred.cumsum()[:-1], np.arange(1, n)
    total: Floats = centred @ centred - before**2 * (1 / left + 1 / (n - left))
    return np.maximum(total, 0.0)


def _likeliest(logs: Floats) -> int:
    """Return the one split of normal noise, with at least a segment on both sides."""
    return SEGMENT + int(np.argmin(_residual(logs)[SEGMENT - 1 : len(logs) - SEGMENT]))


def _possible(logs: Floats, cut: int, inflation: float) -> tuple[int, int]:
    """Return the first and the last split that the likelihood does not rule out.

    The likelihood ratio of a break's place, with the 95 % point of its limiting distribution,
    (1 - exp(-x/2))^2: Hansen 2000, Econometrica 68:575.
    """
    bound = -2 * math.log(1 - math.sqrt(0.95)) * inflation
    residual = _residual(logs)
    variance = max(residual[cut - 1] / (len(logs) - 2), RESOLUTION**2)
    possible = 1 + np.flatnonzero(residual - residual[cut - 1] <= bound * variance)
    return int(possible[0]), int(possible[-1])


def _variance(logs: Floats) -> float:
    return max(float(logs.var(ddof=1)), RESOLUTION**2)


def _inflation(before: Floats, after: Floats) -> float:
    """How much larger correlation makes the variance of a mean: (1 + r) / (1 - r), at least 1.

    Of the autocorrelation at lag 1, with Kendall's correction (1954, Biometrika 41:403) for two
    means: without it, twenty points of a correlation of 0.5 show half of it. At most 0.8.
    """
    left, right = before - before.mean(), after - after.mean()
    total = left @ left + right @ right
    n = len(left) + len(right)
    if total < n * RESOLUTION**2:
        return 1.0
    seen = (left[1:] @ left[:-1] + right[1:] @ right[:-1]) / total
    r = min(max(float(n * seen + 2) / (n - 3), 0.0), 0.8)
    return (1 + r) / (1 - r)


def _welch(before: Floats, after: Floats) -> _Difference:
    """Welch's test, its error widened by the correlation."""
    n, m = len(before), len(after)
    one, other = _variance(before) / n, _variance(after) / m
    freedom = (one + other) ** 2 / (one**2 / (n - 1) + other**2 / (m - 1))
    error = math.sqrt((one + other) * _inflation(before, after))
    return _Difference(float(after.mean() - before.mean()), error, freedom)


def _steps(logs: Floats, cuts: Sequence[int]) -> tuple[Step, ...]:
    steps = []
    for i, cut in enumerate(cuts):
        start, end = _around(cuts, i, len(logs))
        before, after = logs[start:cut], logs[cut:end]
        first, last = _possible(logs[start:end], cut - start, _inflation(before, after))
        steps.append(_welch(before, after).step(cut, start + first, start + last, recent=False))
    return tuple(steps)


def _recent(logs: Floats, cuts: Sequence[int]) -> tuple[Floats, list[int], Step] | None:
    """Return the surest recent step; what came before it without spikes, and cut on its own.

    A level that has `SEGMENT` points and a step of its own is not recent any more.
    """
    last = cuts[-1] if cuts else 0
    best: tuple[float, Floats, list[int], Step] | None = None
    for length in RECENT:
        cut = len(logs) - length
        new = logs[cut:]
        if cut - last < SEGMENT:
            continue
        # The level before has the last five points at least; without spikes they keep their median.
        # What does not stand clear of that needs no further work.
        if not _clear(np.median(logs[cut - SEGMENT : cut], keepdims=True), new):
            continue
        old = without_spikes(logs[:cut])
        old_cuts = _cuts(old)
        start = old_cuts[-1] if old_cuts else 0
        found = _pooled(old[start:], new)
        if found is None or (best is not None and found.size**2 / found.error**2 <= best[0]):
            continue
        both = np.concatenate([old[start:], new])
        first, latest = _possible(both, cut - start, 1.0)
        step = found.step(cut, start + first, start + latest, recent=True)
        best = (found.size**2 / found.error**2, old, old_cuts, step)
    return None if best is None else best[1:]


def _clear(old: Floats, new: Floats) -> bool:
    """Whether all the new points lie above, or all below, all the old ones."""
    return bool(new.min() > old.max() or new.max() < old.min())


def _pooled(old: Floats, new: Floats) -> _Difference | None:
    """Return the difference of a recent level from the one before, if it is one."""
    n, m = len(old), len(new)
    if not _clear(old, new):
        return None
    quiet = max(float(old.var(ddof=1)), QUIET**2)
    scatter = float(new.var(ddof=1))
    pooled = max(((n - 1) * float(old.var(ddof=1)) + (m - 1) * scatter) / (n + m - 2), QUIET**2)
    size = float(new.mean() - old.mean())
    found = _Difference(size, math.sqrt(pooled * (1 / n + 1 / m)), n + m - 2)
    large = abs(size) >= max(math.log1p(RECENT_LEAST), RECENT_SPREADS * math.sqrt(pooled))
    as_quiet = fdtrc(m - 1, n - 1, scatter / quiet) >= UNQUIET
    return found if large and as_quiet and found.p < RECENT_ALPHA else None
