"""The workers of a Dask cluster, as a `concurrent.futures.Executor`; see docs/clusters.md.

Parcels and results travel as pickles. A worker compares what decides a parcel's results with the
coordinator's, and refuses where something differs.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import multiprocessing.util
import os
import pickle
import re
import threading
import time
import uuid
import warnings
from collections.abc import Callable
from concurrent.futures import CancelledError, Executor, Future
from concurrent.futures import wait as wait_for
from importlib.metadata import version
from pathlib import Path
from typing import Any

import dask
import distributed
from distributed.utils import silence_logging_cmgr

from optbench.engine.environment import environment
from optbench.engine.identity import code_of, keys
from optbench.engine.plan import check_device
from optbench.engine.runs import Result, Status
from optbench.errors import OptbenchError
from optbench.plain_text import on_a_line, said
from optbench.problems import PROBLEMS
from optbench.runner import isolation
from optbench.runner.isolation import Limits, perform_apart
from optbench.runner.packing import Parcel, Performed
from optbench.whole_files import read_whole

CONNECT_S, CLOSE_S = 20.0, 5.0
"""Seconds for the scheduler to answer, and for the connection to be closed."""

LOOK_S = 1.0
"""Seconds between two looks at which workers there are."""

WARN_S, PATIENCE_S = 10.0, 300.0
"""Seconds without a worker that can take the work, before a line says so and before it is given
up."""

GATHER_S = 60.0
"""Seconds for the results of a finished parcel to arrive."""

OURS = "optbench"
"""Name of our plug-in, and what the keys of our tasks begin with."""

TRIM = ("MALLOC_TRIM_THRESHOLD_", "65536")
"""Variable that Dask's nannies set, and to what: memory goes back to the system at once, and every
step asks for it anew. Runs take a third longer so, and a process of ours is soon gone anyway."""

VERSIONS = {package: version(package) for package in ("optbench", "torch")}
"""Packages whose version must be the same everywhere."""

GOES_ON = "what is finished is in the store, the same command goes on"


class ClusterError(OptbenchError, RuntimeError):
    """Something is wrong with the cluster that the user can mend; the text says what."""


def connect(
    where: str | distributed.Client, *, warn: Callable[[str], object] = warnings.warn
) -> DaskExecutor:
    """Connect to the workers of a cluster.

    Parameters
    ----------
    where : str or distributed.Client
        ``tcp://HOST:PORT`` or ``tls://HOST:PORT`` of a scheduler, the path of its scheduler file,
        ``local:N`` for N workers in this process, which end with the executor, or a client, which
        stays open.
    warn : callable
        Called with a line where no worker can take the work.

    Raises
    ------
    ClusterError
        Where no scheduler answers, or a worker differs from this process.
    """
    with contextlib.ExitStack() as opened:
        opened.enter_context(silence_logging_cmgr("CRITICAL"))
        if isinstance(where, distributed.Client):
            client = where
        elif where.startswith("local:"):
            client = opened.enter_context(opened.enter_context(_local_cluster(where)).get_client())
        else:
            client = _client_of(_address_of(where))
            opened.callback(_close, client)
        try:
            _compare_workers(client)
        except (OSError, CancelledError) as error:
            raise _gone(client) from error
        return DaskExecutor(client, warn, opened.pop_all())


def _local_cluster(where: str) -> distributed.LocalCluster:
    """Workers that are threads of this process; each begins a process for its parcels."""
    if not re.fullmatch(r"local:0*[1-9]\d{0,2}", where, re.ASCII):
        raise ClusterError(f"a cluster here is local:N with N workers, 1 to 999, not {where!r}")
    # Messages stay in the process; Dask's pages cannot be turned off, but be empty and local.
    with dask.config.set({f"distributed.{of}.http.routes": [] for of in ("scheduler", "worker")}):
        return distributed.LocalCluster(
            n_workers=int(where.removeprefix("local:")),
            threads_per_worker=1,
            processes=False,
            dashboard_address="127.0.0.1:0",
            worker_dashboard_address="127.0.0.1:0",
            scheduler_kwargs={"dashboard": False},
            memory_limit=0,
        )


def _address_of(where: str) -> str:
    """Return the address of a scheduler, as it is or from its file."""
    if re.match(r"[a-z]+://", where):
        return where
    try:
        return str(json.loads(read_whole(Path(where)))["address"])
    except (OSError, ValueError, TypeError, KeyError) as error:
        if re.fullmatch(r"[\w.-]+:\d+", where):
            raise ClusterError(f"{where}: did you mean tcp://{where}?") from error
        raise ClusterError(
            f"{where}: no scheduler file: {said(error)} (a cluster is tcp://HOST:PORT, "
            "tls://HOST:PORT, local:N, or the file that dask scheduler --scheduler-file wrote)"
        ) from error


def _client_of(address: str) -> distributed.Client:
    made: Future[distributed.Client] = Future()

    def begin() -> None:
        try:
            made.set_result(distributed.Client(address, timeout=CONNECT_S, set_as_default=False))
        except BaseException as error:  # noqa: BLE001 - raised again by whoever waits
            made.set_exception(error)

    # Dask waits for ever for a peer that takes the connection and says nothing, as a scheduler
    # does that was stopped; then this thread does, and ends with the process.
    threading.Thread(target=begin, daemon=True).start()
    try:
        return made.result(2 * CONNECT_S)
    # TypeError: a missing certificate; ValueError: not an address.
    except (OSError, TypeError, ValueError, RuntimeError, ImportError) as error:
        reason = _causes(error) if made.done() else f"no answer within {2 * CONNECT_S:g} s"
        if address.startswith("tls:"):
            reason += "; certificates: DASK_DISTRIBUTED__COMM__TLS__CA_FILE, ..._CLIENT__CERT, _KEY"
        raise ClusterError(f"no connection to a Dask scheduler at {address}: {reason}") from error


def _close(client: distributed.Client) -> None:
    # Without a scheduler there is nothing to sign off from.
    with contextlib.suppress(TimeoutError, OSError):
        client.close(timeout=CLOSE_S)


def _causes(error: BaseException | None) -> str:
    """Return the messages of an exception and its causes, on one line."""
    found: list[str] = []
    while error is not None and len(found) < 4:
        # Dask begins with an object and its place in memory.
        found.append(re.sub(r": in <[^>]*>: ", ": ", said(error)))
        error = error.__cause__ or error.__context__
    return "; ".join(dict.fromkeys(found))


def identity_of(parcel: Parcel) -> dict[str, str]:
    """Return what decides a parcel's results and the keys under which they are stored, by name."""
    found = {"source of optbench (sha256)": source()}
    for run in parcel.runs:
        problem = PROBLEMS[run.problem]
        found[f"code of {run.optimizer}"] = code_of(run.optimizer)
        found[f"version of {run.problem}"] = str(problem.version)
        found[f"data of {run.problem} (OPTBENCH_DATA)"] = problem.data
    # Also schedules, and the base optimizers of wrappers.
    together = " ".join(keys(parcel.runs)).encode()
    return {**found, "identity of its runs": hashlib.sha256(together).hexdigest()[:16]}


