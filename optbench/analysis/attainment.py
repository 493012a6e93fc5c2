r"""How much is attained within a share of the budget: the runtime distribution, after COCO.

A triple of problem, target and seed is attained at the share :math:`s = t / B` of the problem's
budget, where t is the first step that reaches the target; a miss attains nothing, at no share.
What is shown is the mean over problems of the share of (target, seed) pairs attained by s, so that
each problem weighs the same (Hansen et al. 2021, COCO, and 2016, COCO: Performance Assessment;
there every triple weighs the same). Targets are fixed in the problem's definition: the
curve of an optimizer does not depend on which others took part.

COCO counts evaluations a dimension. Here a gradient gives all dimensions at once, and a problem's
budget is part of its definition: the axis is the share of the budget, from a thousandth on.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt
import pandas as pd

from optbench.analysis.quantiles import Floats
from optbench.analysis.resampling import percentile_interval, seed_weights, strata

LEAST_SHARE = 1e-3
"""Left end of the share axis; targets reached earlier count as reached here."""

DECADES = -np.log10(LEAST_SHARE)

TRIM = 0.25
"""Share that an interquartile mean leaves out at either end."""


AT_A_TIME = 250
"""Draws of the bootstrap."""


def attainment(runs: pd.DataFrame, targets: pd.DataFrame, points: int = 61) -> pd.DataFrame:
    """Return the runtime distribution of each optimizer, with its band.

    The band is the 95 % percentile interval, point by point, of a bootstrap that resamples
    seeds within each problem (`seed_weights`). It holds for these problems, and says nothing of
    others. With one seed a problem there is none.

    Parameters
    ----------
    runs : DataFrame
        The runs of one league: one an optimizer, problem and seed. Each optimizer is taken over
        the problems that it ran on: hand over those that ran on all, to compare curves.
    targets : DataFrame
        Of `Results`. A run without a row in it has reached nothing.
    points : int
        Of the axis, logarithmic from `LEAST_SHARE` to 1.

    Returns
    -------
    DataFrame
        ``optimizer``, ``share`` (of the budget), ``value``, ``low``, ``high`` (0 to 1, NaN for
        no interval); sorted by the first two.
    """
    grid = np.logspace(np.log10(LEAST_SHARE), 0, points)
    run, share = _attained(runs, targets)
    # What falls on a point counts there, whatever the last bit of the logarithm.
    place = np.searchsorted(grid * (1 + 1e-12), share)
    columns = points + 1
    cells = np.bincount(run * columns + np.minimum(place, points), minlength=len(runs) * columns)
    # Whole numbers are summed, so that the order of the rows cannot matter; a miss is in the
    # last column, beyond the axis.
    counts = cells.reshape(len(runs), columns).cumsum(axis=1)
    reached = counts[:, :points] / np.maximum(counts[:, points:], 1)

    parts = []
    for optimizer, problems in strata(runs).items():
        value, low, high = _mean_over_problems(reached, problems)
        curve = {"share": grid, "value": value, "low": low, "high": high}
        parts.append(pd.DataFrame({"optimizer": optimizer, **curve}))
    if not parts:
        return pd.DataFrame({name: [] for name in ("optimizer", "share", "value", "low", "high")})
    return pd.concat(parts, ignore_index=True)


def run_areas(runs: pd.DataFrame, targets: pd.DataFrame) -> pd.Series[float]:
    r"""Return the area under each run's own runtime distribution, over the logarithm of the share.

    The mean over its targets of
    :math:`\mathrm{clip}(-\log_{10}(t / B) / 3, 0, 1)`, and 0 for a miss: 1 is everything within
    a thousandth of the budget, 0 nothing within all of it. One number a run that has no
    censored case left: a third is worth a factor of ten in steps, to every target.

    Parameters
    ----------
    runs, targets : DataFrame
        As for `attainment`.

    Returns
    -------
    Series
        By ``run``, in the order of ``runs``, called ``area``.
    """
    run, share = _attained(runs, targets)
    area = np.where(share <= 1, -np.log10(share) / DECADES, 0.0)
    count = np.bincount(run, minlength=len(runs))
    total = np.bincount(run, weights=area, minlength=len(runs))
    return pd.Series(
        total / np.maximum(count, 1), index=pd.Index(runs["run"], name="run"), name="area"
    )


def areas(runs: pd.DataFrame, targets: pd.DataFrame) -> pd.DataFrame:
    """Return the area under each optimizer's runtime distribution, and its interquartile mean.

    Both with the 95 % percentile interval of a bootstrap that resamples seeds within each problem
    (`seed_weights`). The interquartile mean is that of all (problem, seed) pairs, after a quarter
    of them is cut off at either end (Agarwal et al. 2021, section 4.3, and
    ``scipy.stats.trim_mean``): what an optimizer does on its easiest and hardest problems does
    not move it, and a problem with more seeds weighs more.

    Parameters
    ----------
    runs, targets : DataFrame
        As for `attainment`.

    Returns
    -------
    DataFrame
        Sorted by ``optimizer``: ``problems`` (how many), ``area``, ``low``, ``high``, ``iqm``,
        ``iqm_low``, ``iqm_high`` (0 to 1; NaN for no interval).
    """
    area = run_areas(runs, targets).to_numpy()
    rows: list[dict[str, object]] = []
    for optimizer, problems in strata(runs).items():
        mean, low, high = _mean_over_problems(area[:, None], problems)
        iqm, iqm_low, iqm_high = _interquartile_mean(area, problems)
        rows.append(
            {
                **{"optimizer": optimizer, "problems": len(problems)},
                **{"area": mean[0], "low": low[0], "high": high[0]},
                **{"iqm": iqm, "iqm_low": iqm_low, "iqm_high": iqm_high},
            }
        )
    names = ["optimizer", "problems", "area", "low", "high", "iqm", "iqm_low", "iqm_high"]
    return pd.DataFrame(rows, columns=names)


def _attained(runs: pd.DataFrame, targets: pd.DataFrame) -> tuple[npt.NDArray[np.intp], Floats]:
    """For each target of each run: the place of the run, and the share (infinite for a miss).

    Sorted by run and target, so that sums do not depend on the order of the rows.
    """
    place = pd.Index(runs["run"]).get_indexer(pd.Index(targets["run"]))
    known = place >= 0
    place = place[known].astype(np.intp)
    step = targets["step"].to_numpy(dtype=np.float64)[known]
    share = step / runs["budget"].to_numpy(dtype=np.float64)[place]
    share = np.where(np.isnan(share), np.inf, np.maximum(share, LEAST_SHARE))
    order = np.lexsort([targets["target"].to_numpy(dtype=np.float64)[known], place])
    return place[order], share[order]


def _mean_over_problems(
    values: Floats, problems: dict[str, npt.NDArray[np.intp]]
) -> tuple[Floats, Floats, Floats]:
    """Mean over problems of the mean over seeds, with its interval.

    Parameters
    ----------
    values : array [runs, columns]
    problems : dict of array
        Rows of ``values``, by problem.

    Returns
    -------
    tuple of three arrays [columns]
    """
    mean = np.mean([values[rows].mean(axis=0) for rows in problems.values()], axis=0)
    # One product an optimizer: one for all of them at once would round each differently by who
    # else is in it.
    weights = _joint_weights(tuple((problem, len(rows)) for problem, rows in problems.items()))
    drawn = weights @ values[np.concatenate(list(problems.values()))]
    if all(len(rows) == 1 for rows in problems.values()):
        drawn[:] = np.nan
    low, high = percentile_interval(drawn / len(problems))
    return mean, low, high


@lru_cache(maxsize=8)
def _joint_weights(strata: tuple[tuple[str, int], ...]) -> Floats:
    """Return the weights of all seeds of some problems; most optimizers share theirs."""
    return np.concatenate([seed_weights(problem, seeds) for problem, seeds in strata], axis=1)


@lru_cache(maxsize=8)
def _joint_counts(strata: tuple[tuple[str, int], ...]) -> npt.NDArray[np.int32]:
    """How often each seed of some problems is drawn, [seeds, draws]."""
    counts = [np.rint(seed_weights(problem, seeds) * seeds) for problem, seeds in strata]
    return np.ascontiguousarray(np.concatenate(counts, axis=1).T, dtype=np.int32)


def _interquartile_mean(
    values: Floats, problems: dict[str, npt.NDArray[np.intp]]
) -> tuple[float, float, float]:
    """Mean of the middle half of all values of the strata, with its interval."""
    pooled = np.concatenate([values[rows] for rows in problems.values()])
    order = np.argsort(pooled, kind="stable")
    ordered = pooled[order]
    cut = int(TRIM * len(ordered))
    kept = len(ordered) - 2 * cut
    mean = float(ordered[cut : cut + kept].mean())
    if all(len(rows) == 1 for rows in problems.values()):
        return mean, np.nan, np.nan
    drawn = _joint_counts(tuple((problem, len(rows)) for problem, rows in problems.items()))
    between = np.empty((len(ordered), drawn.shape[1]))
    # How often each value is drawn, in the order of the values: those between the cuts are
    # counted by what of the running count falls between them. A part of the draws at a time, which
    # stays near the processor: it is most of the work of a report on many seeds.
    for first in range(0, drawn.shape[1], AT_A_TIME):
        part = slice(first, first + AT_A_TIME)
        running = drawn[:, part][order]
        np.cumsum(running, axis=0, out=running)
        np.clip(running, cut, cut + kept, out=running)
        between[0, part] = running[0] - cut
        np.subtract(running[1:], running[:-1], out=between[1:, part])
    low, high = percentile_interval(between.T @ ordered / kept)
    return mean, float(low), float(high)
