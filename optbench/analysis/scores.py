"""What each optimizer achieved on each problem: one row a pair."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from optbench.analysis.quantiles import lower_quantile
from optbench.analysis.results import FINISHED

PAIR = ("optimizer", "problem")


def scores(runs: pd.DataFrame, by: Sequence[str] = PAIR) -> pd.DataFrame:
    """Return steps to the headline target, misses and failures, over the seeds of each pair.

    Parameters
    ----------
    runs : DataFrame
        The runs of one league.
    by : sequence of str
        What makes a row.

    Returns
    -------
    DataFrame
        ``optimizer``, ``problem``, ``base``, ``variant``, ``seeds``, ``reached``, ``diverged``,
        ``failed``, ``solved`` (at least half of the seeds reach the target), ``median_steps``
        (the step by which half of them have; NaN where fewer do, and never another value),
        ``median_gap`` (final gap by initial gap, infinite for a run that diverged or failed),
        ``state_bytes``, ``dimension``.
    """
    ok = runs["status"].isin(FINISHED)
    relative = (runs["final_gap"] / runs["initial_gap"]).where(ok)
    marked = runs.assign(
        relative_gap=relative,
        hit=runs["steps_to_target"].notna(),
        was_diverged=runs["status"] == "diverged",
        was_failed=runs["status"] == "failed",
    )
    groups = marked.groupby(list(by))
    table = groups.agg(
        base=("base", "first"),
        variant=("variant", "first"),
        seeds=("hit", "size"),
        reached=("hit", "sum"),
        diverged=("was_diverged", "sum"),
        failed=("was_failed", "sum"),
        state_bytes=("state_bytes", "median"),
        dimension=("dimension", "max"),
    )
    steps = lower_quantile(marked, by, "steps_to_target")
    return table.assign(
        solved=table["reached"] * 2 >= table["seeds"],
        median_steps=steps.where(np.isfinite(steps)),
        median_gap=lower_quantile(marked, by, "relative_gap"),
    ).reset_index()
