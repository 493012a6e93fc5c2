"""Schedules of the learning rate: one row each, made of what torch ships.

A run's hyperparameter ``lr_schedule`` names one. It is the engine's and not the optimizer's: no
factory is told of it. What a schedule does is asked of torch's own scheduler, by driving it.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch.optim import lr_scheduler
from torch.optim.lr_scheduler import LRScheduler

from optbench.plain_text import said
from optbench.registry import NotAdoptable, Registry

LR_SCHEDULE = "lr_schedule"
"""The hyperparameter that names a schedule."""


@dataclass(frozen=True)
class Schedule:
    """How the learning rate changes on the way, as a share of the one that is set.

    Attributes
    ----------
    name : str
        As ``lr_schedule`` says it.
    summary : str
        What it does, in a sentence.
    cite : str
        The paper and, where there is one, the equation.
    make : callable
        ``make(optimizer, budget)`` gives a scheduler for a run of so many gradient evaluations,
        to be stepped after each of them. What it does beside the learning rate has no effect.
    """

    name: str
    summary: str
    cite: str
    make: Callable[[torch.optim.Optimizer, int], LRScheduler]


def _warm_up_steps(budget: int) -> int:
    return math.ceil(budget / 10)


def _step(optimizer: torch.optim.Optimizer, budget: int) -> LRScheduler:
    return lr_scheduler.StepLR(optimizer, step_size=math.ceil(budget / 3), gamma=0.1)


def _cosine(optimizer: torch.optim.Optimizer, budget: int) -> LRScheduler:
    return lr_scheduler.CosineAnnealingLR(optimizer, T_max=budget)


def _warm_up(optimizer: torch.optim.Optimizer, budget: int) -> LRScheduler:
    """1/n, 2/n, ..., 1 in the first n steps."""
    n = _warm_up_steps(budget)
    return lr_scheduler.LinearLR(optimizer, start_factor=1 / n, total_iters=n - 1)


def _warm_up_cosine(optimizer: torch.optim.Optimizer, budget: int) -> LRScheduler:
    n = _warm_up_steps(budget)
    # A budget of one step is spent before the cosine begins, which must have a length all the same.
    parts = [_warm_up(optimizer, budget), _cosine(optimizer, max(1, budget - n))]
    return lr_scheduler.SequentialLR(optimizer, parts, milestones=[n])


def _adopt(obj: Any, name: str) -> Schedule:
    if not isinstance(obj, Schedule):
        raise NotAdoptable(f"{name!r} is a {type(obj).__name__}, not an optbench Schedule")
    # Under the path that names it, so that a worker process finds it again.
    return replace(obj, name=name) if ":" in name else obj


SCHEDULES: Registry[Schedule] = Registry("schedule", "optbench.schedules", _adopt)

for _row in (
    Schedule("step", "Times 0.1 after each third of the budget.",
             "He et al. 2016, Deep Residual Learning for Image Recognition, section 4.2 (divided "
             "by ten at given iterations)", _step),
    Schedule("cosine", "Half a cosine, from all of it down to nothing at the end.",
             "Loshchilov and Hutter 2017, SGDR, eq. 5, without restarts", _cosine),
    Schedule("warmup", "Up on a line over the first tenth of the budget, then all of it.",
             "Goyal et al. 2017, Accurate, Large Minibatch SGD, section 2.2", _warm_up),
    Schedule("warmup-cosine", "Up on a line over the first tenth, then half a cosine to nothing.",
             "Goyal et al. 2017, section 2.2; Loshchilov and Hutter 2017, eq. 5",
             _warm_up_cosine),
):  # fmt: skip
    SCHEDULES.register(_row, everywhere=True)


@functools.lru_cache(maxsize=64)
def factors(name: str, budget: int) -> tuple[float, ...]:
    """Return the learning rate of every step over the one that is set: [budget].

    torch's scheduler is driven over a throw-away optimizer whose rate is 1. (Driven over another
    rate it rounds otherwise, in the last digits.)

    Raises
    ------
    UnknownName, NotAdoptable
        No such schedule; or one that raises, or gives what is no rate.
    """
    row = SCHEDULES[name]
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(()))], lr=1.0)
    group, seen = optimizer.param_groups[0], []
    try:
        scheduler = row.make(optimizer, budget)
        for _ in range(budget):
            seen.append(float(group["lr"]))
            # torch warns of a scheduler that steps before its optimizer has.
            optimizer.step()
            scheduler.step()
    # A schedule is anybody's code: whatever it raises is the answer to give.
    except (Exception, SystemExit) as error:
        raise NotAdoptable(f"schedule {name!r} raised {said(error)}") from error
    wrong = next((each for each in seen if not 0 <= each < math.inf), None)
    if wrong is not None:
        raise NotAdoptable(f"schedule {name!r} sets the learning rate {wrong} times what it was")
    return tuple(seen)


def without_schedule(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the hyperparameters that an optimizer's factory is told."""
    return {name: value for name, value in settings.items() if name != LR_SCHEDULE}
