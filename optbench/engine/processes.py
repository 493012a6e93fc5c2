"""A worker process that is talked to over a pipe, and what is said of it when it goes away.

What runs in it is a stranger's code: it may hang, print, call exit, fork, or take its process
down. Whoever asks gets an answer all the same, or the words for why there is none.
"""

from __future__ import annotations

import contextlib
import faulthandler
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Self

try:
    import resource
except ImportError:  # not a POSIX system
    resource = None  # type: ignore[assignment]


TRAIL_BYTES = 2**16
"""Of last words that are read; anybody may have written there."""


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
        serve: Callable[..., None],
        trail: Path,
        *arguments: Any,
        environment: Mapping[str, str] | None = None,
    ) -> Self:
        """Begin ``serve(pipe, trail, *arguments)``, with these variables in its environment."""
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        # No daemon: the checks of distributed training begin processes of their own.
        process = context.Process(target=serve, args=(theirs, str(trail), *arguments))
        if os.name == "posix":
            # It would be begun with the first process, and unblock what is held.
            resource_tracker.ensure_running()
        with interrupts_held(), _environment(environment or {}):
            process.start()
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

    def end_late(self) -> str:
        """End one that does not answer; where it was at that moment, or the empty string."""
        # faulthandler, which is deaf to nothing, writes where it is before the process ends.
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.process.pid, signal.SIGABRT)
            self._wait(2.0)
        self.end()
        return self.last_words()

    def how_it_ended(self) -> str:
        """Of a process that went away by itself: how, and where it was; it is ended for good."""
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
        said = self.last_words()
        return text + (f", {said}" if said else "")

    def _wait(self, seconds: float) -> None:
        """Until it has ended, at most so long; ``join`` takes a closed file for the end."""
        deadline = time.monotonic() + seconds
        while self.process.exitcode is None and time.monotonic() < deadline:
            time.sleep(0.01)

    def last_words(self) -> str:
        """Where the process was when it crashed, as faulthandler wrote it; or the empty string."""
        try:
            with self.trail.open("rb") as file:
                lines = file.read(TRAIL_BYTES).decode("utf-8", "replace").splitlines()
        except OSError:
            return ""
        frames = [line.strip() for line in lines if line.strip().startswith("File ")]
        return f"at {frames[0].removeprefix('File ')}" if frames else ""


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
    """A process that is begun in here finds these variables; here they are gone afterwards."""
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
