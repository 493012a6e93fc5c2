"""What a step costs by itself: time and state, in a single lane."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from optbench.engine.lanes import feed, one_thread, start
from optbench.engine.routes import Driver
from optbench.optimizers import Optimizer
from optbench.problems import Problem

WARM_UP, TIMED = 5, 25

MOST_BYTES = 2**62
"""Of state: a tensor may say that it has any number of elements, and a database ends there."""


@dataclass(frozen=True)
class Cost:
    """Seconds of a gradient evaluation with its share of the step; bytes of optimizer state."""

    seconds_per_step: float
    state_bytes: int


@one_thread()
def single_lane_cost(
    optimizer: Optimizer,
    problem: Problem,
    settings: Mapping[str, Any],
    seed: int,
    dtype: torch.dtype,
    device: torch.device,
) -> Cost:
    """Time `TIMED` steps of one lane, after `WARM_UP`; the median.

    Lanes share their overhead, so a lane's share of a stacked step says nothing about what the
    optimizer costs a user, who runs one.
    """
    bound = problem.bind(dtype, device)
    begin = start(problem, [seed], dtype, device)
    driver = Driver(optimizer, bound, [settings], begin, WARM_UP + TIMED)
    batches = feed(problem, [seed], dtype, device)
    seconds = []
    for turn in range(WARM_UP + TIMED):
        batch = next(batches)
        before = time.perf_counter()
        evaluations, _ = driver.step(batch, 2**31)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        if turn >= WARM_UP:
            seconds.append((time.perf_counter() - before) / evaluations)
    return Cost(statistics.median(seconds), min(driver.state_bytes(), MOST_BYTES))