@functools.cache
def source() -> str:
    """Digest of optbench's own source files."""
    return digest_of(Path(__file__).parents[1])


def digest_of(folder: Path) -> str:
    """Digest of the Python files of a folder, their names and contents: 16 hexadecimal digits."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(folder).as_posix()} {len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()[:16]


def _shipped() -> Callable[[bytes, dict[str, str]], Performed | str]:
    """Run a parcel on a worker; return the reason where the worker refuses.

    It is made here, so that it travels by value: a scheduler needs no optbench, and a worker
    without it, or with another version, can say so.
    """

    def work_on(content: bytes, versions: dict[str, str]) -> Any:
        from importlib.metadata import version

        from distributed import Reschedule

        try:
            for package, expected in versions.items():
                if (found := version(package)) != expected:
                    return f"it has {package} {found}, not {expected}"
            from optbench.runner.dask_cluster import answer

            return answer(content)
        except Reschedule:
            raise
        except BaseException as error:  # noqa: BLE001 - whatever an optimizer's package raises
            return f"{type(error).__name__}: {error}"

    return work_on


def _content(parcel: Parcel, limits: Limits | None = None) -> bytes:
    return pickle.dumps((parcel, limits, identity_of(parcel)))


def _compare_workers(client: distributed.Client) -> None:
    """Raise where the optbench or the torch of a worker is not this process's."""
    found = client.run(_shipped(), _content(Parcel(())), VERSIONS, on_error="return")
    # One that has just died is no other one; each parcel is compared again.
    lines = [
        f"{who} ({on_a_line(str(why))})"
        for who, why in found.items()
        if why != Performed(()) and not isinstance(why, OSError)
    ]
    if lines:
        raise ClusterError(f"Dask workers that differ from this process: {'; '.join(lines)}")


