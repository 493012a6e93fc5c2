"""A unit of work: runs that share a tensor program, done by one worker."""

from __future__ import annotations

import contextlib
import functools
import multiprocessing
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch

from optbench.engine import cost, outcome
from optbench.engine.certify import fastest_route
from optbench.engine.data_parallel import perform_together
from optbench.engine.error_text import describe
from optbench.engine.lanes import advance
from optbench.engine.runs import Result, Run, Status, canonical
from optbench.optimizers import OPTIMIZERS, Optimizer, Route
from optbench.optimizers.of_the_run import DDP
from optbench.optimizers.schedules import LR_SCHEDULE, without_schedule
from optbench.problems import PROBLEMS, Problem


@dataclass(frozen=True)
class Unit:
    """Runs of one optimizer on one problem that advance together; names only, so it travels.

    Attributes
    ----------
    certify : bool
        Drive the lanes of a class that is named by its path, whose route nobody wrote down, by the
        fastest one that is certified for it here.
    """

    runs: tuple[Run, ...]
    certify: bool = False

    @property
    def title(self) -> str:
        """For people: ``adam on rosenbrock-2d``."""
        return f"{self.runs[0].optimizer} on {self.runs[0].problem}"


VARIED = ("lr", LR_SCHEDULE)
"""Hyperparameters that lanes of one unit may differ in."""


ALONE = ("bfloat16",)
"""Dtypes whose runs share no unit: in bfloat16 torch's ``add`` with a factor, which SGD is made of,
rounds what fills a vector register otherwise than the rest: a lane's bits depend on its place."""


def pack(runs: Iterable[Run], *, certify: bool = False) -> list[Unit]:
    """Group runs into units, the dearest first; ``certify`` as in `Unit`.

    Lanes of one setting stand together, and a lane's bits do not depend on its company, so how
    runs are packed changes nothing but the time. Where they would, each run goes alone.
    """
    together: dict[tuple[object, ...], list[Run]] = defaultdict(list)
    for run in runs:
        others = canonical({k: v for k, v in run.settings.items() if k not in VARIED})
        together[run.optimizer, run.problem, others, run.budget, run.dtype, run.device].append(run)
    units = []
    for group in together.values():
        optimizer, problem = OPTIMIZERS[group[0].optimizer], PROBLEMS[group[0].problem]
        group.sort(key=lambda run: (canonical(run.settings), run.seed))
        faster = certify and ":" in optimizer.name
        size = problem.max_lanes if faster else max_lanes(optimizer, problem)
        if group[0].dtype in ALONE:
            size = 1
        units += [Unit(tuple(group[i : i + size]), certify) for i in range(0, len(group), size)]
    return sorted(units, key=estimated_cost, reverse=True)


def max_lanes(optimizer: Optimizer, problem: Problem) -> int:
    """Most lanes to a unit: stacked lanes are all but free, lanes one at a time are not."""
    return min(problem.max_lanes, 8 if optimizer.route is Route.INSTANCE else problem.max_lanes)


def estimated_cost(unit: Unit) -> float:
    """Relative cost of a unit: for the order, and for the time that is left.

    A step's overhead counts once for the shared loss and half for each optimizer call; the
    arithmetic counts by lanes and dimension. Within a factor of two of what was measured.
    """
    run = unit.runs[0]
    optimizer, problem = OPTIMIZERS[run.optimizer], PROBLEMS[run.problem]
    lanes = len(unit.runs)
    if optimizer.closure:
        overhead = 1.5 * lanes
    else:
        calls = (
            len({r.hyperparameters for r in unit.runs}) if optimizer.route is Route.STACK else lanes
        )
        overhead = 1 + 0.5 * calls
    return run.budget * (overhead + lanes * problem.dimension / 40_000)


def perform(unit: Unit) -> list[Result]:
    """Do the runs of a unit; an exception becomes the result of its runs."""
    with torch_as_found():
        return _perform(list(unit.runs), unit.certify)


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
    """The runs of a unit, or whatever it raises."""
    optimizer, problem = OPTIMIZERS[runs[0].optimizer], PROBLEMS[runs[0].problem]
    if certify:
        optimizer = _certified(runs[0].optimizer)
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
) -> cost.Cost | None:
    """What a step costs, at the default rate, which stays, and one seed.

    The same whoever shares the unit, in which runs with a schedule and without may stand.

    None where that raises: the runs themselves are at other rates, and tell what is wrong.
    """
    typical = {**without_schedule(run.settings), "lr": optimizer.defaults["lr"]}
    try:
        return cost.single_lane_cost(optimizer, problem, typical, 0, dtype, device)
    except (Exception, SystemExit):  # noqa: BLE001
        return None


@contextlib.contextmanager
def torch_as_found() -> Iterator[None]:
    """Undo what an optimizer does to torch's global state, so that the next unit starts clean."""
    dtype, rng = torch.get_default_dtype(), torch.get_rng_state()
    device, threads = torch.get_default_device(), torch.get_num_threads()
    anomaly = torch.is_anomaly_enabled()
    deterministic = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    try:
        # Restores the mode that it found, whatever happens in between.
        with torch.enable_grad():
            yield
    finally:
        torch.set_default_dtype(dtype)
        torch.set_rng_state(rng)
        torch.autograd.set_detect_anomaly(anomaly)
        torch.use_deterministic_algorithms(deterministic, warn_only=warn_only)
        # To set them costs, even to what they are.
        if torch.get_default_device() != device:
            torch.set_default_device(device)
        if torch.get_num_threads() != threads:
            torch.set_num_threads(threads)


def timed(unit: Unit) -> tuple[list[Result], float]:
    """`perform`, with the seconds it took."""
    before = time.perf_counter()
    done = perform(unit)
    return done, time.perf_counter() - before
