"""Results made up by a formula, for the tests of analysis and report: no engine, no torch."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pandas as pd

from optbench.analysis import Results

OPTIMIZERS = ("adam", "sgd", "momentum", "lion")
PROBLEMS = ("quadratic", "rosenbrock-2d", "mnist-mlp")
TARGETS = (1e-1, 1e-2, 1e-4)
RATES = (1e-3, 1e-2, 1e-1)
FAMILIES = {"rosenbrock-2d": "landscape", "mnist-mlp": "network", "mnist-logistic": "convex"}
ENVIRONMENT = {
    **{"environment": 1, "cpu": "Some CPU", "threads": 1, "os": "Linux", "python": "3.11.9"},
    **{"torch": "2.13.0", "numpy": "2.4.6", "optbench": "0.1.0", "commit": "abc1234"},
    **{"dirty": False, "device": "cpu"},
}


def log_steps(budget: int, points: int) -> np.ndarray:
    steps = np.unique(np.geomspace(1, budget, points).round().astype(int))
    return np.concatenate([[0], steps])


def synthetic_results(
    optimizers: Sequence[str] = OPTIMIZERS,
    problems: Sequence[str] = PROBLEMS,
    rates: Sequence[float] = RATES,
    seeds: int = 4,
    budget: int = 1000,
    points: int = 12,
    default_rate: float = 1e-2,
) -> Results:
    """Exponential decay, whose rate has its best lr in the optimizer's own place.

    An lr 30 times above the best one diverges. Draws come from a fixed generator, so that equal
    arguments give equal results.
    """
    rng = np.random.default_rng(20260731)
    rows = list(itertools.product(range(len(optimizers)), problems, rates, range(seeds)))
    number = np.array([row[0] for row in rows], dtype=int)
    problem = np.array([row[1] for row in rows], dtype=object)
    lr = np.array([row[2] for row in rows], dtype=float)
    names = np.array([optimizers[i] for i in number], dtype=object)
    hardness = np.array([1.0 + 0.7 * list(problems).index(p) for p in problem])
    best = 10.0 ** (-1.0 - (number % 3))
    away = np.log10(lr / best)
    rate = 0.05 * np.exp(-(away**2)) / hardness / (1 + 0.15 * number)
    rate *= np.exp(rng.normal(0, 0.2, len(rows)))
    start = np.exp(rng.normal(2, 0.5, len(rows)))
    diverges = away > 1.4
    ends = np.where(diverges, rng.integers(budget // 20, budget // 2, len(rows)), budget)
    target = TARGETS[-1]
    hit = np.ceil(-np.log(target) / rate)
    hit = np.where(diverges | (hit > budget), np.nan, hit)
    final = np.where(diverges, np.inf, start * np.exp(-np.minimum(rate * budget, 40)))
    runs = pd.DataFrame(
        {
            "run": np.arange(1, len(rows) + 1),
            "optimizer": names,
            "base": [name.split("[")[0] for name in names],
            "variant": [name.partition("[")[2].rstrip("]") for name in names],
            "problem": problem,
            "problem_version": 1,
            "family": [FAMILIES.get(p, "convex") for p in problem],
            "data": ["mnist-10k" if p.startswith("mnist") else "none" for p in problem],
            "lr": lr,
            "hyperparameters": "{}",
            "lr_schedule": "",
            "default": lr == default_rate,
            "seed": [row[3] for row in rows],
            "dtype": "float32",
            "device": "cpu",
            "budget": budget,
            "status": np.where(diverges, "diverged", "ok"),
            "error": None,
            "steps": ends,
            "initial_gap": start,
            "final_gap": final,
            "steps_to_target": hit,
            "seconds_per_step": 1e-5 * (1 + number) * np.exp(rng.normal(0, 0.05, len(rows))),
            "state_bytes": 8.0 * (number % 3) * 100,
            "dimension": 100,
            "environment": 1,
        }
    )
    steps = log_steps(budget, points)
    logged = steps[None, :] <= ends[:, None]
    gap = start[:, None] * np.exp(-np.minimum(rate[:, None] * steps, 40.0))
    grown = start[:, None] * np.exp(np.minimum(0.02 * steps[None, :], 13.0))
    gap = np.where(diverges[:, None], grown, gap)
    traces = [_long(runs, steps, gap, logged, "gap")]
    flat = problem == "rosenbrock-2d"
    turn = np.exp(-np.minimum(rate[:, None] * steps, 40.0))
    for metric, begin in (("x0", -1.2), ("x1", 1.0)):
        value = 1 + (begin - 1) * turn + 0.1 * number[:, None] * turn * (1 - turn)
        traces.append(_long(runs, steps, value, logged & flat[:, None], metric))
    digits = problem == "mnist-mlp"
    error = np.clip(0.9 * gap / start[:, None], 0.03, 0.9)
    traces.append(_long(runs, steps, error, logged & digits[:, None], "error_rate"))
    return Results(
        runs=runs,
        targets=_targets(runs, rate, diverges),
        traces=pd.concat(traces, ignore_index=True),
        problems=_problems(runs, target),
        environments=pd.DataFrame([ENVIRONMENT]),
    )


def grid(points: int = 60) -> pd.DataFrame:
    """Rosenbrock's function on a grid, as a caller of `write_report` hands it over."""
    x0, x1 = np.meshgrid(np.linspace(-2, 2, points), np.linspace(-1, 3, points))
    value = (1 - x0) ** 2 + 100 * (x1 - x0**2) ** 2
    return pd.DataFrame({"x0": x0.ravel(), "x1": x1.ravel(), "value": value.ravel()})


def _long(
    runs: pd.DataFrame, steps: np.ndarray, value: np.ndarray, logged: np.ndarray, metric: str
) -> pd.DataFrame:
    row, column = np.nonzero(logged)
    return pd.DataFrame(
        {
            "run": runs["run"].to_numpy()[row],
            "metric": metric,
            "step": steps[column],
            "value": np.broadcast_to(value, logged.shape)[row, column],
        }
    )


def _targets(runs: pd.DataFrame, rate: np.ndarray, diverges: np.ndarray) -> pd.DataFrame:
    """The step at which the decay reaches each target, if the run lasts so long."""
    parts = []
    for target in TARGETS:
        step = np.ceil(-np.log(target) / rate)
        step = np.where(diverges | (step > runs["budget"]), np.nan, step)
        parts.append(pd.DataFrame({"run": runs["run"], "target": target, "step": step}))
    return pd.concat(parts, ignore_index=True).sort_values(
        ["run", "target"], ascending=[True, False], ignore_index=True
    )


def _problems(runs: pd.DataFrame, target: float) -> pd.DataFrame:
    columns = ["problem", "problem_version", "data", "family", "dimension", "budget"]
    table = runs[columns].drop_duplicates("problem").reset_index(drop=True)
    return table.assign(
        minimum=0.0,
        minimum_is_bound=table["problem"].str.startswith("mnist"),
        target=target,
        cite="Somebody 1999",
        summary="A problem of the tests.",
    )
