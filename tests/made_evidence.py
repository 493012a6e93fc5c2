"""Runs made up for the claims: what each optimizer does on each problem is written down."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from optbench.analysis import League, Results
from optbench.analysis.claims import CLAIMS, Evidence, Finding
from optbench.analysis.leagues import default_league, tuned_league, unscheduled

BY_NAME = {claim.name: claim for claim in CLAIMS}
ANSWER = ["name", "setting", "expected", "measured", "holds", "statement", "cite"]


def ran(optimizer: str, problem: str, steps: npt.ArrayLike, **other: Any) -> pd.DataFrame:
    """One run a seed: ``steps`` to the target, NaN for a miss; any other column by its name."""
    hit = np.asarray(steps, dtype=float)
    columns = {
        **{"optimizer": optimizer, "base": optimizer, "variant": "", "problem": problem},
        **{"problem_version": 1, "family": "made", "data": "none", "lr": 0.01},
        **{"hyperparameters": "{}", "lr_schedule": "", "default": True},
        **{"seed": np.arange(len(hit)), "dtype": "float32", "device": "cpu", "budget": 1000},
        **{"status": "ok", "error": None, "steps": 1000, "initial_gap": 1.0},
        **{"final_gap": np.where(np.isnan(hit), 0.5, 1e-3), "steps_to_target": hit},
        **{"seconds_per_step": 1e-5, "state_bytes": 8.0, "dimension": 100, "environment": 1},
    }
    return pd.DataFrame({**columns, **other})


def noisy(median: float, seeds: int = 10, spread: float = 0.02, salt: int = 0) -> np.ndarray:
    """Steps that scatter about a median, the same for equal arguments."""
    rng = np.random.default_rng([20260801, seeds, salt])
    return median * np.exp(spread * rng.standard_normal(seeds))


def evidence(
    frames: Iterable[pd.DataFrame],
    *,
    tune: bool = False,
    answers: pd.DataFrame | None = None,
    targets: pd.DataFrame | None = None,
    traces: pd.DataFrame | None = None,
) -> Evidence:
    """Of one setting a pair, which is its default and its best; or tuned for good."""
    runs = pd.concat(list(frames), ignore_index=True)
    runs.insert(0, "run", np.arange(1, len(runs) + 1))
    hits = pd.DataFrame({"run": runs["run"], "target": 0.1, "step": runs["steps_to_target"]})
    none = pd.DataFrame({"run": [], "metric": [], "step": [], "value": []})
    problem = [
        *("problem", "problem_version", "data", "family", "dimension", "minimum"),
        *("minimum_is_bound", "target", "budget", "cite", "summary"),
    ]
    environment = [
        *("environment", "cpu", "threads", "os", "python", "torch"),
        *("numpy", "optbench", "commit", "dirty", "device"),
    ]
    results = Results(
        runs=runs,
        targets=hits if targets is None else targets,
        traces=none if traces is None else traces,
        problems=pd.DataFrame(columns=problem),
        environments=pd.DataFrame(columns=environment),
    )
    nothing = pd.DataFrame()
    tuned = tuned_league(runs) if tune else League("tuned", unscheduled(runs), nothing, nothing)
    known = pd.DataFrame(columns=ANSWER) if answers is None else answers
    return Evidence(results, default_league(runs), tuned, known)


def judge(name: str, frames: Iterable[pd.DataFrame], **options: Any) -> Finding:
    """The finding of the claim of this name."""
    return BY_NAME[name].judge(evidence(frames, **options))
