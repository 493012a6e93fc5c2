"""One row an optimizer: how much it solves, how fast, at what cost."""

from __future__ import annotations

import numpy as np
import pandas as pd

MACHINE = ["cpu", "threads", "os", "python", "torch", "device"]
"""Columns that have to be equal for two times to be compared."""


def summary(
    scores: pd.DataFrame, runs: pd.DataFrame, environments: pd.DataFrame, baseline: str
) -> pd.DataFrame:
    r"""Return the headline of a league.

    Parameters
    ----------
    scores : DataFrame
        Of `scores`.
    runs : DataFrame
        The league's runs.
    environments : DataFrame
        Of `Results`; times of different machines are never compared.
    baseline : str
        The optimizer that ratios refer to.

    Returns
    -------
    DataFrame
        Best first: ``optimizer``, ``base``, ``variant``, ``solved`` of ``problems``,
        ``reached`` of ``runs`` and their ``share``, ``steps_ratio`` (median over the
        ``steps_problems`` problems that both solve of :math:`t / t_\mathrm{baseline}`, with t
        the median steps to target), ``diverged``, ``failed`` (runs), ``seconds_ratio``
        (geometric mean over ``seconds_problems`` problems of the ratio of median seconds a
        step), ``state_bytes`` (optimizer state a parameter, on the problem of the largest
        dimension that it ran on).
    """
    groups = scores.groupby("optimizer")
    table = groups.agg(
        base=("base", "first"),
        variant=("variant", "first"),
        solved=("solved", "sum"),
        problems=("problem", "size"),
        reached=("reached", "sum"),
        runs=("seeds", "sum"),
        diverged=("diverged", "sum"),
        failed=("failed", "sum"),
    )
    table = table.assign(share=table["reached"] / table["runs"])
    table = table.join(_steps_ratio(scores, baseline))
    table = table.join(seconds_ratio(runs, environments, baseline))
    table = table.join(_state(scores)).reset_index()
    counts = {"steps_problems": 0, "seconds_problems": 0}
    table = table.fillna(counts).astype(dict.fromkeys(counts, "int64"))
    return table.sort_values(
        ["solved", "share", "steps_ratio", "optimizer"], ascending=[False, False, True, True]
    ).reset_index(drop=True)


def _steps_ratio(scores: pd.DataFrame, baseline: str) -> pd.DataFrame:
    solved = scores[scores["solved"]][["optimizer", "problem", "median_steps"]]
    reference = solved[solved["optimizer"] == baseline][["problem", "median_steps"]]
    both = solved.merge(reference, on="problem", suffixes=("", "_baseline"))
    ratio = both["median_steps"] / both["median_steps_baseline"]
    groups = both.assign(ratio=ratio).groupby("optimizer")["ratio"]
    return pd.DataFrame({"steps_ratio": groups.median(), "steps_problems": groups.size()})


def seconds_ratio(runs: pd.DataFrame, environments: pd.DataFrame, baseline: str) -> pd.DataFrame:
    r"""Seconds a step by those of the baseline: ``seconds_ratio``, ``seconds_problems``.

    :math:`\exp(\mathrm{mean}_p \log(s_p / s_{p,\mathrm{baseline}}))`, s the median over runs on
    one machine: the geometric mean is the one mean of ratios that does not depend on which side
    is the reference (Fleming and Wallace 1986).
    """
    machine = environments[["environment", *MACHINE]].drop_duplicates("environment")
    code = machine.groupby(MACHINE, dropna=False).ngroup()
    machine = machine[["environment"]].assign(machine=code)
    timed = runs[runs["seconds_per_step"] > 0][
        ["optimizer", "problem", "environment", "seconds_per_step"]
    ].merge(machine, on="environment", how="left")
    timed = timed.fillna({"machine": -1})
    key = ["optimizer", "problem", "machine"]
    median = timed.groupby(key)["seconds_per_step"].median().rename("seconds").reset_index()
    reference = median[median["optimizer"] == baseline][["problem", "machine", "seconds"]]
    both = median.merge(reference, on=["problem", "machine"], suffixes=("", "_baseline"))
    log = np.log(both["seconds"] / both["seconds_baseline"])
    groups = both.assign(log=log).groupby("optimizer")
    return pd.DataFrame(
        {
            "seconds_ratio": np.exp(groups["log"].mean()),
            "seconds_problems": groups["problem"].nunique(),
        }
    )


def _state(scores: pd.DataFrame) -> pd.Series[float]:
    """Bytes of state a parameter on the largest problem, where fixed costs weigh least."""
    known = scores[scores["state_bytes"].notna()].sort_values(["dimension", "problem"])
    largest = known.drop_duplicates("optimizer", keep="last").set_index("optimizer")
    return (largest["state_bytes"] / largest["dimension"]).rename("state_bytes")
