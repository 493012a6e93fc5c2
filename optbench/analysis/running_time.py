"""What a success costs, with all the failures paid for."""

from __future__ import annotations

import numpy as np
import pandas as pd


def expected_running_time(runs: pd.DataFrame) -> pd.DataFrame:
    r"""Gradient evaluations spent, by success: what restarting until one arrives costs.

    .. math:: \mathrm{ERT} = \frac{\sum_i \min(t_i, T_i)}{|\{i : t_i < \infty\}|}

    with :math:`t_i` the steps of run i to the headline target and :math:`T_i` what it used up to
    its end: the budget, or less where it diverged or failed (Hansen et al. 2021, COCO;
    Auger and Hansen 2005). A run that diverges early is a cheap miss here; `scores` shows
    how often that is.

    Parameters
    ----------
    runs : DataFrame
        The runs of one league.

    Returns
    -------
    DataFrame
        Sorted by ``optimizer``, ``problem``: ``ert`` (infinite without a success), ``reached``
        of ``runs``.
    """
    hit = runs["steps_to_target"].notna()
    spent = runs["steps_to_target"].where(hit, runs["steps"])
    groups = runs.assign(hit=hit, spent=spent).groupby(["optimizer", "problem"])
    table = groups.agg(spent=("spent", "sum"), reached=("hit", "sum"), runs=("hit", "size"))
    reached = table["reached"]
    ert = (table["spent"] / reached.where(reached > 0)).fillna(np.inf)
    return table.assign(ert=ert)[["ert", "reached", "runs"]].reset_index()
