"""A unit of work: runs that share a tensor program, done by one worker."""

from __future__ import annotations

import functools
import multiprocessing
import time
from dataclasses import dataclass, field, replace

import torch

from optbench.engine import outcome, step_cost
from optbench.engine.as_found import same_random_numbers, torch_as_found
from optbench.engine.certify import fastest_route
from optbench.engine.data_parallel import perform_together
from optbench.engine.error_text import describe
from optbench.engine.lanes import advance
from optbench.engine.runs import Result, Run, Status
from optbench.engine.trial import gradients_come_first, probe_needs
from optbench.optimizers import OPTIMIZERS, Optimizer, Route
from optbench.optimizers.of_the_run import DDP, told_to_the_factory
from optbench.optimizers.schedules import without_schedule
from optbench.problems import PROBLEMS, Problem


@dataclass(frozen=True)
class Unit:
    """Runs of one optimizer on one problem that advance together; names only, so it travels.

    Attributes
    ----------
    certify : bool
        Drive the lanes of a class that is named by its path, whose route nobody wrote down, by the
        fastest one that is certified for it here.
    expected_s : float
        Seconds that it will take, as far as can be told.
    """

    runs: tuple[Run, ...]
    certify: bool = False
    expected_s: float = field(default=0.0, compare=False)

    @property
    def title(self) -> str:
        """For people: ``adam on rosenbrock-2d``."""
        return f"{self.runs[0].optimizer} on {self.runs[0].problem}"


def max_lanes(optimizer: Optimizer, problem: Problem) -> int:
    """Most lanes to a unit: stacked lanes are all but free, lanes one at a time are not."""
    return min(problem.max_lanes, 8 if optimizer.route is Route.INSTANCE else problem.max_lanes)


def perform(unit: Unit) -> list[Result]:
    """Do the runs of a unit; an exception becomes the result of its runs."""
    begun = time.perf_counter()
    with torch_as_found():
        same_random_numbers()
        results = _perform(list(unit.runs), unit.certify)
    share = (time.perf_counter() - begun) / len(results)
    return [replace(result, seconds=share) for result in results]


def _perform(runs: list[Run], certify: bool) -> list[Result]:
    try:
        if DDP in runs[0].settings:
            return perform_together(_done, runs, certify)
        return _done(runs, certify)
    # An optimizer is anybody's code: whatever it raises is the result of its run, sys.exit too.
    except BaseException as error:
        # Ctrl-C is the user's, but workers never see it: there it is the optimizer's as well.
        if isinstance(error, KeyboardInterrupt) and multiprocessing.parent_process() is None:
            raise
        if len(runs) > 1:
            # One lane may have brought the others down: each alone, so that only it fails.
            return [result for run in runs for result in _perform([run], certify)]
        return [Result(runs[0], Status.FAILED, error=describe(error))]


def _done(runs: list[Run], certify: bool) -> list[Result]:
    """Do the runs of a unit; exceptions of the optimizer pass through."""
    name = runs[0].optimizer
    optimizer = _certified(name) if certify else OPTIMIZERS[name]
    settings = told_to_the_factory(runs[0].settings)
    if optimizer.adopted and gradients_come_first(optimizer, settings):
        optimizer = replace(optimizer, gradients_first=True)
    try:
        return _advanced(optimizer, runs)
    except Exception:
        # A class that failed on plain gradients may need a closure, or sparse ones.
        needs = probe_needs(optimizer, settings) if optimizer.adopted else None
        if needs is None or not (needs.closure or needs.sparse_gradients):
            raise
        return _advanced(needs.of(optimizer), runs)


def _advanced(optimizer: Optimizer, runs: list[Run]) -> list[Result]:
    problem = PROBLEMS[runs[0].problem]
    dtype, device = getattr(torch, runs[0].dtype), torch.device(runs[0].device)
    price = _price(optimizer, problem, runs[0], dtype, device)
    # Lanes of a closure cannot advance together: they ask for gradients when they like.
    batches = [[run] for run in runs] if optimizer.closure else [runs]
    done: list[Result] = []
    for batch in batches:
        trajectory = advance(
            optimizer,
            problem,
            [run.settings for run in batch],
            [run.seed for run in batch],
            runs[0].budget,
            dtype=dtype,
            device=device,
        )
        done += outcome.results(
            batch,
            trajectory,
            problem.targets,
            problem.observe_every,
            seconds_per_step=price.seconds_per_step if price else None,
            state_bytes=price.state_bytes if price else None,
        )
    return done


@functools.cache
def _certified(name: str) -> Optimizer:
    row = OPTIMIZERS[name]
    return fastest_route(row) if ":" in name and row.route is Route.INSTANCE else row


def _price(
    optimizer: Optimizer, problem: Problem, run: Run, dtype: torch.dtype, device: torch.device
) -> step_cost.Cost | None:
    """Measure the cost of a step, at the default rate and one seed.

    The same whoever shares the unit, in which runs with a schedule and without may stand.

    None where that raises: the runs themselves are at other rates, and tell what is wrong.
    """
    typical = {**without_schedule(run.settings), **optimizer.defaults_of("lr")}
    try:
        return step_cost.single_lane_cost(optimizer, problem, typical, 0, dtype, device)
    except (Exception, SystemExit):  # noqa: BLE001
        return None
