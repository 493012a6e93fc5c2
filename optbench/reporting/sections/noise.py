"""Noise: the cloud that a fixed rate ends in, measured beside theory."""

from __future__ import annotations

import numpy as np
import pandas as pd

from optbench import analysis
from optbench.reporting import numerals
from optbench.reporting.figure_noise import noise as draw
from optbench.reporting.material import Material
from optbench.reporting.section import Part, Plot, Section

STILL = 0.1
"""A mean gap that differs by more between the last two eighths of the budget is still moving."""

BEGUN = 0.5
"""Of the initial gap: what ends above it, and below the start, has hardly left."""

SHOWN = ("rmsprop", "adagrad")
"""Beside the baseline and those that there is a theory of."""


def noise(material: Material) -> Section | None:
    """Measured stationary gap by rate, with the theory of those that have one."""
    theory = material.inputs.stationary
    if theory is None or theory.empty:
        return None
    parts: list[Part] = []
    results = material.results
    runs = results.runs[(results.runs["variant"] == "").to_numpy(dtype=bool)]
    for problem, expected in theory.groupby("problem"):
        here = ((runs["lr_schedule"] == "") & (runs["problem"] == problem)).to_numpy(dtype=bool)
        measured = analysis.stationary_gap(runs[here], results.traces, str(problem))
        names = {material.baseline, *SHOWN, *expected["optimizer"]}
        shown = _settled(measured, names, expected, runs[here])
        if shown.empty:
            continue
        parts.append(
            Plot(
                f"noise-{problem}",
                f"Stationary gap on {problem}",
                "With noise in the gradient and a fixed learning rate an optimizer does not "
                "arrive: it ends in a cloud about the minimum, which grows with the rate. Dots: "
                "the mean gap over the last quarter of the budget, with a 95 % interval over "
                "seeds; hollow where it was not yet stationary. Lines: what theory gives exactly "
                "on this quadratic, for SGD and heavy ball: the sum over coordinates of half the "
                "eigenvalue times the stationary variance (Mandt et al. 2017).",
                _shows(shown, expected),
                f"Stationary gap by learning rate on {problem}, measured and by theory.",
                draw(shown, expected, material.looks),
                shown,
            )
        )
    return Section("noise", "Noise", tuple(parts)) if parts else None


def _settled(
    measured: pd.DataFrame, names: set[str], theory: pd.DataFrame, runs: pd.DataFrame
) -> pd.DataFrame:
    """One setting a rate, of those that did not blow up, and whether it had come to rest.

    Theory says when, for those that there is one of. For the others a gap that no longer moves
    has to do, if it is well below the start: the slowest rates do not move either.
    """
    kept = measured[measured["optimizer"].isin(names) & np.isfinite(measured["gap"])]
    kept = kept.sort_values(["optimizer", "lr", "hyperparameters"], kind="stable")
    kept = kept.drop_duplicates(["optimizer", "lr"]).reset_index(drop=True)
    known = kept.merge(theory[["optimizer", "lr", "settles"]], on=["optimizer", "lr"], how="left")
    by_theory = known["settles"] <= AT_REST * runs["budget"].max()
    still = (np.abs(np.log(known["drift"])) <= np.log1p(STILL)) & (
        known["gap"] <= BEGUN * runs["initial_gap"].median()
    )
    settled = by_theory.where(known["settles"].notna(), still)
    return known.drop(columns="settles").assign(settled=settled.astype(bool))


AT_REST = 0.75
"""Share of the budget at which the gap that is averaged begins."""


def _shows(shown: pd.DataFrame, expected: pd.DataFrame) -> str:
    both = shown[shown["settled"]].merge(expected, on=["optimizer", "lr"], suffixes=("", "_theory"))
    if both.empty:
        return "No rate with a theory had come to rest within the budget."
    ratio = both["gap"] / both["gap_theory"]
    inside = ((both["low"] <= both["gap_theory"]) & (both["gap_theory"] <= both["high"])).sum()
    return (
        f"At {len(both)} rates that had come to rest the measured gap is "
        f"{numerals.significant(float(ratio.min()))} to {numerals.significant(float(ratio.max()))}"
        f" times that of theory, which lies within the interval at {int(inside)}."
    )
