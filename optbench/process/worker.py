"""A worker process that is talked to over a pipe, and what is said of it when it goes away.

What runs in it is a stranger's code: it may hang, print, call exit, fork, or take its process
down. Whoever asks gets an answer all the same, or the words for why there is none.
"""

from __future__ import annotations

import contextlib
import faulthandler
import importlib
import multiprocessing
import os
import pickle
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing import spawn
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Self

from optbench import by_value
from optbench.errors import OptbenchError
from optbench.plain_text import on_a_line
from optbench.process import interpreter, overlay
from optbench.process.fork_servers import context as process_context
from optbench.process.fork_servers import of_environment, take_over
from optbench.process.interpreter import InterpreterProcess

try:
    import resource
except ImportError:  # not a POSIX system
    resource = None  # type: ignore[assignment]


ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
"""Variables set before torch is imported: changing thread counts in a fork may hang."""

TRAIL_BYTES = 2**16
"""Bytes of last words that are read, since user code may have written there."""

STARTING = "starting"
"""First line of a trail until the process is in `in_a_worker`; what it says on standard error
follows."""

KILLED = (-9, -15)
"""Exit codes of a process that SIGKILL or SIGTERM ended: it was killed from outside."""

LAST_LINES = 5
"""Number of last lines shown of a process that could not begin."""

_start = threading.Lock()


class CannotBegin(OptbenchError, RuntimeError):
    """A worker process ended by itself before it imported an optimizer; the text says how.

    That is the installation's fault, and no result of any run.
    """

    def __init__(self, how: str) -> None:
        super().__init__(f"no worker process can begin here: {how}")


@contextlib.contextmanager
def main_left_out() -> Iterator[None]:
    """Begin processes, one at a time, that do not import this process's ``__main__``.

    multiprocessing has them import it, under another name: a script without a guard would run
    again in every worker, and there is nothing to import where Python reads from standard input.
    """
    with _start:
        complete, thread = spawn.get_preparation_data, threading.get_ident()

        def without_main(name: str) -> dict[str, Any]:
            found: dict[str, Any] = complete(name)
            # Another thread's processes are not ours.
            if threading.get_ident() == thread:
                found.pop("init_main_from_name", None)
                found.pop("init_main_from_path", None)
            return found

        spawn.get_preparation_data = without_main
        try:
            yield
        finally:
            spawn.get_preparation_data = complete


@contextlib.contextmanager
def interrupts_held() -> Iterator[None]:
    """Begin processes that never see Ctrl-C; this one sees it afterwards.

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


def begin_worker(*, leads_a_group: bool = False, trail: Path | None = None) -> None:
    """Make this process a worker: deaf to Ctrl-C, and gone when its coordinator is.

    One that leads a group takes along what was begun from it. Whose coordinator was killed removes
    its trail, which nobody will read, and the folder that was made for it.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if leads_a_group and hasattr(os, "setsid"):
        os.setsid()
    threading.Thread(
        target=_end_with_the_coordinator, args=(leads_a_group, trail), daemon=True
    ).start()


def _end_with_the_coordinator(leads_a_group: bool, trail: Path | None) -> None:
    # A worker holds both ends of its queue, so that it would never learn that a killed
    # coordinator is gone: it would wait for ever, or go on computing for nobody.
    coordinator = multiprocessing.parent_process()
    if coordinator is not None:
        coordinator.join()
        if trail is not None:
            with contextlib.suppress(OSError):
                trail.unlink(missing_ok=True)
                trail.parent.rmdir()
        if leads_a_group and hasattr(os, "killpg"):
            os.killpg(os.getpid(), signal.SIGKILL)
        os._exit(1)


