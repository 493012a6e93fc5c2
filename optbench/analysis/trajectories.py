"""Paths through a landscape of two dimensions."""

from __future__ import annotations

import pandas as pd


def trajectories(runs: pd.DataFrame, traces: pd.DataFrame, problem: str, seed: int) -> pd.DataFrame:
    """Where each optimizer of a league went, on one seed.

    Returns
    -------
    DataFrame
        ``optimizer``, ``step``, ``x0``, ``x1``, ``lr``, ``status``, ``steps_to_target``,
        ``final_gap``; sorted by the first two.
    """
    here = runs[(runs["problem"] == problem) & (runs["seed"] == seed)]
    about = here[["run", "optimizer", "lr", "status", "steps_to_target", "final_gap"]]
    of_these = traces[traces["run"].isin(about["run"]).to_numpy(dtype=bool)]
    points = of_these[of_these["metric"].isin(["x0", "x1"]).to_numpy(dtype=bool)]
    wide = points.pivot_table(
        index=["run", "step"], columns="metric", values="value", observed=True
    ).reindex(columns=["x0", "x1"])
    path = wide.reset_index().merge(about, on="run").drop(columns="run")
    order = ["optimizer", "step", "x0", "x1", "lr", "status", "steps_to_target", "final_gap"]
    return path[order].sort_values(["optimizer", "step"]).reset_index(drop=True)
