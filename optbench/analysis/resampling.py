"""The bootstrap that all intervals over seeds share: seeds resampled within each problem."""

from __future__ import annotations

from functools import lru_cache
from hashlib import sha256

import numpy as np
import numpy.typing as npt
import pandas as pd

from optbench.analysis.quantiles import Floats

Rows = npt.NDArray[np.intp]

DRAWS = 2000
"""Number of bootstrap resamples of the seeds."""

LEVEL = 0.95
"""Confidence level of intervals."""


@lru_cache(maxsize=512)
def seed_weights(problem: str, seeds: int, draws: int = DRAWS) -> Floats:
    """Weight of each seed in each draw of a stratified bootstrap.

    A draw takes as many seeds as there are, with replacement, within one problem (Efron and
    Tibshirani 1993, chapter 8; Agarwal et al. 2021, section 4.1): the weights are multinomial
    counts divided by the number of seeds, and a resampled mean is ``weights @ values``.

    The generator is seeded by the problem's name alone. All optimizers meet the same draws, as
    they meet the same starts and batches, so that a difference between two of them is resampled
    in pairs; and who else is in the store changes no draw.

    Parameters
    ----------
    problem : str
    seeds : int
        At least 1. A single seed has nothing to resample: all draws are alike.
    draws : int

    Returns
    -------
    array [draws, seeds]
        Each row sums to one. Read-only, since it is kept for the next optimizer.
    """
    digest = sha256(problem.encode("utf-8", "surrogatepass")).digest()
    generator = np.random.default_rng(int.from_bytes(digest[:16], "big"))
    counts = generator.multinomial(seeds, np.full(seeds, 1 / seeds), size=draws)
    weights: Floats = counts / seeds
    weights.setflags(write=False)
    return weights


def percentile_interval(draws: Floats, level: float = LEVEL) -> tuple[Floats, Floats]:
    """Return the interval of a bootstrap by its percentiles, along the first axis.

    Parameters
    ----------
    draws : array [draws, ...]
    level : float
        Of the interval, such as 0.95.

    Returns
    -------
    tuple of two arrays [...]
        Lower and upper end.
    """
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return low, high


def strata(runs: pd.DataFrame) -> dict[str, dict[str, Rows]]:
    """Where the runs of each optimizer and problem stand, in the order of their seeds.

    Parameters
    ----------
    runs : DataFrame
        The runs of one league: one an optimizer, problem and seed.

    Returns
    -------
    dict of dict of array
        By optimizer, then by problem, both sorted: positions of rows. The order of the rows
        themselves does not matter.
    """
    keys = ["optimizer", "problem", "seed", "run"]
    codes = [pd.factorize(runs[key], sort=True)[0] for key in keys]
    order = np.lexsort(codes[::-1])
    pair = np.stack(codes[:2])[:, order]
    first = np.flatnonzero(np.any(np.diff(pair, axis=1, prepend=-1), axis=0))
    found: dict[str, dict[str, Rows]] = {}
    for rows in np.split(order, first[1:]) if len(order) else []:
        optimizer, problem = runs["optimizer"].iloc[rows[0]], runs["problem"].iloc[rows[0]]
        found.setdefault(str(optimizer), {})[str(problem)] = rows
    return found
