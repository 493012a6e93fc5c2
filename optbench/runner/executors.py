"""Where parcels of work run: here, in worker processes, or wherever an executor takes them."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import (
    FIRST_COMPLETED,
    Executor,
    Future,
    ThreadPoolExecutor,
    wait,
)
from importlib.util import find_spec
from typing import Any

from optbench.engine.work import perform
from optbench.errors import OptbenchError
from optbench.runner import isolation
from optbench.runner.isolation import Limits, perform_apart
from optbench.runner.packing import Parcel, Performed

LOOK_AGAIN_S = 0.5
"""Seconds between two looks whether there is more to do."""


Done = tuple[Parcel, Performed]


class NoDask(OptbenchError, ImportError):
    """A Dask cluster is asked for, and Dask is not installed."""


class InlineExecutor(Executor):
    """Runs what is submitted at once, in this process: for tests and debuggers.

    What takes a process down takes this one down, and nothing is too late.
    """

    workers = ahead = 1

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Call ``fn`` now; the future is done when this returns."""
        future: Future[Any] = Future()
        future.set_running_or_notify_cancel()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 - it is kept, and raised by future.result()
            future.set_exception(error)
        return future


class LocalExecutor(ThreadPoolExecutor):
    """Worker processes on this machine: threads, each with a process for `perform_apart`."""

    def __init__(self, workers: int) -> None:
        super().__init__(
            workers,
            thread_name_prefix="optbench",
            initializer=isolation.belong_to,
            initargs=(self,),
        )
        self.workers = workers
        self.closed = False
        # One parcel ahead keeps the workers busy.
        self.ahead = workers + 1

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the processes; with ``wait`` after what was submitted is done, else at once."""
        if wait and not cancel_futures:
            super().shutdown(wait=True)
        # First nothing more may begin, or a thread whose process was ended would begin another.
        self.closed = True
        super().shutdown(wait=False, cancel_futures=True)
        isolation.close(self)
        super().shutdown(wait=True)

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        # Whatever interrupts the coordinator must not wait for work that nobody will keep.
        self.shutdown(wait=error is None, cancel_futures=error is not None)


def executor(
    jobs: int | None = None,
    dask: str | None = None,
    *,
    warn: Callable[[str], object] = warnings.warn,
) -> Executor:
    """Return an executor of so many worker processes, or of those of a Dask cluster.

    Parameters
    ----------
    jobs : int or None
        With 0, this process works; None: one a processor.
    dask : str or None
        Where the cluster is, as `optbench.runner.dask_cluster.connect` takes it.
    warn : callable
        Told of workers that are refused.
    """
    if dask is not None:
        if find_spec("distributed") is None:
            raise NoDask("a Dask cluster takes the extra dask: pip install 'optbench[dask]'")
        from optbench.runner.dask_cluster import connect

        return connect(dask, warn=warn)
    jobs = default_jobs() if jobs is None else jobs
    return LocalExecutor(jobs) if jobs else InlineExecutor()


def default_jobs() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def workers_of(executor: Executor) -> int:
    """How many parcels it works on at the same time."""
    return int(getattr(executor, "workers", default_jobs()))


def execute(
    parcels: Iterable[Parcel | None], executor: Executor, limits: Limits | None = None
) -> Iterator[Done]:
    """Do the parcels and yield each as it is done.

    Parameters
    ----------
    parcels : iterable of Parcel or None
        Taken one at a time, when there is room for more; None: nothing for the moment, ask again.
    executor : concurrent.futures.Executor
        Given ``perform_apart`` and what it needs, but for `InlineExecutor`. Its attribute
        ``ahead`` says how many parcels it holds at a time (twice the processors without it); its
        method ``look``, where it has one, is called now and then and raises where nobody can work.
    limits : Limits
        Of a unit.

    Whoever closes the generator early shuts the executor down.
    """
    limits = limits or Limits()
    coming = iter(parcels)
    running: dict[Future[Performed], Parcel] = {}
    more = True
    while more or running:
        idle = False
        while more and not idle and len(running) < getattr(executor, "ahead", 2 * default_jobs()):
            parcel = next(coming, _END)
            if isinstance(parcel, Parcel):
                running[_submit(executor, parcel, limits)] = parcel
            elif parcel is None:
                idle = True
            else:
                more = False
        if not running and idle:
            time.sleep(LOOK_AGAIN_S)
        # Where the workers of a cluster are none, or gone, no future may ever be done.
        look = getattr(executor, "look", None)
        if look is not None:
            look()
        patience = LOOK_AGAIN_S if idle or look is not None else None
        for future in wait(running, timeout=patience, return_when=FIRST_COMPLETED).done:
            yield running.pop(future), future.result()


def _submit(executor: Executor, parcel: Parcel, limits: Limits) -> Future[Performed]:
    if isinstance(executor, InlineExecutor):
        return executor.submit(_perform_here, parcel)
    return executor.submit(perform_apart, parcel, limits)


def _perform_here(parcel: Parcel) -> Performed:
    return Performed(tuple(result for unit in parcel.units for result in perform(unit)))


class _End:
    """What `next` gives at the end."""


_END = _End()
