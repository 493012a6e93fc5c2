r"""What tuning is worth: the best of k settings, or of k optimizers at their defaults.

A grid of n settings was run. Whoever tries k of them, drawn at random without replacement, and
keeps the best gets the one of rank r with probability

.. math:: P(r) = \binom{n - r}{k - 1} / \binom{n}{k},

so that the expected score for each k is a weighted sum over the grid, exactly and without drawing
anything (Dodge et al. 2019, Show Your Work, draw with replacement; nobody tries a setting twice).
As in the tuned league the rank comes from one half of the seeds and the score from the other, both
ways: scored on the seeds that ranked it, the best of k is too good, and the more so the larger k.
A curve need not rise: what ranks and what scores are different seeds.

The score is the area under a run's runtime distribution (`run_areas`).
"""

from __future__ import annotations

from functools import lru_cache
from math import comb

import numpy as np
import pandas as pd

from optbench.analysis.attainment import run_areas
from optbench.analysis.leagues import (
    FOLD,
    SETTING,
    candidates,
    graded,
    in_halves,
    runs_on,
    unscheduled,
)
from optbench.analysis.quantiles import Floats


def best_of_k(runs: pd.DataFrame, targets: pd.DataFrame) -> pd.DataFrame:
    """Return expected score of the best of k of an optimizer's settings.

    Settings, seeds and halves are those of the tuned league, and with k the whole grid so is the
    choice. An optimizer's score is the mean over the problems where it has several settings; where
    it has fewer than k, the whole grid is what k buys.

    Parameters
    ----------
    runs : DataFrame
        Of `Results`: all settings, not one league.
    targets : DataFrame
        Of `Results`.

    Returns
    -------
    DataFrame
        ``optimizer``, ``k`` (from 1), ``value`` (0 to 1), ``problems`` (how many), sorted by the
        first two.
    """
    entered, _ = candidates(runs)
    settings = in_halves(entered)
    if settings.empty:
        return pd.DataFrame({name: [] for name in ("optimizer", "k", "value", "problems")})
    by = [*SETTING, "fold"]
    # Sorted, so that sums do not depend on the order of the rows.
    scored = runs_on(runs, settings, "evaluation_seeds").sort_values([*by, "seed"])
    area = run_areas(scored, targets).to_numpy()
    area = scored.assign(area=area).groupby(by, dropna=False)["area"].mean()
    ranked = graded(runs_on(runs, settings, "selection_seeds"), by).merge(area.reset_index(), on=by)

    rows = []
    for optimizer, of_optimizer in ranked.groupby("optimizer"):
        grids = [part["area"].to_numpy() for _, part in of_optimizer.groupby(FOLD, sort=True)]
        tries = np.arange(1, max(len(grid) for grid in grids) + 1)
        curves = [(best_rank(len(grid)) @ grid)[np.minimum(tries, len(grid)) - 1] for grid in grids]
        value = np.mean(curves, axis=0)
        problems = of_optimizer["problem"].nunique()
        rows.append(
            pd.DataFrame({"optimizer": optimizer, "k": tries, "value": value, "problems": problems})
        )
    return pd.concat(rows, ignore_index=True)


def best_of_defaults(runs: pd.DataFrame, targets: pd.DataFrame) -> pd.DataFrame:
    """Return expected score of trying k optimizers at their defaults and keeping the best.

    What Schmidt et al. 2021 set against the tuning of one optimizer, by the same halves and the
    same score as `best_of_k`. It is about the optimizers that are there, all equally
    likely to be tried, and changes with who they are. Variants compute what their base does, and
    are left out; so is an optimizer without defaults on one of the problems.

    Parameters
    ----------
    runs, targets : DataFrame
        As for `best_of_k`.

    Returns
    -------
    DataFrame
        ``k``, ``value``, ``problems``, sorted by ``k``.
    """
    defaults = unscheduled(runs)
    defaults = defaults[defaults["default"].astype(bool) & (defaults["variant"] == "")]
    ran_on = defaults.groupby("optimizer")["problem"].transform("nunique")
    complete = defaults[ran_on == defaults["problem"].nunique()]
    # Which optimizer is now a setting of somebody who may take any.
    anybody = complete.assign(hyperparameters=complete["optimizer"], lr=np.nan, optimizer="any")
    return best_of_k(anybody, targets)[["k", "value", "problems"]]


@lru_cache(maxsize=64)
def best_rank(settings: int) -> Floats:
    """How likely the best of k out of n is the one of rank r.

    Returns
    -------
    array [n, n]
        By k and r, both from 1; each row sums to one. Read-only.
    """
    chances: Floats = np.array(
        [
            [comb(settings - r, k - 1) / comb(settings, k) for r in range(1, settings + 1)]
            for k in range(1, settings + 1)
        ]
    )
    chances.setflags(write=False)
    return chances
