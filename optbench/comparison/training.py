"""In a side's process: runs of one optimizer on one problem, by the one training loop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from optbench.comparison.requests import Outcome, Train
from optbench.engine import outcome
from optbench.engine.error_text import describe
from optbench.engine.lanes import advance
from optbench.engine.runs import Result, Run, Status, frozen
from optbench.optimizers import Optimizer
from optbench.problems import PROBLEMS

Lane = tuple[Mapping[str, Any], int]
"""Settings and seed."""


def train(row: Optimizer, request: Train) -> list[Outcome]:
    """Run the lanes; where one of several raises, each is run alone."""
    lanes = list(zip(request.settings, request.seeds, strict=True))
    size = 1 if row.closure else PROBLEMS[request.problem].max_lanes
    done: list[Outcome] = []
    for first in range(0, len(lanes), size):
        batch = lanes[first : first + size]
        done += _together(row, request, batch)
    return done


def _together(row: Optimizer, request: Train, lanes: Sequence[Lane]) -> list[Outcome]:
    problem = PROBLEMS[request.problem]
    settings = [{**row.defaults, **setting} for setting, _ in lanes]
    seeds = [seed for _, seed in lanes]
    try:
        trajectory = advance(row, problem, settings, seeds, request.budget, dtype=torch.float32)
    # Whatever an optimizer raises is the outcome of its run.
    except (Exception, SystemExit) as error:  # noqa: BLE001
        if len(lanes) > 1:
            return [each for lane in lanes for each in _together(row, request, [lane])]
        return [Outcome((None,) * len(problem.targets), Status.FAILED, describe(error))]
    runs = [
        Run(
            row.name,
            frozen(setting),
            problem.name,
            problem.version,
            problem.data,
            seed,
            request.budget,
        )
        for setting, seed in zip(settings, seeds, strict=True)
    ]
    results: list[Result] = outcome.results(
        runs, trajectory, problem.targets, problem.observe_every
    )
    return [Outcome(each.hits, each.status, each.error or "") for each in results]
