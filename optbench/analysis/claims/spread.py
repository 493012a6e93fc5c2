"""Claims about how much runs that differ in nothing but the seed differ in what they reach."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pandas as pd

from optbench.analysis.against import word
from optbench.analysis.claims.claim import Evidence, Finding, Verdict
from optbench.analysis.claims.needed import NOISY, needed, undecided
from optbench.analysis.claims.ratios import ALPHA, counted, told
from optbench.analysis.paired import median_ratio
from optbench.analysis.resampling import percentile_interval, seed_weights
from optbench.analysis.results import FINISHED
from optbench.analysis.tracked import FLOORS, WORST_GAP

OPTIMIZERS = ("adam", "sgd")
PROBLEMS = (
    *("network-2-3-1", "deep-tanh", "mnist-mlp", "mnist-autoencoder"),
    *NOISY,
)
SMALL = (1e-3, 1e-2)
LARGE = (1e-1, 1.0, 10.0)

ALIKE = math.log10(1.01)
"""A standard deviation of less than 1 % counts as this: there is nothing left to reduce."""


def small_rates_reduce_randomness(evidence: Evidence) -> Finding:
    r"""Judge the claim that seeds matter less at learning rates of 0.001 and 0.01 than above.

    For each problem the ratio of the standard deviations over seeds of
    :math:`\log_{10}` (final gap / initial gap), as a geometric mean over both optimizers and the
    rates on either side. A run that diverged counts as the worst, a gap of 1e6; a rate at which
    all of them diverged trains nothing, and is left out. The median over problems with the exact
    interval of the sign test decides. Supported: below one and beyond 5 %. Refuted: above one,
    or within 5 %. Beside it stands the same for the gaps themselves, without the logarithm.
    """
    every = needed(evidence.results.runs, OPTIMIZERS, PROBLEMS)
    every = every[every["lr"].isin([*SMALL, *LARGE]).to_numpy(dtype=bool)]
    # Not at other hyperparameters, a schedule among them, that only one of the two may have had.
    every = every[(every["hyperparameters"] == "{}").to_numpy(dtype=bool)]
    rows = [_problem(str(name), runs) for name, runs in every.groupby("problem", sort=True)]
    table = pd.DataFrame([row for row in rows if row is not None])
    if table.empty:
        raise undecided(OPTIMIZERS, PROBLEMS)
    found = median_ratio(table["ratio"].tolist(), ALPHA)
    said = word(found)
    verdict = Verdict.of(said == "faster", said in ("slower", "equivalent"))
    text = (
        f"Over {counted(len(table))} the spread over seeds of the logarithm of the final gap at lr "
        f"0.001 and 0.01 is {told(found)} times that at 0.1 and above (adam and sgd; smaller on "
        f"{int((table['ratio'] < 1).sum())}). The small rates end at {_share(table['small_gap'])} "
        f"of the initial gap, the large ones at {_share(table['large_gap'])} (medians)."
    )
    unit = "spread over seeds, lr of 0.01 and less / 0.1 and more"
    return Finding.of_ratio(verdict, text, found, unit, table, int(table["runs"].sum()))


def _share(gaps: pd.Series[float]) -> str:
    return f"{float(np.median(gaps)):.2g}"


def _problem(name: str, runs: pd.DataFrame) -> dict[str, object] | None:
    """Return a row of the detail; None where one side trains nothing."""
    seeds = runs.groupby(["optimizer", "lr"])["seed"].agg(lambda s: tuple(sorted(s)))
    common = seeds.mode().iloc[0]
    if len(common) < 2:
        return None
    gap = (runs["final_gap"] / runs["initial_gap"]).where(runs["status"].isin(FINISHED), WORST_GAP)
    floor = FLOORS.get(str(runs["dtype"].iloc[0]), FLOORS["float32"])
    gap = gap.fillna(WORST_GAP).clip(floor, WORST_GAP)
    alike = runs.assign(gap=gap)[runs["seed"].isin(common).to_numpy(dtype=bool)]
    wide = alike.pivot_table(index=["optimizer", "lr"], columns="seed", values="gap").dropna()
    # What every seed loses trains nothing: its seeds agree, in that.
    wide = wide[(wide < WORST_GAP).any(axis=1)]
    small = wide.index.get_level_values("lr").isin(SMALL)
    both = {
        optimizer
        for optimizer, large in zip(wide.index.get_level_values("optimizer"), ~small, strict=True)
        if large
    } & set(wide.index.get_level_values("optimizer")[small])
    kept = wide.index.get_level_values("optimizer").isin(both)
    wide, small = wide[kept], small[kept]
    if not len(wide):
        return None
    values = wide.to_numpy(dtype=np.float64)
    optimizer = pd.factorize(wide.index.get_level_values("optimizer"))[0]
    seeds_here = values.shape[1]
    one = np.full((1, seeds_here), 1 / seeds_here)
    logs = np.log10(values)
    ratio = _ratio(logs, one, small, optimizer, ALIKE)[0]
    draws = _ratio(logs, seed_weights(name, seeds_here), small, optimizer, ALIKE)
    low, high = percentile_interval(draws)
    return {
        "problem": name,
        "ratio": float(ratio),
        "low": float(low),
        "high": float(high),
        "small_gap": float(np.median(values[small])),
        "large_gap": float(np.median(values[~small])),
        "optimizers": len(both),
        "seeds": seeds_here,
        "runs": int(values.size),
    }


def _ratio(
    values: npt.NDArray[np.float64],
    weights: npt.NDArray[np.float64],
    small: npt.NDArray[np.bool_],
    optimizer: npt.NDArray[np.intp],
    least: float,
) -> npt.NDArray[np.float64]:
    """Spread at small rates over that at large ones, for each draw of weights: [draws].

    Parameters
    ----------
    values : array [settings, seeds]
    weights : array [draws, seeds]
        Rows sum to one.
    """
    centred = values - values.mean(axis=1, keepdims=True)
    variance = weights @ np.square(centred).T - np.square(weights @ centred.T)
    logs = 0.5 * np.log(np.maximum(variance, least**2))
    parts = [
        logs[:, small & (optimizer == o)].mean(axis=1)
        - logs[:, ~small & (optimizer == o)].mean(axis=1)
        for o in np.unique(optimizer)
    ]
    found: npt.NDArray[np.float64] = np.exp(np.mean(parts, axis=0))
    return found
