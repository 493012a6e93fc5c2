"""The workers of a Dask cluster, behind ``concurrent.futures``.

What is shipped are bytes, what comes back are bytes (`optbench.engine.wire`), and workers on which
something else would come out refuse. See docs/clusters.md.
"""

from __future__ import annotations

import contextlib
import threading
import time
import uuid
import warnings
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import CancelledError, Executor, Future
from concurrent.futures import wait as wait_for
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from optbench.engine.answers import Refusal, read
from optbench.engine.dask_connection import (
    CLOSE_S,
    ClusterError,
    address_of,
    client_of,
    close,
    local_cluster,
    quiet,
    reasons,
    stopped_listening,
)
from optbench.engine.executors import Performed
from optbench.engine.isolation import perform_apart
from optbench.engine.no_unpickling import no_unpickling
from optbench.engine.remote_work import OURS, job
from optbench.engine.runs import Result, Status
from optbench.engine.wire import encode
from optbench.engine.work import Parcel

if TYPE_CHECKING:
    import distributed

    from optbench.engine.remote_work import Job

MUST_AGREE = ("optbench", "torch")
"""Packages whose version must be the coordinator's."""

PATIENCE_S = 300.0
"""Seconds without a single worker that can take the work, before it is given up."""

GRACE_S = 10.0
"""The same where there are workers, but each of them refuses."""

LOOK_S = 1.0
"""Between two looks at which workers there are."""

GATHER_S = 60.0
"""Seconds for the bytes of a finished parcel to arrive."""

ATTEMPTS = 3
"""That a parcel gets, where Dask loses it for reasons of its own; refusals do not count."""


class SchedulerGone(ClusterError):
    """The scheduler ended, or the connection to it did."""


class NoWorkers(ClusterError):
    """No worker can take the work, and none came for a while."""


def connect(
    where: str | distributed.Client,
    *,
    warn: Callable[[str], object] = warnings.warn,
    patience_s: float = PATIENCE_S,
) -> DaskExecutor:
    """The workers of a cluster.

    Parameters
    ----------
    where : str or distributed.Client
        ``tcp://HOST:PORT`` or ``tls://HOST:PORT`` of a scheduler, the path of its scheduler file,
        ``local:N`` for a cluster of N workers on this machine that is ended with the executor, or a
        client, which stays open.
    warn : callable
        Told, once each, of workers that are refused, and that none is there.
    patience_s : float
        Seconds to wait where no worker can take the work.

    Raises
    ------
    ClusterError
        Where Dask is not installed or no scheduler answers.
    """
    try:
        import distributed
    except ImportError as error:
        raise ClusterError(
            "a Dask cluster takes the extra of that name: pip install 'optbench[dask]'"
        ) from error
    if isinstance(where, distributed.Client):
        return DaskExecutor(where, warn=warn, patience_s=patience_s)
    with contextlib.ExitStack() as opening:
        opening.enter_context(quiet())
        cluster = local_cluster(where)
        if cluster is not None:
            opening.callback(cluster.close)
        opening.enter_context(no_unpickling())
        address = cluster.address if cluster else address_of(where)
        client = client_of(address, cluster.security if cluster else None)
        opening.callback(close, client)
        return DaskExecutor(client, warn=warn, patience_s=patience_s, closing=opening.pop_all())


def shipped() -> Callable[[bytes, Mapping[str, str]], bytes]:
    """The function that a worker is given: ``work_on(content, versions) -> answer``.

    It is made here and not found in a module, so that it travels by value: also a worker without
    optbench, or with one that knows nothing of this, can answer why it refuses.
    """

    def work_on(content: bytes, versions: Mapping[str, str]) -> bytes:
        # No names from outside. It never raises: exceptions travel pickled.
        import json
        from importlib.metadata import version

        try:
            for package, expected in versions.items():
                found = version(package)
                if found != expected:
                    raise RuntimeError(f"it has {package} {found}, not {expected}")
            from optbench.engine.remote_work import answer

            return answer(content)
        except BaseException as error:  # noqa: BLE001
            from distributed import get_worker

            reason = f"{error}"
            if type(error).__name__ not in ("Refused", "RuntimeError"):
                reason = f"{type(error).__name__}: {error}"
            said = {"worker": get_worker().address, "reason": reason}
            return b"refused\n" + json.dumps(said).encode()

    return work_on


