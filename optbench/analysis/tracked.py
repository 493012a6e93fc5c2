"""What is tracked of the runs of one commit: numbers that are positive, finite, lower is better."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from optbench.analysis.leagues import PAIR, default_league, tuned_league
from optbench.analysis.results import FINISHED
from optbench.analysis.units import ERROR_RATE, FAILED_SEEDS, GAP, STEPS

PENALTY = 2
"""Budgets that a run counts for which did not get to the target: a number, for asv never finishes
publishing an infinity, and takes NaN for skipped. Beside it stands the count of misses."""

WORST_GAP = 1e6
"""Relative gap that a diverged or failed run counts as, at which runs diverge."""

FLOORS = {"float64": 1e-12, "float32": 1e-6}
"""Relative gap by dtype below which everything is rounding, and counts as this."""


@dataclass(frozen=True)
class Tracked:
    """A metric of an optimizer on a problem: a number a seed, sorted by seed."""

    metric: str
    unit: str
    optimizer: str
    problem: str
    samples: tuple[float, ...]
    seeds: tuple[int, ...]


def tracked(runs: pd.DataFrame, dtype: str) -> Iterator[Tracked]:
    """Every metric of every pair of an optimizer and a problem.

    ``steps_to_target`` and ``failed_seeds`` (1, or 2 for a miss) at the best setting of those that
    were tried, chosen on other seeds; where only one was tried, at that. ``final_gap`` at the
    defaults, and ``error_rate``, where the frame has one, on held-out data (1: it diverged).

    Parameters
    ----------
    runs : DataFrame
        Rows of `Results.runs`, of one code, budget, version and dtype.
    dtype : str
        Of the runs.
    """
    default = default_league(runs).runs.sort_values("seed")
    tuned = tuned_league(runs).runs
    pairs = pd.MultiIndex.from_frame(tuned[PAIR])
    alone = default[~pd.MultiIndex.from_frame(default[PAIR]).isin(pairs)]
    best = (pd.concat([tuned, alone]) if len(alone) else tuned).sort_values("seed")
    steps = best["steps_to_target"].fillna(PENALTY * best["budget"]).clip(lower=1)
    missed = 1.0 + best["steps_to_target"].isna()
    ended = default["status"].isin(FINISHED)
    gap = (default["final_gap"] / default["initial_gap"]).where(ended, WORST_GAP)
    gap = gap.fillna(WORST_GAP).clip(FLOORS.get(dtype, FLOORS["float32"]), WORST_GAP)
    yield from _rows("steps_to_target", STEPS, best, steps)
    yield from _rows("failed_seeds", FAILED_SEEDS, best, missed)
    yield from _rows("final_gap", GAP, default, gap)
    if "error_rate" in default:
        rate = default["error_rate"].where(ended, 1.0).fillna(1.0).clip(1e-6, 1.0)
        yield from _rows("error_rate", ERROR_RATE, default, rate)


def _rows(
    metric: str, unit: str, runs: pd.DataFrame, values: pd.Series[float]
) -> Iterator[Tracked]:
    for (optimizer, problem), group in runs.assign(tracked=values).groupby(PAIR):
        drawn, seeds = tuple(map(float, group["tracked"])), tuple(map(int, group["seed"]))
        yield Tracked(metric, unit, optimizer, problem, drawn, seeds)
