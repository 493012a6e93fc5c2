"""Does it optimize?"""

from __future__ import annotations

import functools
import math
from dataclasses import replace

import torch

from optbench.engine.lanes import advance
from optbench.engine.outcome import hits
from optbench.optimizers import OPTIMIZERS, Optimizer, half_decades
from optbench.problems import PROBLEMS
from optbench.scenarios.outcomes import CheckFailed, NotApplicable
from optbench.scenarios.subject import Subject, problems_for

RUNGS = {"quadratic": 1e-2, "network-2-3-1": 1e-1, "matrix-completion": 1e-1}
"""Problem to target: the part of its first gap that may be left. Convex, a network, matrices."""

YARDSTICKS = ("sgd", "adam")
"""The slower of the two on a rung is what others are measured by."""

MULTIPLE = 10
"""Of the catalogue adadelta is the slowest, with 2.3 times the yardstick on its worst rung. Of a
hundred others some sound ones take 5 to 7: made for large batches, or long to warm up."""

LONGEST = 200
"""Steps that the yardsticks get; 39 is the most that they take."""

RATES = half_decades(1e-5, 10)
SEEDS = (0, 1)


def it_solves_the_ladder(subject: Subject) -> str:
    """Tuned, it takes at most ten times the steps of the slower of SGD and Adam, tuned."""
    names = problems_for(subject, list(RUNGS))
    row = subject.row
    assert row is not None
    if subject.settings.get("maximize"):
        raise NotApplicable(
            "it was asked to maximize, and the problems of the ladder have no maximum"
        )
    said, under = [], ""
    if decay := subject.hyperparameters.get("weight_decay"):
        under = f", at weight_decay={decay!r}, which moves the minimum"
        if "weight_decay" not in subject.settings and subject.accepts({"weight_decay": 0.0}):
            row = replace(row, defaults={**row.defaults, "weight_decay": 0.0})
            under = ", at weight_decay=0, for its default moves the minimum"
    for name in names:
        target = RUNGS[name]
        yardstick = _yardstick(name, target)
        allowed = math.ceil(MULTIPLE * yardstick)
        steps, rate = _steps(row, name, target, allowed)
        if steps > allowed:
            tried = f"no lr from {RATES[0]:g} to {RATES[-1]:g} reaches"
            if rate is None:
                tried = "without an lr to tune, it does not reach"
            raise CheckFailed(
                f"{name}: {tried} {target:g} of the first gap within {allowed} steps, {MULTIPLE} "
                f"times the {yardstick:.0f} of the slower of {' and '.join(YARDSTICKS)}{under}"
            )
        best = "" if rate is None else f"lr {rate:g}; "
        said.append(f"{name} {steps:.0f} ({best}{yardstick:.0f})")
    return f"steps: {', '.join(said)}{under}"


PARTS = (27, 9, 3, 1)
"""Parts of the budget that are tried one after the other."""


@functools.cache
def _yardstick(problem: str, target: float) -> float:
    return max(_steps(OPTIMIZERS[each], problem, target, LONGEST)[0] for each in YARDSTICKS)


def _from_a_third(lr: float | None) -> float:
    """Distance of a rate from 0.32, in decades."""
    return 0.0 if lr is None else abs(math.log10(lr / 0.32))


def _steps(row: Optimizer, problem: str, target: float, budget: int) -> tuple[float, float | None]:
    """Return the steps to the target at the best rate, on the worse seed, and that rate.

    The rate is None where the optimizer has none. All rates go step by step together, so that the
    best is the first to arrive: what the others would take is not waited for.
    """
    limits = (budget,) if row.closure else tuple(math.ceil(budget / part) for part in PARTS)
    for limit in limits:
        steps, rate = _steps_within(row, problem, target, limit)
        if steps <= limit:
            break
    return steps, rate


def _steps_within(
    row: Optimizer, problem: str, target: float, budget: int
) -> tuple[float, float | None]:
    rates: tuple[float | None, ...] = RATES if "lr" in row.defaults else (None,)
    seeds: tuple[int, ...] = SEEDS
    if row.closure:
        # Lanes of a closure run one at a time: one seed, and no rate after one that arrives. The
        # likely ones are first.
        rates, seeds = tuple(sorted(rates, key=_from_a_third)), SEEDS[:1]
    lanes = [(lr, seed) for lr in rates for seed in seeds]
    chunks = [[lane] for lane in lanes] if row.closure else [lanes]
    reached: dict[tuple[float | None, int], float] = {}
    for chunk in chunks:
        ran = advance(
            row,
            PROBLEMS[problem],
            [row.defaults if lr is None else {**row.defaults, "lr": lr} for lr, _ in chunk],
            [seed for _, seed in chunk],
            budget,
            dtype=torch.float64,
        )
        for column, lane in enumerate(chunk):
            (hit,) = hits(ran.steps, ran.gaps[:, column], [target])
            reached[lane] = math.inf if hit is None else float(hit)
        if row.closure and hit is not None:
            rates = rates[: len(reached)]
            break
    worst = {lr: max(reached[lr, seed] for seed in seeds) for lr in rates}
    best = min(worst, key=worst.__getitem__)
    return worst[best], best
