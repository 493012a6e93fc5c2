"""Times of a step on two sides that took turns: from seconds to a verdict."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from optbench.analysis.paired import median_ratio
from optbench.verdicts.comparison import AtSize, SpeedVerdict

SAME = 0.10
"""A step within 10 % is as fast: what is less does not show between one process and the next."""

ALPHA = 0.01


def judge_times(
    parameters: int, base: Sequence[float], head: Sequence[float], *, alpha: float = ALPHA
) -> AtSize:
    """Compare seconds a step, one pair a round.

    Slower is an interval of the ratio that lies above one with its median beyond `SAME`; the same
    is an interval within `SAME` of one.
    """
    ratios = np.asarray(head, dtype=np.float64) / np.asarray(base, dtype=np.float64)
    found = median_ratio(ratios.tolist(), alpha)
    if found.within(SAME):
        verdict = SpeedVerdict.SAME
    elif found.low > 1 + SAME / 2 and found.ratio > 1 + SAME:
        verdict = SpeedVerdict.SLOWER
    elif found.high < 1 / (1 + SAME / 2) and found.ratio < 1 / (1 + SAME):
        verdict = SpeedVerdict.FASTER
    else:
        verdict = SpeedVerdict.INCONCLUSIVE
    seconds = (float(np.median(base)), float(np.median(head)))
    return AtSize(parameters, verdict, found.ratio, found.low, found.high, seconds, len(ratios))