@dataclass
class WorkerProcess:
    """A process, the pipe to it, and the file where it leaves its last words."""

    process: Any
    pipe: Connection
    trail: Path

    @classmethod
    def begin(
        cls,
        serve: Callable[..., None] | str,
        trail: Path,
        *arguments: Any,
        environment: Mapping[str, str] | None = None,
        may_use_gpu: bool = False,
        preload: Sequence[str] = (),
        python: str = "",
    ) -> Self:
        """Begin ``serve(pipe, trail, *arguments)`` with one thread and these variables.

        ``serve`` may be its name, ``package.module:function``. ``may_use_gpu``: it is not forked
        where there is a GPU. ``preload``: modules that it will import besides that of ``serve``.
        ``python``: another interpreter that it runs in.
        """
        # Of the process before this one.
        trail.unlink(missing_ok=True)
        variables = {**ONE_THREAD, **(environment or {})}
        # By its name: to import it imports torch, and by then it can say what goes wrong.
        name = serve if isinstance(serve, str) else f"{serve.__module__}:{serve.__qualname__}"
        module = name.partition(":")[0]
        if python := python or interpreter.inside:
            with _environment(variables):
                ours, theirs = multiprocessing.Pipe()
                with interrupts_held():
                    process: Any = InterpreterProcess(python, theirs)
                given: tuple[Any, ...] = (
                    name,
                    str(trail),
                    dict(os.environ),
                    {},
                    pickle.dumps(arguments),
                )
                # One that ended at once is seen when it is asked.
                with contextlib.suppress(OSError):
                    ours.send_bytes(pickle.dumps(given))
            theirs.close()
            return cls(process, ours, trail)
        with main_left_out(), _environment(variables), of_environment(module, *preload):
            context = process_context(may_use_gpu=may_use_gpu)
            ours, theirs = context.Pipe()
            # No daemon: the checks of distributed training begin processes of their own.
            process = context.Process(
                target=_enter,
                args=(
                    name, theirs, str(trail), dict(os.environ), by_value.shared(),
                    pickle.dumps(arguments),
                ),
            )  # fmt: skip
            with interrupts_held():
                try:
                    process.start()
                except (EOFError, ConnectionError) as error:
                    raise CannotBegin("the process that workers are forked from ended") from error
        theirs.close()
        return cls(process, ours, trail)

    def end(self) -> None:
        """End it and whatever was begun from it."""
        if hasattr(os, "killpg"):
            # It leads a group of its own, unless it is ended before it could begin one.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)
        self.process.kill()
        self.process.join()
        self.pipe.close()

    @property
    def alive(self) -> bool:
        """Whether it has not ended yet."""
        return bool(self.process.is_alive())

    def end_late(self) -> str:
        """End one that does not answer; where it was at that moment, or the empty string."""
        # faulthandler, which is deaf to nothing, writes where it is before the process ends.
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.process.pid, signal.SIGABRT)
            self._wait(2.0)
        self.end()
        return self.last_words()

    def how_it_ended(self) -> str:
        """Of a process that went away by itself: how, and where it was; it is ended for good.

        Raises
        ------
        CannotBegin
            Where it came to nobody's code, and was not killed from outside.
        """
        self._wait(5.0)
        code = self.process.exitcode
        self.end()
        if code is None:
            text = "the process closed its connection"
        elif code < 0:
            known = {int(each): each.name for each in signal.Signals}
            text = f"the process was ended by {known.get(-code, f'signal {-code}')}"
        else:
            text = f"the process ended with status {code}, as by os._exit"
        if code not in (None, *KILLED):
            self._require_begun(text.removesuffix(", as by os._exit"))
        said = self.last_words()
        return text + (f", {said}" if said else "")

    def _require_begun(self, how: str) -> None:
        lines = self._trail()
        if lines is not None and lines[:1] != [STARTING]:
            return
        said = "".join(f"\n  {on_a_line(line)}" for line in (lines or [])[1:][-LAST_LINES:])
        raise CannotBegin(f"{how}{':' if said else ''}{said}")

    def _wait(self, seconds: float) -> None:
        """Until it has ended, at most so long; ``join`` takes a closed file for the end."""
        deadline = time.monotonic() + seconds
        while self.process.exitcode is None and time.monotonic() < deadline:
            time.sleep(0.01)

    def last_words(self) -> str:
        """Where the process was when it crashed, as faulthandler wrote it; or the empty string."""
        lines = self._trail() or []
        frames = [line.strip() for line in lines if line.strip().startswith("File ")]
        return f"at {frames[0].removeprefix('File ')}" if frames else ""

    def _trail(self) -> list[str] | None:
        """Return the lines of its trail; None where there is none."""
        try:
            with self.trail.open("rb") as file:
                return file.read(TRAIL_BYTES).decode("utf-8", "replace").splitlines()
        except OSError:
            return None


def enter_through(pipe: Connection) -> None:
    """In a process of another interpreter: do what the first message says."""
    serve, trail, variables, shared, arguments = pickle.loads(pipe.recv_bytes())
    _enter(serve, pipe, trail, variables, shared, arguments)


def _enter(
    serve: str,
    pipe: Connection,
    trail: str,
    variables: dict[str, str],
    shared: dict[str, bytes],
    arguments: bytes,
) -> None:
    """In the process itself: until `in_a_worker`, its trail holds what it says."""
    take_over(variables)
    overlay.install()
    by_value.receive(shared)
    with Path(trail).open("w", encoding="utf-8") as file:
        print(STARTING, file=file, flush=True)
        os.dup2(file.fileno(), 2)
    module, _, name = serve.partition(":")
    answer = getattr(importlib.import_module(module), name)
    # What they import may print.
    answer(pipe, trail, *pickle.loads(arguments))


@contextlib.contextmanager
def in_a_worker(trail: str) -> Iterator[None]:
    """In the process itself: deaf to Ctrl-C, silent, with last words where it crashes."""
    begin_worker(leads_a_group=True, trail=Path(trail))
    # Whatever is printed goes nowhere: this terminal is the report's, and a file would fill up.
    sink = os.open(os.devnull, os.O_WRONLY)
    os.dup2(sink, 1)
    os.dup2(sink, 2)
    if resource is not None:
        # One that is ended for being late leaves its trail, and no file of its whole memory.
        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    with Path(trail).open("w", encoding="utf-8") as file:
        faulthandler.enable(file, all_threads=False)
        yield


@contextlib.contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables for processes that are begun in this context."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
