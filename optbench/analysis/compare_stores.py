"""Two stores side by side: what became of the same optimizers."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd

from optbench.analysis.against import against
from optbench.analysis.results import Results

RUN = [
    *("optimizer", "problem", "problem_version", "data", "dtype", "device", "budget"),
    *("lr", "hyperparameters", "seed"),
]
"""Columns that identify a run in two stores."""

OUTCOME = ["status", "steps", "final_gap", "steps_to_target"]
"""Columns that are equal where two runs computed the same."""


def in_both(older: Results, newer: Results) -> tuple[Results, Results]:
    """Join runs of equal `RUN`, each side with its own outcome.

    Of another budget, version, grid of rates or seed, one side would be measured by another
    measure than the other.
    """
    keys = [pd.MultiIndex.from_frame(side.runs[RUN]) for side in (older, newer)]
    kept = [
        side.runs[own.isin(other)]
        for side, own, other in zip((older, newer), keys, keys[::-1], strict=True)
    ]
    return replace(older, runs=kept[0]), replace(newer, runs=kept[1])


def newer_by_older(older: pd.DataFrame, newer: pd.DataFrame) -> pd.DataFrame:
    """Return steps to target of the newer runs by those of the older, an optimizer with itself.

    Parameters
    ----------
    older, newer : DataFrame
        The runs of one league each: one an optimizer, problem and seed.

    Returns
    -------
    DataFrame
        The rows of `against`, over all problems (``problem`` is '') and by problem, for every
        optimizer that is in both: ``faster`` is where the newer is.
    """
    both = sorted(set(older["optimizer"]) & set(newer["optimizer"]))
    parts = []
    for name in both:
        sides = [
            runs[(runs["optimizer"] == name).to_numpy(dtype=bool)].assign(optimizer=side)
            for side, runs in (("older", older), ("newer", newer))
        ]
        found = against(pd.concat(sides, ignore_index=True), "older")
        parts.append(found.assign(optimizer=name))
    return pd.concat(parts, ignore_index=True) if parts else against(older.iloc[:0], "older")


def identical(older: pd.DataFrame, newer: pd.DataFrame) -> pd.DataFrame:
    """How many of the runs that both stores have ended on the same figures, to the last bit.

    Returns
    -------
    DataFrame
        ``optimizer``, ``runs`` (in both), ``identical``.
    """
    both = older[[*RUN, *OUTCOME]].merge(newer[[*RUN, *OUTCOME]], on=RUN, suffixes=("", "_newer"))
    same = pd.Series(True, index=both.index)
    for column in OUTCOME:
        one, other = both[column], both[f"{column}_newer"]
        same &= (one == other) | (one.isna() & other.isna())
    counted = both.assign(identical=same).groupby("optimizer")["identical"].agg(["size", "sum"])
    return counted.rename(columns={"size": "runs", "sum": "identical"}).reset_index()
