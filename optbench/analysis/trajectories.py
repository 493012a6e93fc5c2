"""Paths through a landscape of two dimensions."""

from __future__ import annotations

import pandas as pd

from optbench.analysis.traced import points


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
    found = points(about, traces, ["x0", "x1"])
    run = about["run"].to_numpy()[found.row]
    long = {"run": run, "step": found.step, "metric": found.metric.array, "value": found.value}
    wide = (
        pd.DataFrame(long)
        .pivot_table(index=["run", "step"], columns="metric", values="value", observed=True)
        .reindex(columns=["x0", "x1"])
    )
    path = wide.reset_index().merge(about, on="run").drop(columns="run")
    order = ["optimizer", "step", "x0", "x1", "lr", "status", "steps_to_target", "final_gap"]
    return path[order].sort_values(["optimizer", "step"]).reset_index(drop=True)
