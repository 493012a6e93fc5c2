"""The metrics of a store by commit, as `optbench.tracking.history` takes them."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pandas as pd

from optbench.analysis.data_parallel import data_parallel
from optbench.analysis.results import Results
from optbench.analysis.tracked import tracked
from optbench.tracking.history import COLUMNS

LEAST = {"float64": 0.01, "float32": 0.05}
"""By dtype: the part by which a value has to be worse. In float32 a sum in another order moves what
a long or noisy training ends on."""

ALIKE = ["machine", "environment_label", "problem_version", "data", "dtype", "device", "budget"]


def store_values(results: Results, nights: pd.DataFrame | None = None) -> pd.DataFrame:
    """One row a metric and commit, with the columns of `optbench.tracking.history.COLUMNS`.

    Metrics: ``steps_to_target`` and ``failed_seeds`` of the tuned league, ``final_gap`` of the
    default one. A run is kept under the code that made it, and not made again while that stands:
    its value is that of every commit with this code. Runs of a checkout with changes that were
    not committed belong to no commit, unless a nightly run found their code at one.

    Parameters
    ----------
    results : Results
        Of a store.
    nights : DataFrame or None
        ``commit``, ``optimizer``, ``code``: which code each run found. Without, a code's values
        are those of the commits at which its runs were made, and a revert goes unseen.
    """
    where = results.environments[["environment", "commit", "dirty"]].assign(
        machine=_machines(results.environments),
        environment_label=[
            f"python {row.python}, torch {row.torch}, numpy {row.numpy}, {row.device}"
            for row in results.environments.itertuples()
        ],
    )
    runs = results.runs[~data_parallel(results.runs)]
    runs = runs.drop(columns="commit", errors="ignore").merge(where, on="environment")
    clean = runs[runs["commit"].notna() & ~runs["dirty"].fillna(False).astype(bool)]
    made = clean.groupby(["optimizer", "code", "commit"])["run"].max().reset_index()
    if nights is not None and len(nights):
        seen = nights.assign(run=0)
        made = pd.concat([made, seen[["optimizer", "code", "commit", "run"]]])
        made = made.drop_duplicates(["optimizer", "code", "commit"])
    runs = runs.merge(made[["optimizer", "code"]].drop_duplicates(), on=["optimizer", "code"])
    if runs.empty:
        return pd.DataFrame(columns=list(COLUMNS))
    frames = []
    # The codes of an optimizer in the order of age, so that leagues never mix two of them.
    runs["generation"] = runs.groupby("optimizer")["code"].transform(
        lambda codes: codes.map({code: n for n, code in enumerate(codes.unique())})
    )
    for key, alike in runs.groupby([*ALIKE, "generation"], sort=True, dropna=False):
        named = dict(zip(ALIKE, key, strict=False))
        code = dict(alike[["optimizer", "code"]].drop_duplicates().itertuples(index=False))
        frames += [
            asdict(row)
            | _labels(named)
            | {"code": code[row.optimizer], "value": float(np.median(row.samples))}
            for row in tracked(alike, str(named["dtype"]))
        ]
    scored = pd.DataFrame(frames)
    placed = scored.merge(made, on=["optimizer", "code"]).rename(columns={"run": "order"})
    return placed[list(COLUMNS)]


def _machines(environments: pd.DataFrame) -> pd.Series[str]:
    """Processor, threads and system, without the kernel's release: it changes from night to
    night, and no result with it."""
    system = environments["os"].str.split().map(lambda words: " ".join((words[0], words[-1])))
    return environments["cpu"] + ", " + environments["threads"].astype(str) + " thread, " + system


def _labels(alike: dict[str, object]) -> dict[str, object]:
    dtype = str(alike["dtype"])
    parameters = f"budget={alike['budget']}, {dtype}"
    if alike["device"] != "cpu":
        parameters += f", {alike['device']}"
    return {
        "source": "store",
        "machine": alike["machine"],
        "environment": alike["environment_label"],
        "benchmark": "store",
        "parameters": parameters,
        "exact": True,
        "least": LEAST.get(dtype, LEAST["float32"]),
        "version": f"{alike['problem_version']} {alike['data']}".strip(),
        "status": "measured",
    }
