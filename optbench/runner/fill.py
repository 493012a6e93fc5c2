"""Bring a store up to a plan: run what is missing, keep it parcel by parcel."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Executor
from contextlib import closing
from dataclasses import dataclass, field, replace

from optbench.engine.environment import Environment, environment
from optbench.engine.identity import key
from optbench.engine.plan import check_workers_find
from optbench.engine.runs import Result, Run, Status
from optbench.optimizers.of_the_run import DDP
from optbench.runner.executors import InlineExecutor, execute, workers_of
from optbench.runner.isolation import Limits, is_late, not_tried
from optbench.runner.packing import Pace, Parcel, Performed, pack, parcels, trimmed
from optbench.store.coordination import Coordinator
from optbench.store.store import Store

GIVEN_UP = 3
"""Runs of one optimizer that may be too late; the rest of its runs is then not tried."""


@dataclass
class Progress:
    """How far it is.

    Attributes
    ----------
    planned, present : int
        Runs asked for, and how many of them the store held before.
    to_do : int
        Runs to compute; ``done`` of them are.
    elsewhere : int
        Of those done, by another coordinator that fills the same store.
    awaited : int
        Runs that other coordinators are at, or will do.
    work, work_done : float
        Expected seconds of all, and of what is done, for one worker.
    status : Counter
        Of the results so far.
    failures : list of Result
        Those that failed.
    unmoved : list of Result
        Those whose parameters never changed.
    """

    planned: int
    present: int
    to_do: int
    work: float
    done: int = 0
    elsewhere: int = 0
    awaited: int = 0
    work_done: float = 0.0
    status: Counter[Status] = field(default_factory=Counter)
    failures: list[Result] = field(default_factory=list)
    unmoved: list[Result] = field(default_factory=list)


def fill(
    store: Store,
    runs: Sequence[Run],
    *,
    executor: Executor | None = None,
    limits: Limits | None = None,
    again: bool = False,
    certify: bool = False,
    watch: Callable[[Progress], None] = lambda progress: None,
) -> Progress:
    """Run what the store lacks, and keep each parcel's results in one transaction.

    Whatever ends it early (an exception, Ctrl-C, a power cut) leaves the finished parcels in the
    store, and the same call goes on from there. Of several that fill one store at the same time
    each run is computed by one, and each returns when all of its runs are in the store.

    Parameters
    ----------
    store : Store
        To fill.
    runs : sequence of Run
        Of a plan.
    executor : concurrent.futures.Executor
        Where parcels are worked on; this process without it. The caller's, who shuts it down.
    limits : Limits
        Of each unit, where an executor is given.
    again : bool
        Run also what is there, and replace it.
    certify : bool
        As in `optbench.engine.work.Unit`.
    watch : callable
        Called with the progress, at the start, after each parcel and now and then while others
        are waited for.

    Raises
    ------
    NotAdoptable
        Where the executor's processes do not find what the runs are of.
    CannotBegin
        Where no process can begin.
    """
    executor = executor or InlineExecutor()
    missing = list(dict.fromkeys(runs)) if again else store.missing(runs)
    here = isinstance(executor, InlineExecutor)
    check_workers_find(run for run in missing if not here or DDP in run.settings)
    pace = Pace(store.costs())
    units = pack(missing, pace, certify=certify)
    handed = parcels(units, workers_of(executor))
    progress = Progress(
        len(runs), len(runs) - len(missing), len(missing), sum(p.expected_s for p in handed)
    )
    watch(progress)
    if not units:
        return progress
    with store.coordinate() as coordinator:
        work = _Work(store, coordinator, handed, missing, progress, watch)
        with closing(work.hand_out()) as out:
            for parcel, performed in execute(out, executor, limits):
                work.keep(parcel, performed)
    return progress


class _Work:
    """What is to do, what others do, and what was done."""

    def __init__(
        self,
        store: Store,
        coordinator: Coordinator,
        handed: Sequence[Parcel],
        missing: Sequence[Run],
        progress: Progress,
        watch: Callable[[Progress], None],
    ) -> None:
        self.store = store
        self.coordinator = coordinator
        self.handed = handed
        self.keys = {run: key(run) for run in missing}
        # Whoever has done one of these since, has done it for us.
        attempts = store.attempts(list(self.keys.values()))
        self.seen = {name: attempts.get(name, 0) for name in self.keys.values()}
        self.progress = progress
        self.watch = watch
        self.here = environment(missing[0].device)
        self.late: Counter[str] = Counter()

    def hand_out(self) -> Generator[Parcel | None]:
        """Parcels that are ours; then what others claimed and did not do."""
        waiting: Sequence[Parcel] = self.handed
        while waiting:
            theirs: list[Parcel] = []
            for parcel in waiting:
                ours, rest = self._claim(parcel)
                theirs += [rest] if rest else []
                if ours and (ours := self._tried(ours)):
                    yield ours
            waiting = theirs
            self.progress.awaited = sum(len(parcel.runs) for parcel in waiting)
            if waiting:
                self.watch(self.progress)
                yield None

    def _claim(self, parcel: Parcel) -> tuple[Parcel | None, Parcel | None]:
        """Claim a parcel: return what is ours, and what another coordinator is working on."""
        claim = self.coordinator.claim({self.keys[r]: self.seen[self.keys[r]] for r in parcel.runs})
        done = {run for run in parcel.runs if self.keys[run] in claim.done}
        ours = {run for run in parcel.runs if self.keys[run] in claim.mine}
        if done:
            self.progress.elsewhere += len(done)
            # What is there and counts as missing has failed.
            self.progress.failures += [
                Result(run, Status.FAILED, error="it failed with another coordinator")
                for run in self.store.missing(list(done))
            ]
            self._count(parcel, len(done))
            self.watch(self.progress)
        return trimmed(parcel, ours), trimmed(parcel, {*parcel.runs} - done - ours)

    def _tried(self, parcel: Parcel) -> Parcel | None:
        """Return a parcel without the runs of optimizers that always hang."""
        hopeless = [r for r in parcel.runs if self.late[r.optimizer] >= GIVEN_UP]
        if hopeless:
            why = f"{GIVEN_UP} other runs of this optimizer did not end in time"
            self.keep(parcel, Performed(tuple(not_tried(hopeless, why))))
        return trimmed(parcel, {*parcel.runs} - {*hopeless})

    def keep(self, parcel: Parcel, performed: Performed) -> None:
        """Put results into the store, and say so."""
        where = self._where(performed.environment)
        results = performed.results
        self.store.add(results, where)
        self.late.update(result.run.optimizer for result in results if is_late(result))
        self.progress.status.update(result.status for result in results)
        self.progress.failures += [r for r in results if r.status is Status.FAILED]
        self.progress.unmoved += [r for r in results if r.status is Status.UNMOVED]
        self._count(parcel, len(results))
        self.watch(self.progress)

    def _where(self, environment: Environment | None) -> Environment:
        if environment is None:
            return self.here
        # A worker elsewhere stands in no checkout; whose code it is, it was held to.
        return replace(environment, commit=self.here.commit, dirty=self.here.dirty)

    def _count(self, parcel: Parcel, runs: int) -> None:
        self.progress.done += runs
        self.progress.work_done += parcel.expected_s * runs / len(parcel.runs)