@dataclass(eq=False)
class _Task:
    """A parcel on its way."""

    parcel: Parcel
    job: Job
    content: bytes
    ours: Future[Performed]
    theirs: distributed.Future[Any] | None = None
    workers: frozenset[str] | None = None
    """Those that it may go to; None: all."""
    attempts: int = 0
    stuck_since: float | None = None
    """When it was first seen, by the monotonic clock, that nobody can do it."""

    def is_astray(self, known: Collection[str]) -> bool:
        """Whether it waits for workers that are gone, and should be sent to others."""
        return self.theirs is None or (self.workers is not None and not self.workers & set(known))

    @property
    def resources(self) -> dict[str, float]:
        """What a worker must have declared."""
        on_gpu = any(run.device.startswith("cuda") for run in self.parcel.runs)
        return {"GPU": 1.0} if on_gpu else {}


@dataclass(frozen=True)
class _Worker:
    """What the scheduler says of a worker."""

    threads: int
    resources: Mapping[str, float] = field(default_factory=dict)

    def has(self, resources: Mapping[str, float]) -> bool:
        """Whether it declared so much."""
        return all(self.resources.get(name, 0) >= n for name, n in resources.items())


class DaskExecutor(Executor):
    """A `concurrent.futures.Executor` of `perform_apart` on the workers of a cluster.

    A future of it gives `Performed`, or raises `SchedulerGone` or `NoWorkers`. Nothing that comes
    from the cluster is unpickled, unless the client is the caller's, who may have reasons for it.

    Parameters
    ----------
    client : distributed.Client
        Of the cluster.
    warn, patience_s :
        As in `connect`.
    closing : ExitStack
        What is to be closed with it.
    """

    def __init__(
        self,
        client: distributed.Client,
        *,
        warn: Callable[[str], object] = warnings.warn,
        patience_s: float = PATIENCE_S,
        closing: contextlib.ExitStack | None = None,
    ) -> None:
        self._client = client
        self._warn = warn
        self._patience_s = patience_s
        self._closing = closing or contextlib.ExitStack()
        self._address = str(getattr(client.scheduler, "address", "its address"))
        self._versions = {package: version(package) for package in MUST_AGREE}
        self._work_on = shipped()
        self._guard = threading.RLock()
        self._tasks: set[_Task] = set()
        self._refusals: dict[str, str] = {}
        self._known: dict[str, _Worker] = {}
        self._failed: ClusterError | None = None
        self._closed = threading.Event()
        self._look()
        self._looking = threading.Thread(target=self._keep_looking, daemon=True)
        self._looking.start()

    @property
    def workers(self) -> int:
        """How many parcels are worked on at the same time: threads of workers that do not refuse.

        At least one, which may be yet to come.
        """
        with self._guard:
            return max(1, sum(self._known[address].threads for address in self._acceptable({})))

    @property
    def ahead(self) -> int:
        """How many parcels to submit before the first is done: each worker has the next at hand."""
        return 2 * self.workers

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """``submit(perform_apart, parcel, limits)``: nothing else is done there.

        Raises
        ------
        TypeError
            Where the function is another one, or the parcel cannot travel.
        RuntimeError
            After `shutdown`.
        """
        if fn is not perform_apart:
            raise TypeError(f"a cluster does parcels of runs (perform_apart), not {fn!r}")
        todo = job(*args, **kwargs)
        ours: Future[Performed] = Future()
        task = _Task(todo.parcel, todo, encode(todo, type(todo)), ours)
        with self._guard:
            if self._closed.is_set():
                raise RuntimeError("cannot submit to an executor that was shut down")
            if self._failed is not None:
                ours.set_exception(self._failed)
                return ours
            self._tasks.add(task)
            ours.add_done_callback(lambda _: self._forget(task))
            self._send(task)
        return ours

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Close the connection; with ``wait`` after what was submitted is done, else at once.

        Nothing is left on the cluster but what its workers have already begun.
        """
        with self._guard:
            pending = [task.ours for task in self._tasks]
        if wait and not cancel_futures:
            wait_for(pending)
        first = not self._closed.is_set()
        self._closed.set()
        for ours in pending:
            ours.cancel()
        if first:
            self._looking.join(LOOK_S + CLOSE_S)
            # In the order in which they are sent, which is before the connection is closed.
            self._closing.close()

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        # Whatever interrupts the coordinator must not wait for work that nobody will keep.
        self.shutdown(wait=error is None, cancel_futures=error is not None)

    def _acceptable(self, resources: Mapping[str, float]) -> list[str]:
        return [
            address
            for address, worker in self._known.items()
            if address not in self._refusals and worker.has(resources)
        ]

    def _send(self, task: _Task) -> None:
        """Give a task to Dask, or keep it until there is a worker that may have it."""
        resources = task.resources
        chosen = self._acceptable(resources)
        # Only where some refuse: a worker that comes later may take what is for all.
        task.workers = frozenset(chosen) if self._refusals else None
        if self._refusals and not chosen:
            task.theirs = None
            return
        task.theirs = self._client.submit(
            self._work_on,
            task.content,
            self._versions,
            key=f"{OURS}-{uuid.uuid4().hex}",
            workers=chosen if self._refusals else None,
            allow_other_workers=False,
            resources=resources or None,
        )
        task.theirs.add_done_callback(lambda theirs: self._came_back(task, theirs))

    def _send_again(self, task: _Task) -> None:
        with self._guard:
            if self._failed is None and not task.ours.done():
                self._take_back(task)
                self._send(task)

    def _take_back(self, task: _Task) -> None:
        theirs, task.theirs = task.theirs, None
        if theirs is None or self._client.status not in ("running", "connecting"):
            return
        with contextlib.suppress(OSError, RuntimeError):
            if theirs.status == "pending":
                # By force: whoever else may want our key has no business with it.
                self._client.cancel([theirs], force=True)
            theirs.release()

    def _forget(self, task: _Task) -> None:
        with self._guard:
            self._tasks.discard(task)
            self._take_back(task)

    def _came_back(self, task: _Task, theirs: distributed.Future[Any]) -> None:
        """Called in a thread of Dask's when it is done with a task, or lost it."""
        if task.theirs is not theirs or task.ours.done():
            return  # taken back from there
        try:
            if theirs.status == "finished":
                self._conclude(task, bytes(theirs.result(timeout=GATHER_S)))
            elif theirs.status == "error":
                self._conclude_error(task, theirs)
            elif self._client.status != "running":
                self._fail(self._gone())
            else:
                self._lost(task, "somebody cancelled it on the cluster")
        except (TimeoutError, OSError, CancelledError) as error:
            if self._client.status != "running":
                self._fail(self._gone())
            else:
                self._lost(task, f"its results did not arrive: {reasons(error)}")
        # Of a stranger's making: whatever it is, somebody waits for an answer.
        except Exception as error:  # noqa: BLE001
            self._lost(task, f"its results are none of ours: {reasons(error)}")

    def _conclude(self, task: _Task, reply: bytes) -> None:
        answer = read(reply, task.parcel)
        if isinstance(answer, Refusal):
            self._refuse(answer)
            self._send_again(task)
        else:
            _set(task.ours, answer)

    def _conclude_error(self, task: _Task, theirs: distributed.Future[Any]) -> None:
        # The exception came as a pickle, and stays one; what it is called stands in it as it is.
        said = theirs.exception(timeout=GATHER_S)
        if "KilledWorker" in repr(said):
            _set(task.ours, _all_failed(task, "the Dask workers died, each that was given it"))
        else:
            self._lost(task, f"the scheduler or a worker could not take it: {said!r:.200}")

    def _lost(self, task: _Task, why: str) -> None:
        """Try a task again that Dask lost, but not for ever."""
        task.attempts += 1
        if task.attempts < ATTEMPTS:
            self._send_again(task)
        else:
            _set(task.ours, _all_failed(task, f"{why}, {ATTEMPTS} times"))

    def _refuse(self, said: Refusal) -> None:
        with self._guard:
            known = said.reason in self._refusals.values()
            self._refusals[said.worker] = said.reason
        # A hundred workers of one wrong installation are one piece of news.
        if not known:
            self._warn(f"the Dask worker {said.worker} gets no work: {said.reason}")

    def _fail(self, error: ClusterError) -> None:
        """Tell everybody who waits."""
        with self._guard:
            self._failed = self._failed or error
            waiting = [task.ours for task in self._tasks]
        for ours in waiting:
            if ours.set_running_or_notify_cancel():
                ours.set_exception(error)

    def _gone(self) -> SchedulerGone:
        return SchedulerGone(
            f"the Dask scheduler at {self._address} is gone; what is finished is in the store, "
            "the same command goes on"
        )

    def _keep_looking(self) -> None:
        """Notice that the scheduler is gone, that workers come and go, and that none is there."""
        warned = ""
        while not self._closed.wait(LOOK_S):
            if self._client.status != "running" or stopped_listening(self._client):
                self._fail(self._gone())
                return
            self._look()
            now = time.monotonic()
            with self._guard:
                for task in self._tasks:
                    stuck = not self._acceptable(task.resources)
                    task.stuck_since = (task.stuck_since or now) if stuck else None
                longest = min(self._tasks, key=lambda t: t.stuck_since or now, default=None)
                astray = [task for task in self._tasks if task.is_astray(self._known)]
            for task in astray:
                self._send_again(task)
            if longest is None or longest.stuck_since is None:
                continue
            waited = now - longest.stuck_since
            text = self._lacking(longest)
            if waited > (GRACE_S if self._known and self._refusals else self._patience_s):
                self._fail(NoWorkers(f"{text}; given up after {waited:.0f} s"))
                return
            if waited > GRACE_S and text != warned:
                warned = text
                self._warn(f"{text}; waiting for one")

    def _look(self) -> None:
        try:
            info = self._client.scheduler_info()
        except (OSError, RuntimeError):
            return
        workers = info.get("workers", {})
        # Dask itself looks from time to time, at the numbers only.
        if len(workers) == info.get("n_workers", len(workers)):
            known = {
                str(address): _Worker(int(w.get("nthreads", 1)), dict(w.get("resources", {})))
                for address, w in workers.items()
            }
            with self._guard:
                self._known = known

    def _lacking(self, task: _Task) -> str:
        """Why nobody can do it."""
        with self._guard:
            refusals = [r for address, r in self._refusals.items() if address in self._known]
            known = len(self._known)
        if not known:
            return f"the Dask scheduler at {self._address} has no worker"
        if task.resources and not any(w.has(task.resources) for w in self._known.values()):
            return (
                f"none of the {known} Dask workers has declared a GPU, which {task.parcel.title} "
                "takes: begin them with --resources GPU=1"
            )
        return f"all {known} Dask workers refuse: " + "; ".join(dict.fromkeys(refusals))


def _set(ours: Future[Performed], performed: Performed) -> None:
    if ours.set_running_or_notify_cancel():
        ours.set_result(performed)


def _all_failed(task: _Task, why: str) -> Performed:
    text = f"{why} ({task.parcel.title})"
    return Performed(tuple(Result(r, Status.FAILED, error=text) for r in task.parcel.runs))
