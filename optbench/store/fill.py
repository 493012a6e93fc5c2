"""Bring a store up to a plan: run what is missing, keep it unit by unit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from optbench.engine.environment import environment
from optbench.engine.executors import execute
from optbench.engine.runs import Result, Run, Status
from optbench.engine.work import Unit, estimated_cost, pack
from optbench.store.store import Store


@dataclass
class Progress:
    """How far it is.

    Attributes
    ----------
    planned, present : int
        Runs asked for, and how many of them the store held before.
    to_do : int
        Runs to compute; ``done`` of them are.
    work, work_done : float
        Estimated cost of all, and of what is done, in arbitrary units.
    status : Counter
        Of the results so far.
    failures : list of Result
        Those that failed.
    """

    planned: int
    present: int
    to_do: int
    work: float
    done: int = 0
    work_done: float = 0.0
    status: Counter[Status] = field(default_factory=Counter)
    failures: list[Result] = field(default_factory=list)


def fill(
    store: Store,
    runs: Sequence[Run],
    *,
    jobs: int = 1,
    again: bool = False,
    certify: bool = False,
    watch: Callable[[Progress], None] = lambda progress: None,
) -> Progress:
    """Run what the store lacks, and keep each unit's results in one transaction.

    Whatever ends it early (an exception, Ctrl-C) leaves the finished units in the store, and
    the same call goes on from there.

    Parameters
    ----------
    store : Store
        To fill.
    runs : sequence of Run
        Of a plan.
    jobs : int
        Worker processes; with 1 this process works.
    again : bool
        Run also what is there, and replace it.
    certify : bool
        As in `optbench.engine.work.Unit`.
    watch : callable
        Called with the progress, at the start and after each unit.
    """
    missing = list(runs) if again else store.missing(runs)
    units: list[Unit] = pack(missing, certify=certify)
    progress = Progress(
        len(runs), len(runs) - len(missing), len(missing), sum(map(estimated_cost, units))
    )
    watch(progress)
    if not units:
        return progress
    here = environment(units[0].runs[0].device)
    for unit, results, _seconds in execute(units, jobs):
        store.add(results, here)
        progress.done += len(results)
        progress.work_done += estimated_cost(unit)
        progress.status.update(result.status for result in results)
        progress.failures += [r for r in results if r.status is Status.FAILED]
        watch(progress)
    return progress