def answer(content: bytes) -> Performed | str:
    """On the worker: do a parcel, or say why the worker refuses."""
    parcel, limits, expected = pickle.loads(content)
    for device in {run.device for run in parcel.runs}:
        check_device(device)
    for what, found in identity_of(parcel).items():
        if found != expected[what]:
            return f"its {what} is {found}, not {expected[what]}"
    if not parcel.runs:
        return Performed(())
    isolation.belong_to(_prepared(distributed.get_worker()))
    try:
        performed = perform_apart(parcel, limits)
    except isolation.Stopped:
        raise distributed.Reschedule from None
    return Performed(performed.results, _environment(parcel.runs[0].device))


_environment = functools.cache(environment)


@functools.cache
def _prepared(worker: distributed.Worker) -> EndsItsProcesses:
    """Let a Dask worker have processes; gives their owner."""
    # Nannies begin their workers as daemons, to which multiprocessing allows no children.
    multiprocessing.current_process().daemon = False
    name, by_dask = TRIM
    if os.environ.get(name) == by_dask:
        del os.environ[name]
    # An exit handler would come too late: before those, multiprocessing waits for the children.
    multiprocessing.util.Finalize(None, isolation.close, exitpriority=100)
    owner = EndsItsProcesses()
    owner.setup(worker)
    worker.loop.add_callback(worker.plugin_add, owner, name=OURS)
    return owner


class EndsItsProcesses(distributed.WorkerPlugin):
    """Ends the processes of parcels with the worker, and with a task that is taken back."""

    def setup(self, worker: distributed.Worker) -> None:
        """Keep the worker; called by Dask."""
        self._worker = worker

    def transition(self, key: Any, start: str, finish: str, **rest: Any) -> None:
        """End the processes where a task that runs is taken back; called by Dask."""
        taken_back = str(key).startswith(f"{OURS}-") and finish in ("released", "cancelled")
        # Where several threads work, the processes of the others would go, too.
        if taken_back and start == "executing" and self._worker.state.nthreads == 1:
            isolation.close(self)

    def teardown(self, worker: distributed.Worker) -> None:
        """End the processes before the worker ends, which would wait for them; called by Dask."""
        isolation.close(self)


