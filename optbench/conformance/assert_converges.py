"""Convergence as an assertion: so many steps to a problem's target, over seeds."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from optbench.conformance.targets import Target, row_of
from optbench.engine import outcome
from optbench.engine.as_found import torch_as_found
from optbench.engine.lanes import advance
from optbench.engine.plan import NEEDS, fixed_by
from optbench.engine.runs import Result, Run, Status, frozen
from optbench.engine.work import max_lanes
from optbench.optimizers import Optimizer
from optbench.problems import PROBLEMS, Problem


@dataclass(frozen=True)
class Convergence:
    """How fast an optimizer reached a target, seed by seed.

    Attributes
    ----------
    optimizer, problem : str
    hyperparameters : mapping
        All that the optimizer was told.
    target : float
        Relative gap: objective minus minimum, as a part of what it was at the start.
    budget : int
        The gradient evaluations that each seed was given.
    steps : mapping of int to (int or None)
        For each seed the gradient evaluations to the target; None: not reached (censored).
    best_gaps : mapping of int to float
        For each seed the least relative gap that was observed; NaN where none was finite.
    diverged : tuple of int
        The seeds whose gap was not finite, or a million times that of the start.
    """

    optimizer: str
    problem: str
    hyperparameters: Mapping[str, Any]
    target: float
    budget: int
    steps: Mapping[int, int | None]
    best_gaps: Mapping[int, float]
    diverged: tuple[int, ...]

    @property
    def median(self) -> float:
        """The step by which at least half of the seeds have reached the target, or infinity."""
        return statistics.median_low(math.inf if n is None else n for n in self.steps.values())

    def __str__(self) -> str:
        told = ", ".join(f"{name}={value!r}" for name, value in self.hyperparameters.items())
        reached = sum(n is not None for n in self.steps.values())
        median = f"median {self.median:,.0f}" if math.isfinite(self.median) else "median: never"
        lines = [
            f"{self.optimizer} ({told}) on {self.problem}: steps to {self.target:g} of the first "
            f"gap, {median}; {reached} of {len(self.steps)} seeds reached it within {self.budget:,}"
        ]
        for seed, steps in self.steps.items():
            said = "not reached" if steps is None else f"{steps:,}"
            lost = ", diverged" if seed in self.diverged else ""
            lines.append(f"  seed {seed}: {said}{lost} (best gap {self.best_gaps[seed]:.2g})")
        return "\n".join(lines)


def assert_converges(
    optimizer: Target,
    problem: str | Problem,
    *,
    within: int | None = None,
    target: float | None = None,
    seeds: int | Iterable[int] = 8,
    lr: float | None = None,
    settings: Mapping[str, Any] | None = None,
    budget: int | None = None,
    dtype: str = "float64",
) -> Convergence:
    """Assert that the median over seeds of the steps to a problem's target is at most ``within``.

    A seed that does not reach the target counts as never. Starts and data depend on the problem
    and the seed alone, so that the numbers repeat; rounding differs between machines and
    versions of torch, so leave a margin.

    Parameters
    ----------
    optimizer : str, class or Optimizer
        A registered name, ``package.module:Name``, a class, or a row.
    problem : str or Problem
        ``optbench list problems`` shows the names.
    within : int or None
        Gradient evaluations. Without it the assertion fails and says what was measured.
    target : float or None
        Relative gap; None: the problem's own.
    seeds : int or iterable of int
        The first so many, or these.
    lr, settings :
        Hyperparameters in place of the row's, or of the constructor's defaults.
    budget : int or None
        Gradient evaluations of each seed; None: the problem's own, or ``within`` if that is
        more. ``within`` is the cheapest, and then a failure cannot say how late it would be.
    dtype : str
        ``"float64"``, ``"float32"``.

    Returns
    -------
    Convergence
        What was measured; ``print`` shows it seed by seed.

    Raises
    ------
    AssertionError
        With the numbers of every seed.
    UnknownName, NotAdoptable, WrongHyperparameter
        No such optimizer or problem, or hyperparameters that it refuses.
    TypeError
        What is given is no optimizer or no problem.
    ValueError
        Seeds, target, budget or dtype make no sense, or the optimizer cannot run on the problem.
    Exception
        Whatever the optimizer raises.
    """
    __tracebackhide__ = True
    row = row_of(optimizer)
    task = PROBLEMS[problem] if isinstance(problem, str) else problem
    if not isinstance(task, Problem):
        raise TypeError(f"a problem is a name or a Problem, not {problem!r}")
    goal = task.target if target is None else target
    evaluations = max(task.budget, within or 0) if budget is None else budget
    _require_sense(row, task, within, goal, evaluations, dtype)
    told = row.settings(
        {**fixed_by(task, row), **(settings or {}), **({} if lr is None else {"lr": lr})}
    )
    runs = [
        Run(row.name, frozen(told), task.name, task.version, task.data, seed, evaluations, dtype)
        for seed in _seeds(seeds)
    ]
    measured = _measure(row, task, runs, goal)
    if within is None:
        raise AssertionError(f"{measured}\nsay within=...: {_suggestion(measured)}")
    if not measured.median <= within:
        raise AssertionError(f"{measured}\nasserted: median at most {within:,}")
    return measured


def _measure(row: Optimizer, problem: Problem, runs: Sequence[Run], target: float) -> Convergence:
    __tracebackhide__ = True
    # Lanes of a closure cannot advance together: they ask for gradients when they like.
    size = 1 if row.closure else max_lanes(row, problem)
    results: list[Result] = []
    best: dict[int, float] = {}
    for first in range(0, len(runs), size):
        batch = runs[first : first + size]
        with torch_as_found():
            ran = advance(
                row,
                problem,
                [run.settings for run in batch],
                [run.seed for run in batch],
                batch[0].budget,
                dtype=getattr(torch, batch[0].dtype),
            )
        results += outcome.results(batch, ran, (target,), problem.observe_every)
        with np.errstate(all="ignore"):
            gaps = np.where(np.isfinite(ran.gaps), ran.gaps / ran.gaps[0], np.nan)
        best |= {run.seed: float(np.fmin.reduce(gaps[:, k])) for k, run in enumerate(batch)}
    return Convergence(
        row.name,
        problem.name,
        runs[0].settings,
        target,
        runs[0].budget,
        steps={result.run.seed: result.hits[0] for result in results},
        best_gaps=best,
        diverged=tuple(r.run.seed for r in results if r.status is Status.DIVERGED),
    )


def _suggestion(measured: Convergence) -> str:
    if not math.isfinite(measured.median):
        return "no bound would hold at this lr, target and budget"
    # Half as much again: what rounding and a seed more or less do to a median is well below.
    return f"{math.ceil(1.5 * measured.median):,} is the median and half as much again"


def _require_sense(
    row: Optimizer,
    problem: Problem,
    within: int | None,
    target: float,
    budget: int,
    dtype: str,
) -> None:
    __tracebackhide__ = True
    missing = row.needs - problem.traits
    if missing:
        reason = ", ".join(NEEDS.get(m, f"it has no {m}") for m in sorted(missing))
        raise ValueError(f"{row.name} cannot run on {problem.name}: {reason}")
    if within is not None and within < 1:
        raise ValueError(f"within must be at least 1 (gradient evaluations), not {within}")
    if budget < (within or 1):
        raise ValueError(
            f"the budget must be at least {within or 1} gradient evaluations, not {budget}"
        )
    if not 0 < target < 1:
        raise ValueError(
            f"a target must be a fraction of the initial gap, between 0 and 1, not {target}"
        )
    if dtype not in ("float32", "float64"):
        raise ValueError(f"dtype must be 'float64' or 'float32', not {dtype!r}")


def _seeds(seeds: int | Iterable[int]) -> list[int]:
    __tracebackhide__ = True
    chosen = list(range(seeds)) if isinstance(seeds, int) else list(dict.fromkeys(seeds))
    if not chosen or min(chosen) < 0:
        raise ValueError(f"seeds are a count (8) or some of them ((0, 1, 5)), not {seeds!r}")
    return chosen
