r"""Ranks over problems, and what they can tell apart.

Ranks compare with all the others that are there: they change when an optimizer joins or leaves.
The blocks are problems, one number each; seeds are no blocks, since those of one problem are not
independent questions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import scipy  # scipy.stats is imported when it is asked for, which takes a second

LEAST_PROBLEMS, LEAST_OPTIMIZERS = 12, 3
"""Below that a diagram of critical differences can tell nothing apart, or has nothing to tell."""


@dataclass(frozen=True)
class CriticalDifference:
    """Which mean ranks differ.

    Attributes
    ----------
    mean_ranks : Series
        By optimizer, the best (least) first; equal ones by name.
    problems : int
    p : float
        Of Friedman's test that all optimizers are alike; NaN for fewer than three, or where all
        share every rank.
    difference : float
        Two mean ranks that far apart differ, by Nemenyi's test; NaN for fewer than two.
    groups : tuple of tuple of str
        Largest sets, neighbours in ``mean_ranks``, that are not told apart. One that is told apart
        from all others is in none.
    enough : bool
        Whether there are 12 problems and 3 optimizers at least.
    """

    mean_ranks: pd.Series[float]
    problems: int
    p: float
    difference: float
    groups: tuple[tuple[str, ...], ...]
    enough: bool


def median_steps(scores: pd.DataFrame) -> pd.DataFrame:
    """Median steps to target, problems by optimizers; infinite where fewer than half arrive.

    Only optimizers that have a score on every problem that occurs: what was not run is neither
    a miss nor anything else.

    Parameters
    ----------
    scores : DataFrame
        Of `scores`.

    Returns
    -------
    DataFrame
        Indexed by ``problem``, a column an optimizer, both sorted.
    """
    marked = scores[["problem", "optimizer", "median_steps"]]
    marked = marked.assign(median_steps=marked["median_steps"].fillna(np.inf).clip(lower=1))
    wide = marked.pivot_table(index="problem", columns="optimizer", values="median_steps")
    return wide.loc[:, wide.notna().all()]


def ranks(scores: pd.DataFrame) -> pd.DataFrame:
    """Rank of each optimizer on each problem by median steps to target, 1 for the fewest.

    Equal ones share the mean of their ranks, and so do all that miss, at the end. Only optimizers
    that have a score on every problem given; the ranks refer to these, and change with them.

    Parameters
    ----------
    scores : DataFrame
        Of `scores`.

    Returns
    -------
    DataFrame
        Indexed by ``problem``, a column an optimizer, both sorted.
    """
    steps = median_steps(scores)
    if not steps.size:
        return steps
    return pd.DataFrame(
        scipy.stats.rankdata(steps.to_numpy(), axis=1), index=steps.index, columns=steps.columns
    )


def critical_difference(ranks: pd.DataFrame, alpha: float = 0.05) -> CriticalDifference:
    r"""Mean ranks and how far apart they must be, after Demsar 2006.

    Friedman's test asks whether they differ at all (section 3.2.2, with SciPy's correction for
    ties); Nemenyi's says which pairs do, where their mean ranks are apart by

    .. math:: \mathrm{CD} = q_\alpha \sqrt{k (k + 1) / (6 N)}

    or more, for k optimizers on N problems, :math:`q_\alpha` the studentized range statistic by
    :math:`\sqrt 2` (the same section, and table 5).

    Parameters
    ----------
    ranks : DataFrame
        Of `ranks`: problems by optimizers.
    alpha : float
        The chance that any two of them are told apart where all are alike.
    """
    problems, count = ranks.shape
    mean = ranks.mean().sort_index().sort_values(kind="stable")
    p = difference = np.nan
    if problems and count >= 2:
        quantile = float(scipy.stats.studentized_range.ppf(1 - alpha, count, np.inf)) / np.sqrt(2)
        difference = float(quantile * np.sqrt(count * (count + 1) / (6 * problems)))
    # Where all share every rank the statistic is 0 by 0.
    if problems and count >= 3 and ranks.to_numpy().std() > 0:
        p = float(scipy.stats.friedmanchisquare(*ranks.to_numpy().T).pvalue)
    return CriticalDifference(
        mean_ranks=mean,
        problems=problems,
        p=p,
        difference=difference,
        groups=_groups(mean, difference),
        enough=problems >= LEAST_PROBLEMS and count >= LEAST_OPTIMIZERS,
    )


def _groups(mean: pd.Series[float], difference: float) -> tuple[tuple[str, ...], ...]:
    """From each optimizer on as far as the difference reaches, but no part of another group."""
    values = mean.to_numpy()
    ends = np.searchsorted(values, values + difference, side="left")
    found, reached = [], 0
    for first, end in enumerate(ends):
        if end > reached and end - first > 1:
            found.append(tuple(str(name) for name in mean.index[first:end]))
            reached = end
    return tuple(found)
