"""What a coordinator does with a parcel, piece by piece, with the results of real runs.

The work is done once and recorded; then stores are filled with what was recorded, by an executor
that has every answer at hand, so that what is left is the coordinator's own.
"""

from __future__ import annotations

import pickle
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.optimize import nnls
from sqlalchemy import Engine, event

from optbench.engine.dask_workers import connect
from optbench.engine.executors import LocalExecutor, Performed, execute
from optbench.engine.identity import key
from optbench.engine.isolation import Limits
from optbench.engine.packing import pack, parcels
from optbench.engine.plan import Selection, plan
from optbench.engine.remote_work import Job, job
from optbench.engine.runs import Result, Run
from optbench.engine.wire import decode, encode
from optbench.engine.work import Parcel, Unit
from optbench.runner import fill
from optbench.store import Store
from optbench.store.coordination import Claim, Coordinator

SIZES = (1, 4, 16, 64)
"""Workers that the parcels are made for: the more, the fewer runs to a parcel."""


@dataclass
class Observation:
    """Something done with a parcel: its runs, wall and CPU seconds, statements sent."""

    runs: int
    wall_s: float
    cpu_s: float
    statements: int = 0


Observations = dict[str, list[Observation]]


class Recording(LocalExecutor):
    """Worker processes whose results are kept."""

    def __init__(self, workers: int) -> None:
        super().__init__(workers)
        self.results: dict[Run, Result] = {}

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """As ever, and keep what comes."""
        future = super().submit(fn, *args, **kwargs)
        future.add_done_callback(self._keep)
        return future

    def _keep(self, future: Future[Any]) -> None:
        if not future.cancelled() and future.exception() is None:
            self.results |= {result.run: result for result in future.result()}


class Replaying(Executor):
    """Has every answer at hand."""

    def __init__(self, results: dict[Run, Result], workers: int) -> None:
        self.results = results
        self.workers = workers
        self.ahead = workers + 1
        self.first: tuple[float, float] | None = None

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """The recorded results of a parcel's runs."""
        self.first = self.first or (time.perf_counter(), time.process_time())
        (parcel, *_) = args
        future: Future[Any] = Future()
        future.set_result(Performed(tuple(self.results[run] for run in parcel.runs)))
        return future


@dataclass
class Timed:
    """Observations of what is done in its contexts."""

    seen: Observations = field(default_factory=lambda: defaultdict(list))
    statements: int = 0

    def __post_init__(self) -> None:
        event.listen(Engine, "before_cursor_execute", self._count)
        event.listen(Engine, "commit", self._count)

    def _count(self, *_: object) -> None:
        self.statements += 1

    @contextmanager
    def observe(self, name: str, runs: int) -> Iterator[None]:
        """Observe what is done in here."""
        sent, wall, cpu = self.statements, time.perf_counter(), time.process_time()
        yield
        self.seen[name].append(
            Observation(
                runs,
                time.perf_counter() - wall,
                time.process_time() - cpu,
                self.statements - sent,
            )
        )


class TimedStore(Store):
    """A store that observes what a coordinator does with it."""

    def __init__(self, url: str, timed: Timed) -> None:
        super().__init__(url, create=True)
        self._timed = timed

    def add(self, results: Any, environment: Any) -> None:
        """As ever, observed."""
        results = list(results)
        with self._timed.observe("keep", len(results)):
            super().add(results, environment)

    @contextmanager
    def coordinate(self) -> Iterator[Any]:
        """As ever; its claims are observed."""
        with super().coordinate() as coordinator:
            yield _TimedCoordinator(coordinator, self._timed)


class _TimedCoordinator:
    def __init__(self, coordinator: Coordinator, timed: Timed) -> None:
        self._coordinator, self._timed = coordinator, timed

    def claim(self, seen: dict[str, int]) -> Claim:
        with self._timed.observe("claim", len(seen)):
            return self._coordinator.claim(seen)


@dataclass
class Recorded:
    """What was computed, once.

    Attributes
    ----------
    units : list of (expected seconds, seconds, runs)
        As they were packed.
    """

    runs: list[Run]
    results: dict[Run, Result]
    units: list[tuple[float, float, int]]


def record(selections: Sequence[Selection], url: str) -> Recorded:
    """Compute what is selected, on one worker."""
    runs = list(plan(selections).runs)
    with Recording(1) as recording, Store(url, create=True) as store:
        fill(store, runs, executor=recording)
    results = recording.results
    units = [
        (unit.expected_s, sum(results[run].seconds or 0.0 for run in unit.runs), len(unit.runs))
        for unit in pack(runs)
    ]
    return Recorded(runs, results, units)


