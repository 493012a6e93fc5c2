"""Paired comparison: the median of ratios, an interval for it that assumes nothing, a verdict.

The interval is the exact one of the sign test (order statistics): pairs may be censored, skewed or
tied, and it holds for any number of them. A bootstrap of a median over a dozen pairs does not; at
the levels that a correction for twenty questions asks for, it is far too short.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import bdtr, ndtri

MARGIN = 0.05
"""Equivalence margin of ratios: 5 %."""


@dataclass(frozen=True)
class MedianRatio:
    """Median of head over base, with its interval.

    Attributes
    ----------
    ratio, low, high : float
        May be 0 or infinite, where one side is censored.
    pairs : int
    """

    ratio: float
    low: float
    high: float
    pairs: int

    def within(self, margin: float) -> bool:
        """Whether the whole interval is that near to one."""
        return 1 / (1 + margin) <= self.low and self.high <= 1 + margin


def median_ratio(ratios: Sequence[float], alpha: float) -> MedianRatio:
    """Return the median of positive ratios and its exact ``1 - alpha`` interval.

    With too few pairs for the level the interval is (0, inf).

    >>> found = median_ratio([1.3] * 12, 0.001)
    >>> found.low, found.ratio, found.high
    (1.3, 1.3, 1.3)
    """
    ordered = np.sort(np.asarray(ratios, dtype=np.float64))
    n = len(ordered)
    if not n:
        return MedianRatio(1.0, 0.0, math.inf, 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        logs = np.log(ordered)
        middle = [logs[(n - 1) // 2], logs[n // 2]]
        median = float(np.exp(middle[0] if middle[0] == middle[1] else sum(middle) / 2))
    if math.isnan(median):
        median = 1.0  # half of the pairs censored on either side: neither is ahead
    # The k-th value from either end: P(fewer than k of n on one side of the median) <= alpha / 2.
    k = 0
    while bdtr(k, n, 0.5) < alpha / 2:
        k += 1
    if k < 1:
        return MedianRatio(median, 0.0, math.inf, n)
    return MedianRatio(median, float(ordered[k - 1]), float(ordered[n - k]), n)


def pairs_needed(ratios: Sequence[float], alpha: float, margin: float = MARGIN) -> int | None:
    """How many pairs in all would settle it, if the next ones are like these; None: unknown.

    Settled is an interval that leaves out one, or that lies within the margin: whichever asks for
    less. From the spread of the logarithms; a median asks for pi/2 times what a mean does.
    """
    logs = np.log([each for each in ratios if 0 < each < math.inf])
    if len(logs) < max(3, len(ratios) // 2):
        return None
    # The quartiles' width: what is far out does not count for more.
    spread = float(np.subtract(*np.percentile(logs, [75, 25]))) / 1.349 or float(np.std(logs))
    effect, room = abs(float(np.median(logs))), math.log1p(margin)
    distance = max(effect, room - effect, room / 10)
    z = float(ndtri(1 - alpha / 2))
    least = 1 - math.log2(alpha)
    return math.ceil(max(least, math.pi / 2 * (z * spread / distance) ** 2))
