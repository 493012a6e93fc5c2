"""The runs that optimizers are ranked by: the same problems for all, as far as they ran on them."""

from __future__ import annotations

import pandas as pd

COUNTEREXAMPLE = "counterexample"
"""The family of problems that were made so that some method fails: they decide claims, no rank."""


def common_ground(runs: pd.DataFrame, baseline: str) -> pd.DataFrame:
    """Return the runs on the baseline's problems, counterexamples apart.

    Areas and ratios over different problems are of different things. The baseline's problems are
    the measure, and not those that most ran on: one more optimizer in the store must not change
    what the others are ranked by. Who ran on none of them keeps what it ran on, as does everybody
    where the baseline did not run, or where there are counterexamples only.

    Parameters
    ----------
    runs : DataFrame
        Of a league.
    baseline : str

    Returns
    -------
    DataFrame
        Rows of ``runs``.
    """
    ordinary = runs[(runs["family"] != COUNTEREXAMPLE).to_numpy(dtype=bool)]
    ground = ordinary if len(ordinary) else runs
    problems = ground.loc[(ground["optimizer"] == baseline).to_numpy(dtype=bool), "problem"]
    within = ground["problem"].isin(problems)
    elsewhere = ~ground["optimizer"].isin(ground.loc[within, "optimizer"])
    return ground[(within | elsewhere).to_numpy(dtype=bool)]
