"""The baseline against each: pairs of runs that share start and data order."""

from __future__ import annotations

import numpy as np
import pandas as pd

from optbench.analysis.paired import MARGIN, MedianRatio, median_ratio
from optbench.analysis.quantiles import Floats
from optbench.analysis.resampling import LEVEL, percentile_interval, seed_weights, strata

ROW = [
    *("optimizer", "base", "variant", "problem", "ratio", "low", "high"),
    *("pairs", "both_missed", "won", "lost", "tied", "word"),
]


def against(runs: pd.DataFrame, baseline: str, level: float = LEVEL) -> pd.DataFrame:
    r"""Return steps to target relative to the baseline's, paired by problem and seed.

    Both runs of a pair meet the same start and the same batches. The ratio of a pair is
    :math:`\max(h, 1) / \max(b, 1)`, infinite where only the baseline arrives and 0 where only
    the other does. A pair in which neither arrives says nothing of their order: it has no
    ratio, and is counted. What is stated is the median of the ratios with the exact interval of
    the sign test (`median_ratio`), which takes censored pairs as they are.

    Over all problems it is the median over all pairs. These are no sample of one distribution:
    each problem has its own. The interval holds all the same, for the median of the mixture of
    the problems' distributions in the proportions of their pairs: the number of pairs below it is
    then a sum of unequal coins with mean n/2, whose tails are no heavier than those of the n
    equal coins that the sign test assumes (Hoeffding 1956, On the Distribution of the Number of
    Successes in Independent Trials, theorem 5; the variance of the Poisson binomial is at most
    that of the binomial). So it is too long rather than too short. It is about these
    problems and further seeds, not about further problems.

    Parameters
    ----------
    runs : DataFrame
        The runs of one league: one an optimizer, problem and seed.
    baseline : str
        The optimizer that ratios refer to.
    level : float
        Of each interval.

    Returns
    -------
    DataFrame
        A row an optimizer and problem, and one an optimizer over all of them (``problem`` is
        ''); sorted by these, the baseline left out: ``optimizer``, ``base``, ``variant``,
        ``problem``, ``ratio``, ``low``, ``high`` (NaN without a pair), ``pairs`` (of which at
        least one arrives), ``both_missed``, ``won``, ``lost``, ``tied`` (pairs; won is where the
        optimizer is faster than the baseline), ``word``: *equivalent* (the interval lies within
        5 % of one), *faster* or *slower* (the interval leaves out one, and the median is beyond
        5 %), else *inconclusive*. Empty without the baseline.
    """
    columns = ["optimizer", "base", "variant", "problem", "seed", "steps_to_target"]
    of_baseline = (runs["optimizer"] == baseline).to_numpy(dtype=bool)
    reference = runs[of_baseline][["problem", "seed", "steps_to_target"]]
    pairs = runs[~of_baseline][columns].merge(
        reference, on=["problem", "seed"], suffixes=("", "_baseline")
    )
    head, base = (_steps(pairs, name) for name in ("steps_to_target", "steps_to_target_baseline"))
    missed = np.isinf(head) & np.isinf(base)
    with np.errstate(invalid="ignore"):
        ratio = np.where(missed, np.nan, np.maximum(head, 1) / np.maximum(base, 1))
    pairs = pairs.assign(ratio=ratio)
    overall = pairs.assign(problem="")
    rows = [
        _row(str(optimizer), str(problem), part, 1 - level)
        for (optimizer, problem), part in pd.concat([overall, pairs], ignore_index=True).groupby(
            ["optimizer", "problem"]
        )
    ]
    return pd.DataFrame(rows, columns=ROW)


def word(found: MedianRatio) -> str:
    """Return the verdict that an interval allows; *inconclusive* is one, too."""
    if not found.pairs:
        return "inconclusive"
    if found.within(MARGIN):
        return "equivalent"
    if found.high < 1 and found.ratio < 1 / (1 + MARGIN):
        return "faster"
    if found.low > 1 and found.ratio > 1 + MARGIN:
        return "slower"
    return "inconclusive"


def probability_of_improvement(runs: pd.DataFrame, baseline: str) -> pd.DataFrame:
    r"""How likely an optimizer is faster than the baseline, on a problem picked at random.

    The mean over the problems that both ran on of
    :math:`P(X < Y) + P(X = Y) / 2`, X and Y the steps to target of any run of the optimizer and
    any of the baseline; a miss is infinite, and two misses tie (Agarwal et al. 2021, section
    4.3; Mann and Whitney 1947). It weighs each problem the same, and does not say by how much. The
    interval is that of a bootstrap that resamples seeds within each problem, the same for both
    sides, since they share starts and batches.

    Parameters
    ----------
    runs, baseline :
        As for `against`.

    Returns
    -------
    DataFrame
        Sorted by ``optimizer``, without the baseline: ``probability``, ``low``, ``high`` (95 %;
        NaN where each problem has a single seed), ``problems``.
    """
    steps = _steps(runs, "steps_to_target")
    by_optimizer = strata(runs)
    reference = by_optimizer.pop(baseline, {})
    rows: list[dict[str, object]] = []
    for optimizer, problems in by_optimizer.items():
        common = [problem for problem in problems if problem in reference]
        if not common:
            continue
        values, draws, seeds = [], [], 0
        for problem in common:
            mine, theirs = problems[problem], reference[problem]
            x, y = steps[mine][:, None], steps[theirs][None, :]
            better = (x < y) + 0.5 * (x == y)
            values.append(better.mean())
            weights = seed_weights(problem, len(mine)), seed_weights(problem, len(theirs))
            draws.append(np.sum((weights[0] @ better) * weights[1], axis=1))
            seeds = max(seeds, len(mine), len(theirs))
        low, high = percentile_interval(np.mean(draws, axis=0))
        known = seeds > 1
        rows.append(
            {
                **{"optimizer": optimizer, "probability": float(np.mean(values))},
                **{"low": float(low) if known else np.nan},
                **{"high": float(high) if known else np.nan, "problems": len(common)},
            }
        )
    names = ["optimizer", "probability", "low", "high", "problems"]
    return pd.DataFrame(rows, columns=names)


def _steps(frame: pd.DataFrame, column: str) -> Floats:
    """Return the steps to target; a miss is infinite."""
    values = frame[column].to_numpy(dtype=np.float64)
    return np.where(np.isnan(values), np.inf, values)


def _row(optimizer: str, problem: str, part: pd.DataFrame, alpha: float) -> dict[str, object]:
    ratios = part["ratio"].dropna().to_numpy()
    found = median_ratio(ratios, alpha)
    known = found.pairs > 0
    return {
        **{"optimizer": optimizer, "base": part["base"].iloc[0]},
        **{"variant": part["variant"].iloc[0], "problem": problem},
        **{"ratio": found.ratio if known else np.nan, "low": found.low if known else np.nan},
        **{"high": found.high if known else np.nan, "pairs": found.pairs},
        **{"both_missed": len(part) - len(ratios), "won": int(np.sum(ratios < 1))},
        **{"lost": int(np.sum(ratios > 1)), "tied": int(np.sum(ratios == 1)), "word": word(found)},
    }
