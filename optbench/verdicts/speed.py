"""Times of a step on two sides that took turns, and counts of its work: from both to a verdict."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from optbench.analysis.paired import median_ratio
from optbench.verdicts.comparison import AtSize, Counted, InFunction, SpeedVerdict, StepWork

SAME = 0.10
"""A step within 10 % is as fast: what is less does not show between one process and the next."""

ALPHA = 0.01

WORK = 0.10
"""Share of work that decides where the time does not."""

CALL = 0.02
"""Tensor operations that a Python call counts for: of a small one it takes a fiftieth or less."""


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


def judge_counts(
    base: StepWork, head: StepWork, sizes: Sequence[AtSize] = ()
) -> tuple[SpeedVerdict, Counted]:
    """Compare counts of work, which decide where times do not.

    Slower is more than `WORK` more work, of tensor operations and Python calls together. The same
    is the same operations in the same order, if Python takes the same time: it does for as many
    calls in every function, or by the times at the first of the sizes, where a step is overhead,
    as long as no size has a median beyond `SAME`. What the operations compute has to be known to be
    the same.
    """
    functions = sorted({*base.functions, *head.functions})
    sides = [[side.functions.get(f, (0.0, 0.0, 0.0)) for f in functions] for side in (base, head)]
    every = [
        InFunction(function, *zip(old, new, strict=True))
        for function, old, new in zip(functions, *sides, strict=True)
    ]
    operations, calls = _sum(e.operations for e in every), _sum(e.calls for e in every)
    counted = Counted(operations, _sum(e.bytes for e in every), calls, dearer=_dearer(every))
    old, new = (ops + CALL * called for ops, called in zip(operations, calls, strict=True))
    if new > (1 + WORK) * old:
        verdict = SpeedVerdict.SLOWER
    elif old > (1 + WORK) * new:
        verdict = SpeedVerdict.FASTER
    elif base.digest == head.digest and (base == head or _same_overhead(sizes)):
        verdict = SpeedVerdict.SAME
    else:
        verdict = SpeedVerdict.INCONCLUSIVE
    return verdict, counted


def _same_overhead(sizes: Sequence[AtSize]) -> bool:
    first = bool(sizes) and sizes[0].verdict is SpeedVerdict.SAME
    return first and all(1 / (1 + SAME) <= size.ratio <= 1 + SAME for size in sizes)


def _sum(pairs: Iterable[tuple[float, float]]) -> tuple[float, float]:
    base, head = zip(*pairs, strict=True)
    return sum(base), sum(head)


def _dearer(every: Sequence[InFunction]) -> tuple[InFunction, ...]:
    """Those with more operations; where there are none, with more bytes, or more calls."""
    for kind in ("operations", "bytes", "calls"):
        more = {each: head - base for each in every for base, head in [getattr(each, kind)]}
        found = sorted((e for e in every if more[e] > 0), key=lambda e: (-more[e], e.function))
        if found:
            return tuple(found[:MOST_NAMED])
    return ()


MOST_NAMED = 3
"""Number of functions that are named."""
