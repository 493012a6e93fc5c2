"""The claim that trying several optimizers is worth as much as tuning one."""

from __future__ import annotations

import numpy as np
import pandas as pd

from optbench.analysis.attainment import run_areas
from optbench.analysis.claims.claim import Evidence, Finding, Undecided, Verdict
from optbench.analysis.claims.needed import GENERAL, command, needed
from optbench.analysis.claims.ratios import ALPHA, counted, median_of
from optbench.analysis.leagues import folds, unscheduled

TUNED = "adam"
TRIED = (
    *("adam", "momentum", "rmsprop", "adagrad", "nadam"),
    *("nesterov", "adadelta", "radam", "amsgrad", "adamax", "sgd"),
)
"""Those of the paper that are here, in the order in which one would try them; fixed, so that no
other optimizer in a store changes what was tried. (Its list: Schmidt et al. 2021, table 2.)"""

MARGIN = 0.05
"""Of the area: "about as well" is within a factor of 10^(3 x 0.05) = 1.4 in evaluations. An area of
one is three decades."""


def trying_is_tuning(evidence: Evidence) -> Finding:
    """Judge the claim that k optimizers at their defaults do as well as k learning rates of one.

    A run's score is the area under its runtime distribution (`run_areas`). On each problem, and
    for each half of the seeds, the best of k default settings and the best of k learning rates of
    Adam are chosen by their mean score on one half, and scored on the other. The median over
    problems of the difference of the two scores decides, with its exact interval. Supported: the
    interval lies above -0.05 (about as well, or better). Refuted: it lies below 0, with a median
    below -0.05.
    """
    runs = unscheduled(needed(evidence.results.runs, TRIED, GENERAL))
    runs = runs[(runs["default"] | (runs["optimizer"] == TUNED)).to_numpy(dtype=bool)]
    area = run_areas(runs, evidence.results.targets)
    scored = runs.assign(area=area.to_numpy())
    rows = [_problem(str(name), each) for name, each in scored.groupby("problem", sort=True)]
    table = pd.DataFrame([row for row in rows if row is not None])
    if table.empty:
        raise Undecided(f"No problem has both. To make such runs: {command(TRIED, GENERAL)}")
    middle, low, high = median_of(table["difference"], ALPHA)
    verdict = Verdict.of(low > -MARGIN, high < 0 and middle < -MARGIN)
    text = (
        f"Over {counted(len(table))} the best of {int(table['k'].median())} optimizers at their "
        f"defaults scores {middle:+.3f} [{low:+.3f}, {high:+.3f}] against the best of as many "
        f"learning rates of {TUNED} (area under the runtime distribution: on average "
        f"{table['tried'].mean():.2f} and {table['tuned'].mean():.2f}; 0.05 is a factor of 1.4 in "
        "evaluations)."
    )
    return Finding(
        verdict,
        text,
        *(middle, low, high),
        f"area, best of the defaults less best rate of {TUNED}",
        table,
        int(table["runs"].sum()),
    )


def _problem(name: str, runs: pd.DataFrame) -> dict[str, object] | None:
    """Return a row of the detail; None where there are too few settings or seeds on either side."""
    defaults = runs[runs["default"].to_numpy(dtype=bool)]
    rates = runs[((runs["optimizer"] == TUNED) & (runs["hyperparameters"] == "{}")).to_numpy()]
    tried = defaults.pivot_table(index="optimizer", columns="seed", values="area")
    tuned = rates.pivot_table(index="lr", columns="seed", values="area")
    tried = tried.reindex([name for name in TRIED if name in tried.index])
    k = min(len(tried), len(tuned))
    seeds = sorted(set(tried.columns) & set(tuned.columns))
    if k < 2 or len(seeds) < 2:
        return None
    # The fewer of the two is what both may try: rates are left out evenly, from the ends inwards.
    even = np.unique(np.linspace(0, len(tuned) - 1, k).round().astype(int))
    tried, tuned = tried.iloc[:k][seeds], tuned.iloc[even][seeds]
    if tried.isna().to_numpy().any() or tuned.isna().to_numpy().any():
        return None
    scores = {"tried": _cross_fitted(tried, seeds), "tuned": _cross_fitted(tuned, seeds)}
    return {
        "problem": name,
        **scores,
        "difference": scores["tried"] - scores["tuned"],
        "k": k,
        "runs": tried.size + tuned.size,
    }


def _cross_fitted(area: pd.DataFrame, seeds: list[int]) -> float:
    """Return the mean over all seeds of what the choice of the other half gives."""
    total = 0.0
    for select, score in folds(seeds):
        best = area[list(select)].mean(axis=1).idxmax()
        total += float(area.loc[best, list(score)].sum())
    return total / len(seeds)
