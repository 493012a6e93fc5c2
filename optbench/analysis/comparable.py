"""Which of the stored runs may stand in one table, and what was left out for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pandas as pd

from optbench.analysis.data_parallel import data_parallel
from optbench.analysis.results import Results

RUN_KEY = ["optimizer", "problem", "lr", "hyperparameters", "seed"]
"""Columns that identify a run among those of one version, data, dtype, device and budget."""


@dataclass(frozen=True)
class Comparable:
    """Results that never mix versions, data, dtypes, devices or budgets of a problem.

    Attributes
    ----------
    results : Results
        The runs kept, and one row of `Results.problems` for each of their problems.
    left_out : DataFrame
        ``what``, ``reason``, ``runs``: what a reader has to know is missing.
    """

    results: Results
    left_out: pd.DataFrame


def comparable(results: Results, baseline: str = "") -> Comparable:
    """Keep what can be compared, and say what could not.

    Data-parallel runs repeat those of one process: none is kept. Of several dtypes and devices in
    one store the most frequent pair is kept; of a problem's versions the newest; of its data and
    of its budgets the most frequent. It is the baseline's runs that are counted where it has some:
    a new optimizer in the store must not decide what is said of the others. Of runs that differ in
    nothing but the code or the environment the latest is kept.
    """
    runs = results.runs.sort_values("run", kind="stable").reset_index(drop=True)
    notes: list[pd.DataFrame] = []

    def most_frequent(what: Sequence[str], within: Sequence[str]) -> pd.DataFrame:
        of_baseline = runs[(runs["optimizer"] == baseline).to_numpy(dtype=bool)]
        counted = [_most_frequent(some, what, within) for some in (of_baseline, runs)]
        found = pd.concat([each for each in counted if len(each)])
        return found.drop_duplicates(list(within)) if within else found.head(1)

    divided = data_parallel(runs)
    if divided.any():
        counts = runs[divided].groupby("optimizer").size()
        notes.append(_note(counts, "data-parallel, which stands in no league"))
        runs = runs[~divided].reset_index(drop=True)
    arithmetic = most_frequent(["dtype", "device"], within=[])
    runs = _keep(runs, arithmetic, "other dtype or device than most runs", notes)
    versions = runs[["optimizer", "problem", "problem_version"]].drop_duplicates()
    of_baseline = versions["optimizer"] == baseline
    newest = versions.assign(of_baseline=of_baseline).sort_values(
        ["of_baseline", "problem_version"]
    )
    newest = newest.drop_duplicates("problem", keep="last")[["problem", "problem_version"]]
    runs = _keep(runs, newest, "other version of the problem", notes)
    data = most_frequent(["data"], within=["problem"])
    runs = _keep(runs, data, "other data than most runs of the problem", notes)
    budget = most_frequent(["budget"], within=["problem"])
    runs = _keep(runs, budget, "other budget than most runs of the problem", notes)

    # NaN is a value here: the learning rate of an optimizer that has none.
    repeated = runs.duplicated(RUN_KEY, keep="last")
    if repeated.any():
        counts = runs[repeated].groupby("optimizer").size()
        notes.append(
            _note(counts, "run again later (other code or environment); the latest counts")
        )
        runs = runs[~repeated].reset_index(drop=True)

    left_out = (
        pd.concat(notes, ignore_index=True)
        if notes
        else pd.DataFrame({"what": [], "reason": [], "runs": []})
    )
    return Comparable(replace(results, runs=runs, problems=_problems(results, runs)), left_out)


def _note(counts: pd.Series[int], reason: str) -> pd.DataFrame:
    return pd.DataFrame({"what": counts.index, "reason": reason, "runs": counts.to_numpy()})


def _most_frequent(runs: pd.DataFrame, what: Sequence[str], within: Sequence[str]) -> pd.DataFrame:
    columns = [*within, *what]
    counted = runs.groupby(columns, observed=True).size().rename("count").reset_index()
    # The columns themselves break a tie, so that the answer does not depend on the rows' order.
    ordered = counted.sort_values(
        ["count", *columns], ascending=[False, *(True,) * len(columns)], key=_usual_first
    )
    first = ordered.drop_duplicates(list(within)) if within else ordered.head(1)
    return first[columns]


def _usual_first(column: pd.Series) -> pd.Series:
    """Of as many runs in two dtypes those in float32 are meant, not the first by its name."""
    return column.ne("float32") if column.name == "dtype" else column


def _keep(
    runs: pd.DataFrame, kept: pd.DataFrame, reason: str, notes: list[pd.DataFrame]
) -> pd.DataFrame:
    columns = list(kept.columns)
    marked = runs.merge(kept, on=columns, how="left", indicator="side")
    out = (marked["side"] == "left_only").to_numpy()
    if out.any():
        counts = runs[out].groupby(columns, observed=True).size()
        what = counts.index.to_frame(index=False).astype(str).agg(", ".join, axis=1)
        notes.append(_note(counts.set_axis(what), reason))
    return runs[~out].reset_index(drop=True)


def _problems(results: Results, runs: pd.DataFrame) -> pd.DataFrame:
    """One row a problem that was run, in the order of `Results.problems`; unknown ones last."""
    key = ["problem", "problem_version", "data"]
    ran = runs[[*key, "family", "dimension", "budget"]].drop_duplicates(key)
    known = results.problems.drop_duplicates(key).drop(columns=["family", "dimension", "budget"])
    place = known.assign(place=range(len(known)))
    joined = ran.merge(place, on=key, how="left").sort_values(["place", "problem"])
    return joined.drop(columns="place").reset_index(drop=True)