class DaskExecutor(Executor):
    """An executor of `perform_apart` on the workers of a cluster.

    Its futures give `Performed`, or raise `ClusterError`. Where no future may ever be done, `look`
    raises.

    Parameters
    ----------
    client : distributed.Client
        Of the cluster.
    warn : callable
        As in `connect`.
    closing : ExitStack
        What is to be closed with it.
    """

    def __init__(
        self,
        client: distributed.Client,
        warn: Callable[[str], object],
        closing: contextlib.ExitStack,
    ) -> None:
        self._client = client
        self._warn = warn
        self._closing = closing
        self._work_on = _shipped()
        self._pending: dict[Future[Performed], tuple[distributed.Future[Any], Parcel]] = {}
        self._known: dict[str, dict[str, Any]] = {}
        self._closed = False
        self._looked = -LOOK_S
        self._stuck_since: float | None = None
        self._warned = ""
        self.look()

    @property
    def workers(self) -> int:
        """Parcels that are worked on at the same time; at least one, as workers may yet come."""
        return max(1, sum(int(worker["nthreads"]) for worker in self._known.values()))

    @property
    def ahead(self) -> int:
        """How many parcels to submit before the first is done: each worker has the next at hand."""
        return 2 * self.workers

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Do ``submit(perform_apart, parcel, limits)``; nothing else is done there."""
        if fn is not perform_apart:
            raise TypeError(f"a cluster does parcels of runs (perform_apart), not {fn!r}")
        if self._closed:
            raise RuntimeError("cannot submit to an executor that was shut down")
        if self._client.status != "running":
            raise _gone(self._client)
        return self._submit(*args, **kwargs)

    def _submit(self, parcel: Parcel, limits: Limits) -> Future[Performed]:
        ours: Future[Performed] = Future()
        theirs = self._client.submit(
            self._work_on,
            _content(parcel, limits),
            VERSIONS,
            key=f"{OURS}-{uuid.uuid4().hex}",
            resources={"GPU": 1} if _on_gpu(parcel) else None,
        )
        self._pending[ours] = theirs, parcel
        theirs.add_done_callback(functools.partial(self._came_back, ours, parcel))
        return ours

    def look(self) -> None:
        """Look which workers there are, now and then.

        Raises
        ------
        ClusterError
            Where the scheduler is gone, or for a while no worker can take what was submitted.
        """
        now = time.monotonic()
        if now < self._looked + LOOK_S:
            return
        self._looked = now
        if self._client.status != "running":
            self._take_back()
            raise _gone(self._client)
        with contextlib.suppress(OSError, RuntimeError):  # gone meanwhile: the next look says so
            self._known = dict(self._client.scheduler_info(n_workers=-1)["workers"])
        lacking = self._lacking()
        if not lacking:
            self._stuck_since = None
            return
        self._stuck_since = self._stuck_since or now
        waited = now - self._stuck_since
        if waited > PATIENCE_S:
            self._take_back()
            raise ClusterError(f"{lacking}; given up after {waited:.0f} s")
        if waited > WARN_S and lacking != self._warned:
            self._warned = lacking
            self._warn(f"{lacking}; waiting for one")

    def _lacking(self) -> str:
        """Why something that was submitted cannot be done; empty where all can."""
        if self._pending and not self._known:
            return f"the Dask scheduler at {_address(self._client)} has no worker"
        on_gpu = [parcel for _, parcel in [*self._pending.values()] if _on_gpu(parcel)]
        if on_gpu and not any(worker["resources"].get("GPU") for worker in self._known.values()):
            return (
                f"none of the {len(self._known)} Dask workers has declared a GPU, which "
                f"{on_gpu[0].title} takes: begin them with --resources GPU=1"
            )
        return ""

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Close the connection; with ``wait`` after what was submitted is done, else at once.

        What waits on the cluster is taken back, what runs there is ended.
        """
        self._closed = True
        try:
            while wait and not cancel_futures and wait_for([*self._pending], LOOK_S).not_done:
                self.look()
        finally:
            self._take_back()
            self._closing.close()

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        # Whatever interrupts the coordinator must not wait for work that is not going to be kept.
        self.shutdown(wait=error is None, cancel_futures=error is not None)

    def _take_back(self) -> None:
        pending, self._pending = self._pending, {}
        if pending and self._client.status == "running":
            with contextlib.suppress(OSError, CancelledError):  # gone meanwhile, with its tasks
                self._client.cancel([theirs for theirs, _ in pending.values()], force=True)
        for ours in pending:
            ours.cancel()

    def _came_back(
        self, ours: Future[Performed], parcel: Parcel, theirs: distributed.Future[Any]
    ) -> None:
        """Note a task that is done or lost; Dask calls it in a thread of its own."""
        if self._pending.pop(ours, None) is None or not ours.set_running_or_notify_cancel():
            return  # taken back
        try:
            answer = theirs.result(timeout=GATHER_S)
            places = {} if isinstance(answer, Performed) else self._client.who_has([theirs])
        except distributed.KilledWorker:
            text = f"the Dask workers died, each that was given it ({parcel.title})"
            failed = tuple(Result(run, Status.FAILED, error=text) for run in parcel.runs)
            ours.set_result(Performed(failed))
        except (Exception, CancelledError) as error:  # noqa: BLE001 - somebody waits for an answer
            lost = ClusterError(f"the Dask scheduler lost {parcel.title}: {said(error)}; {GOES_ON}")
            ours.set_exception(lost if self._client.status == "running" else _gone(self._client))
        else:
            if isinstance(answer, Performed):
                ours.set_result(answer)
            else:
                who = ", ".join(worker for workers in places.values() for worker in workers)
                refusal = f"the Dask worker {who} refuses {parcel.title}: {on_a_line(answer)}"
                ours.set_exception(ClusterError(f"{refusal}; {GOES_ON}"))


def _gone(client: distributed.Client) -> ClusterError:
    return ClusterError(f"the Dask scheduler at {_address(client)} is gone; {GOES_ON}")


def _address(client: distributed.Client) -> str:
    return str(getattr(client.scheduler, "address", "its address"))


def _on_gpu(parcel: Parcel) -> bool:
    return any(run.device.startswith("cuda") for run in parcel.runs)
