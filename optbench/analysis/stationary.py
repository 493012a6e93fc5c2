"""The cloud around a minimum, in which a fixed learning rate ends under noise."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from optbench.analysis.quantiles import Floats
from optbench.analysis.resampling import LEVEL
from optbench.analysis.results import FINISHED
from optbench.analysis.traced import points

SETTING = ["optimizer", "lr", "hyperparameters"]
COLUMNS = [*SETTING, "gap", "low", "high", "runs", "drift"]
BEGIN, MIDDLE = 3 / 4, 7 / 8
"""Shares of the budget at which the last quarter and the last eighth begin."""


def stationary_gap(runs: pd.DataFrame, traces: pd.DataFrame, problem: str) -> pd.DataFrame:
    """Mean gap over the last quarter of the budget, by setting.

    Of each run the mean over the logged steps of that quarter (the last value before it, of a run
    that logged none there); of these the mean over seeds, with the interval of Student's t over
    seeds: steps of one run are not independent, seeds are. A mean, since theory gives
    the mean of the noise-free gap.

    Parameters
    ----------
    runs : DataFrame
        Of `Results`, any of its settings.
    traces : DataFrame
        Of `Results`.
    problem : str

    Returns
    -------
    DataFrame
        Sorted by ``optimizer``, ``lr``, ``hyperparameters``: ``gap`` (not relative; infinite where
        a run diverged or failed), ``low``, ``high`` (95 %; NaN for a single run or an infinite
        gap), ``runs``, ``drift`` (the mean gap over the last eighth of the budget by that over the
        one before: 1 but for noise where the cloud is stationary, less where it still shrinks).
    """
    here = runs[(runs["problem"] == problem).to_numpy(dtype=bool)].sort_values([*SETTING, "seed"])
    found = points(here, traces, ["gap"])
    # Sorted, so that sums do not depend on the order of the rows.
    order = np.lexsort([found.step, found.row])
    row, value = found.row[order], found.value[order]
    when = found.step[order] / here["budget"].to_numpy()[row]
    last = np.full(len(here), np.nan)
    before = when <= BEGIN
    last[row[before]] = value[before]  # sorted by step: the last one stays

    def mean(after: float, until: float) -> Floats:
        inside = (when > after) & (when <= until)
        count = np.bincount(row[inside], minlength=len(here))
        total = np.bincount(row[inside], weights=value[inside], minlength=len(here))
        with np.errstate(invalid="ignore"):
            return np.where(count > 0, total / count, last)

    lost = (~here["status"].isin(FINISHED)).to_numpy(dtype=bool)
    each = here[SETTING].assign(
        gap=np.where(lost, np.inf, mean(BEGIN, 1)),
        early=mean(BEGIN, MIDDLE),
        late=mean(MIDDLE, 1),
    )
    groups = each.groupby(SETTING, dropna=False)
    table = groups.agg(gap=("gap", "mean"), runs=("gap", "size"))
    spread = groups["gap"].std() / np.sqrt(table["runs"])
    half = spread * stdtrit(np.maximum(table["runs"] - 1, 1), (1 + LEVEL) / 2)
    drift = (groups["late"].sum() / groups["early"].sum()).where(np.isfinite(table["gap"]))
    table = table.assign(low=table["gap"] - half, high=table["gap"] + half, drift=drift)
    return table.reset_index()[COLUMNS]