def with_store(recorded: Recorded, urls: Sequence[str]) -> tuple[Observations, Observation]:
    """Fill new stores from what was recorded, with parcels of several sizes.

    Returns
    -------
    The observations ``claim``, ``keep`` and ``refused`` of single parcels, and what the plan took
    until the first was handed out.
    """
    timed = Timed()
    plans: list[Observation] = []
    for url, workers in zip(urls, SIZES, strict=True):
        with TimedStore(url, timed) as store:
            replaying = Replaying(recorded.results, workers)
            wall, cpu = time.perf_counter(), time.process_time()
            fill(store, recorded.runs, executor=replaying)
            assert replaying.first is not None
            at = replaying.first
            plans.append(Observation(len(recorded.runs), at[0] - wall, at[1] - cpu))
    _refusals(recorded, urls[0], timed)
    return timed.seen, min(plans, key=lambda each: each.cpu_s)


def _refusals(recorded: Recorded, url: str, timed: Timed) -> None:
    """Claims of what another coordinator is at."""
    never = dict.fromkeys(map(key, recorded.runs), 1)
    with Store(url) as one, Store(url) as other, one.coordinate() as first:
        first.claim(never)
        with other.coordinate() as second:
            for workers in SIZES:
                for parcel in parcels(pack(recorded.runs), workers):
                    asked = {key(run): 1 for run in parcel.runs}
                    with timed.observe("refused", len(asked)):
                        claim = second.claim(asked)
                    assert not claim.mine, "a claim was taken away"


def messages(recorded: Recorded) -> Observations:
    """Parcels and results to bytes and back: for a pipe, and for a cluster."""
    timed = Timed()
    for workers in SIZES:
        for parcel in parcels(pack(recorded.runs), workers):
            results = tuple(recorded.results[run] for run in parcel.runs)
            n = len(results)
            by_unit = [pickle.dumps([recorded.results[r] for r in u.runs]) for u in parcel.units]
            with timed.observe("local hand out", n):
                for unit in parcel.units:
                    pickle.dumps((1, unit))
            with timed.observe("local take back", n):
                for content in by_unit:
                    pickle.loads(content)
            answer = encode(Performed(results), Performed)
            with timed.observe("dask hand out", n):
                encode(job(parcel, Limits()), Job)
            with timed.observe("dask take back", n):
                decode(answer, Performed)
    return timed.seen


def trip(count: int, dask: str | None) -> dict[str, float]:
    """Parcels with next to nothing to do, one after the other.

    Returns
    -------
    ``wall_s`` and ``cpu_s`` of a parcel without the work in it: wall time there and back, where
    least interfered, and CPU time of the coordinator's own.
    """
    (run,) = plan(
        [Selection(optimizers=("sgd",), problems=("quadratic",), seeds=(0,), budget=1)]
    ).runs
    parcel = Parcel((Unit((run,)),))
    with LocalExecutor(1) if dask is None else connect(dask) as executor:
        # What a first time takes longer is over then.
        list(execute([parcel] * 3, executor))
        cpu = time.process_time()
        walls = [_there_and_back(parcel, executor) for _ in range(count)]
        cpu = time.process_time() - cpu
    return {"wall_s": _least(walls), "cpu_s": cpu / count}


def _there_and_back(parcel: Parcel, executor: Executor) -> float:
    begun = time.perf_counter()
    ((_, performed),) = execute([parcel], executor)
    return time.perf_counter() - begun - sum(r.seconds or 0 for r in performed.results)


def priced(observations: Sequence[Observation]) -> dict[str, dict[str, float]]:
    """CPU seconds, seconds of waiting, and statements: for a parcel, and for each run in it.

    Least squares without negative numbers, over parcels of about a size. Of waiting it takes those
    that waited least, for whatever interferes only ever adds; of CPU seconds those in the middle,
    for there is work that is done only now and then.
    """
    sizes: dict[int, list[Observation]] = defaultdict(list)
    for each in observations:
        sizes[int(np.log2(each.runs) * 2)].append(each)
    runs = [float(np.mean([each.runs for each in alike])) for alike in sizes.values()]
    takes: dict[str, Callable[[list[Observation]], float]] = {
        "cpu_s": lambda alike: _middle([each.cpu_s for each in alike]),
        "waits_s": lambda alike: _least([each.wall_s - each.cpu_s for each in alike]),
        "statements": lambda alike: _middle([each.statements for each in alike]),
    }
    return {
        name: _line(runs, [take(alike) for alike in sizes.values()]) for name, take in takes.items()
    }


def _line(runs: Sequence[float], values: Sequence[float]) -> dict[str, float]:
    # Of each size the relative error counts.
    weights = 1 / np.maximum(np.array(values), 1e-9)
    rows = np.column_stack([np.ones(len(runs)), runs])
    (parcel, run), _ = nnls(rows * weights[:, None], np.maximum(values, 0) * weights)
    return {"parcel": float(parcel), "run": float(run)}


def _middle(values: Sequence[float]) -> float:
    ordered = sorted(values)
    cut = len(ordered) // 4
    return float(np.mean(ordered[cut : len(ordered) - cut]))


def _least(values: Sequence[float]) -> float:
    return float(np.mean(sorted(values)[: max(1, len(values) // 10)]))
