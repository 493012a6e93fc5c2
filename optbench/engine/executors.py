"""Where units of work run: here, or in worker processes; behind ``concurrent.futures``."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import (
    FIRST_COMPLETED,
    Executor,
    Future,
    ProcessPoolExecutor,
    wait,
)
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from optbench.engine.runs import Result, Status
from optbench.engine.work import Unit, timed

Done = tuple[Unit, list[Result], float]
"""A unit, the results of its runs, the seconds they took."""


class InlineExecutor(Executor):
    """Runs what is submitted at once, in this process."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Call ``fn`` now; the future is done when this returns."""
        future: Future[Any] = Future()
        future.set_running_or_notify_cancel()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 - it is kept, and raised by future.result()
            future.set_exception(error)
        return future


def executor(jobs: int) -> Executor:
    """An executor of so many workers; with one, this process is it."""
    if jobs == 1:
        return InlineExecutor()
    # Spawned, not forked: a forked copy of a process that has used torch's threads may hang.
    return ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"), initializer=begin_worker)


@contextlib.contextmanager
def interrupts_held() -> Iterator[None]:
    """Processes begun in here never see Ctrl-C; this one sees it afterwards.

    Ctrl-C reaches the whole process group, and the coordinator alone decides what it means. A
    worker that would see to this itself could do so only when it has imported torch.
    """
    if not hasattr(signal, "pthread_sigmask"):  # not a POSIX system
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def begin_worker(*, leads_a_group: bool = False) -> None:
    """Make this process a worker: deaf to Ctrl-C, and gone when its coordinator is.

    One that leads a group takes along what was begun from it.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if leads_a_group and hasattr(os, "setsid"):
        os.setsid()
    threading.Thread(target=_end_with_the_coordinator, args=(leads_a_group,), daemon=True).start()


def _end_with_the_coordinator(leads_a_group: bool) -> None:
    # A worker holds both ends of its queue, so that it would never learn that a killed
    # coordinator is gone: it would wait for ever, or go on computing for nobody.
    coordinator = multiprocessing.parent_process()
    if coordinator is not None:
        coordinator.join()
        if leads_a_group and hasattr(os, "killpg"):
            os.killpg(os.getpid(), signal.SIGKILL)
        os._exit(1)


def default_jobs() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def execute(
    units: Sequence[Unit], jobs: int, make: Callable[[int], Executor] = executor
) -> Iterator[Done]:
    """Do the units and yield each as it is done.

    A worker that dies (killed, out of memory, a crash in native code) fails the runs that were
    in flight, with a text that says so; a new pool takes up the rest.

    Closing the generator, or an exception where it yields, stops the workers at once.
    """
    waiting = list(reversed(units))
    while waiting:
        others = set(multiprocessing.active_children())
        pool = make(jobs)
        running: dict[Future[tuple[list[Result], float]], Unit] = {}
        try:
            while waiting or running:
                # One unit ahead keeps the workers busy, and few are lost with a worker.
                ahead = 1 if isinstance(pool, InlineExecutor) else jobs + 1
                while waiting and len(running) < ahead:
                    unit = waiting.pop()
                    # The pool begins its workers when it is given work.
                    with interrupts_held():
                        future = pool.submit(timed, unit)
                    running[future] = unit
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    unit = running.pop(future)
                    done, seconds = future.result()
                    yield unit, done, seconds
        except BrokenProcessPool as error:
            # What was finished in the same moment is not lost with the worker.
            whole = {f: u for f, u in running.items() if f.done() and f.exception() is None}
            for future, each in whole.items():
                yield (each, *future.result())
            for lost in (unit, *(u for f, u in running.items() if f not in whole)):
                text = f"the worker process died while it ran {lost.title}: {error}"
                yield lost, [Result(r, Status.FAILED, error=text) for r in lost.runs], 0.0
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for worker in set(multiprocessing.active_children()) - others:
                worker.terminate()
            raise
        pool.shutdown(cancel_futures=True)
