"""Profiles over problems: Dolan and More's, AlgoPerf's score of it, More and Wild's."""

from __future__ import annotations

import numpy as np
import pandas as pd

from optbench.analysis.quantiles import Floats
from optbench.analysis.ranks import median_steps

FURTHEST = 4.0
"""The ratio from which on AlgoPerf grants nothing."""

DATA_PROFILE = ["optimizer", "share", "value", "problems", "left_out"]


def performance_profile(scores: pd.DataFrame) -> pd.DataFrame:
    r"""Share of problems that an optimizer solves within a factor of the fastest one's steps.

    .. math:: \rho_s(\tau) = |\{p : r_{p,s} \le \tau\}| / |P|, \quad
       r_{p,s} = t_{p,s} / \min_s t_{p,s}

    with t the median steps to target (Dolan and More 2002, section 2); a miss is within no
    factor, and a problem that nobody solves counts in :math:`|P|`. The fastest is taken from the
    optimizers given: the profile changes with who they are (Gould and Scott 2016 show that even
    the order of two can).

    Parameters
    ----------
    scores : DataFrame
        Of `scores`; only optimizers that have one on every problem given.

    Returns
    -------
    DataFrame
        ``optimizer``, ``tau``, ``share``, sorted by the first two: a step function, constant
        from one row to the next. Each starts at 1 and ends at the largest ratio of all.
    """
    ratios = _ratios(scores)
    problems = len(ratios)
    values = ratios.to_numpy()
    last = float(np.max(values, where=np.isfinite(values), initial=1.0))
    parts = []
    for column, optimizer in enumerate(ratios.columns):
        reached = np.sort(values[np.isfinite(values[:, column]), column])
        tau = np.unique(np.concatenate([[1.0, last], reached]))
        share = np.searchsorted(reached, tau, side="right") / problems
        parts.append(pd.DataFrame({"optimizer": optimizer, "tau": tau, "share": share}))
    if not parts:
        return pd.DataFrame({"optimizer": [], "tau": [], "share": []})
    return pd.concat(parts, ignore_index=True)


def algoperf_score(scores: pd.DataFrame) -> pd.DataFrame:
    r"""Mean over problems of :math:`\mathrm{clip}(4 - r, 0) / 3`.

    The area under `performance_profile` from 1 to 4 by its width, the score of AlgoPerf (Dahl
    et al. 2023): 1 is the fastest everywhere, 0 never within four times the fastest.
    It changes with who else is given, as the profile does.

    Returns
    -------
    DataFrame
        ``optimizer``, ``score``, the best first.
    """
    ratios = _ratios(scores)
    score = ((FURTHEST - ratios).clip(lower=0) / (FURTHEST - 1)).mean()
    table = pd.DataFrame({"optimizer": list(ratios.columns), "score": score.to_numpy()})
    return table.sort_values(["score", "optimizer"], ascending=[False, True], ignore_index=True)


def data_profile(
    runs: pd.DataFrame, targets: pd.DataFrame, problems: pd.DataFrame, tau: float
) -> pd.DataFrame:
    r"""Share of problems that an optimizer has converged on, by the share of the budget spent.

    Converged is :math:`f(x_0) - f(x) \ge (1 - \tau)(f(x_0) - f_*)`, which is a relative gap of
    :math:`\tau` or less (More and Wild 2009, equation 2.2, with the problem's own minimum
    :math:`f_*` where they take the best value found by anyone: so the profile does not depend on
    who took part). A problem counts by the share of its seeds. Spent are gradient evaluations by
    the problem's budget, where they count function values by the dimension plus one.

    Parameters
    ----------
    runs : DataFrame
        The runs of one league.
    targets : DataFrame
        Of `Results`.
    problems : DataFrame
        Of `Results`. A problem of which only a lower bound is known, or that does not keep tau
        among its targets, is left out.
    tau : float

    Returns
    -------
    DataFrame
        ``optimizer``, ``share`` (of the budget), ``value``, sorted by these: a step function,
        constant from one row to the next, from 0 to 1; ``problems`` (counted), ``left_out``
        (of those the optimizer ran on).
    """
    kept = targets[np.isclose(targets["target"].to_numpy(dtype=np.float64), tau, rtol=1e-6, atol=0)]
    hits = runs[["run", "optimizer", "problem", "seed", "budget"]].merge(
        kept[["run", "step"]], on="run", how="left", indicator="side"
    )
    # That a problem keeps tau shows in any of its runs; one that failed has kept nothing.
    keeps = hits[hits["side"] == "both"]["problem"]
    bound = problems[problems["minimum_is_bound"].astype(bool)]["problem"]
    ran_on = hits.groupby("optimizer")["problem"].nunique()
    hits = hits[hits["problem"].isin(keeps) & ~hits["problem"].isin(bound)]
    if hits.empty:
        return pd.DataFrame({name: [] for name in DATA_PROFILE})
    counted = hits.groupby("optimizer")["problem"].nunique()
    seeds = hits.groupby(["optimizer", "problem"])["run"].transform("size")
    hits = hits.assign(
        share=hits["step"] / hits["budget"],
        weight=1 / seeds / hits["optimizer"].map(counted),
    )
    parts = []
    # What is added up is sorted first, so that the order of the rows cannot matter.
    for optimizer, part in hits.sort_values(["share", "problem", "seed"]).groupby("optimizer"):
        reached = part[part["share"].notna()]
        at = reached["share"].to_numpy(dtype=np.float64)
        total: Floats = np.concatenate([[0.0], reached["weight"].to_numpy().cumsum()])
        share = np.unique(np.concatenate([[0.0, 1.0], at]))
        curve = {"share": share, "value": total[np.searchsorted(at, share, side="right")]}
        size = counted[optimizer]
        about = {"problems": size, "left_out": ran_on[optimizer] - size}
        parts.append(pd.DataFrame({"optimizer": optimizer, **curve, **about}))
    return pd.concat(parts, ignore_index=True)


def _ratios(scores: pd.DataFrame) -> pd.DataFrame:
    """Median steps by the fewest of any, problems by optimizers; infinite for a miss."""
    steps = median_steps(scores)
    # On a problem that nobody solves nobody is the fastest: infinite by infinite is no ratio.
    return steps.div(steps.min(axis=1), axis=0).fillna(np.inf)
