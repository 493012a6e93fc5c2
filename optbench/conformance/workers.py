"""Checks in processes of their own, so that nothing a stranger's code does ends the examination.

It may hang, print, call exit, or take its process down: each is a verdict about that check, and
the next one begins. Pairs of an optimizer and a check are dealt out one at a time; a worker keeps
the optimizers that it has met.
"""

from __future__ import annotations

import contextlib
import faulthandler
import itertools
import math
import multiprocessing
import os
import signal
import tempfile
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from optbench.conformance.acquaintance import NotConstructible, acquaint, members
from optbench.conformance.contract import CONTRACT
from optbench.conformance.examiner import examine
from optbench.conformance.promise import Check
from optbench.conformance.subject import Subject
from optbench.conformance.verdict import Status, Verdict
from optbench.engine.executors import begin_worker, interrupts_held
from optbench.engine.work import describe, torch_as_found
from optbench.registry import NotAdoptable, UnknownName, import_attribute

LIMIT_S = 60.0
"""Seconds that a check may take."""

START_S = 60.0
"""Seconds to begin: to import torch and the target's package, and to meet the optimizer again."""

BEGUN = "begun"
"""What a worker says when it has begun, from when on the limit counts."""

PATIENCE = 3
"""Checks of one optimizer that may run out of time; the rest of them is then not tried."""


@dataclass(frozen=True)
class Question:
    """What subjects are made of: a target, and what goes with all of them."""

    target: str
    reference: str = ""
    settings: tuple[tuple[str, Any], ...] = ()


@dataclass(frozen=True)
class Members:
    """The optimizers that a target stands for, but for those of a target before it."""

    target: str
    names: tuple[str, ...]


@dataclass(frozen=True)
class Job:
    """Find the members of a target, get to know one, or hold a check against it."""

    question: Question
    kind: str
    check: str = ""

    @property
    def target(self) -> str:
        """Who it is about."""
        return self.question.target

    def verdict(self, status: Status, text: str, seconds: float) -> Verdict:
        """About this job."""
        return Verdict(self.target, self.check, status, text, seconds)


@dataclass
class _Worker:
    """A process, the pipe to it, and what it is at."""

    process: Any
    pipe: Connection
    trail: Path
    job: Job | None = None
    begun: float = 0.0
    deadline: float = math.inf
    limit: float = math.inf


def examine_all(
    questions: Iterable[Question],
    checks: Sequence[Check] = CONTRACT,
    *,
    jobs: int,
    limit_s: float = LIMIT_S,
) -> Iterator[Verdict | Members]:
    """Hold checks against targets, in ``jobs`` worker processes.

    Yields first, for each question, the optimizers that its target stands for, then verdicts as
    they come. Every pair of an optimizer and a check gets exactly one; an optimizer
    that cannot be examined gets one verdict without a check.

    Closing the generator, or an exception where it yields, ends the workers at once.
    """
    waiting = deque(Job(question, "members") for question in dict.fromkeys(questions))
    seen: set[Question] = set()
    late: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        serial = itertools.count()
        workers: list[_Worker] = []
        try:
            while waiting or any(w.job for w in workers):
                _deal(waiting, workers, jobs, Path(folder), serial)
                for job, answer in _answers(workers, limit_s):
                    if isinstance(answer, list):
                        found = [replace(job.question, target=name) for name in answer]
                        new = [question for question in found if question not in seen]
                        seen.update(new)
                        waiting.extend(Job(question, "meet") for question in new)
                        yield Members(job.target, tuple(question.target for question in new))
                    elif answer is None:
                        # At the front: an optimizer is finished before the next begins.
                        waiting.extendleft(
                            Job(job.question, "check", c.name) for c in reversed(checks)
                        )
                    else:
                        yield answer
                        late[job.target] += job.kind == "check" and answer.status is Status.TIMEOUT
                        if late[job.target] >= PATIENCE:
                            late[job.target] = -len(CONTRACT)
                            yield from _given_up(waiting, job.target)
        finally:
            for worker in workers:
                worker.process.kill()
                worker.process.join()


def _given_up(waiting: deque[Job], target: str) -> Iterator[Verdict]:
    """Take the checks of an optimizer off the list; others keep their places."""
    for job in [j for j in waiting if j.target == target and j.kind == "check"]:
        waiting.remove(job)
        yield job.verdict(
            Status.TIMEOUT, f"not tried: {PATIENCE} other checks did not end in time", 0.0
        )


def _deal(
    waiting: deque[Job],
    workers: list[_Worker],
    jobs: int,
    folder: Path,
    serial: Iterator[int],
) -> None:
    """Give every idle worker a job; begin workers while there are too few."""
    workers[:] = [w for w in workers if w.process.is_alive() or w.job]
    for _ in range(min(jobs, len(waiting) + sum(w.job is not None for w in workers))):
        if len(workers) < jobs:
            workers.append(_begin(folder / str(next(serial))))
    for worker in workers:
        if worker.job is None and waiting:
            worker.job = waiting.popleft()
            worker.begun = time.monotonic()
            worker.limit, worker.deadline = START_S, worker.begun + START_S
            # A worker that died while it was idle shows when its answer is waited for.
            with contextlib.suppress(BrokenPipeError):
                worker.pipe.send(worker.job)


def _begin(trail: Path) -> _Worker:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    # No daemon: the checks of distributed training begin processes of their own.
    process = context.Process(target=_serve, args=(theirs, str(trail)))
    with interrupts_held():
        process.start()
    theirs.close()
    return _Worker(process, ours, trail)


def _answers(
    workers: list[_Worker], limit_s: float
) -> Iterator[tuple[Job, Verdict | list[str] | None]]:
    """What the busy workers say next; whoever is late or gone is spoken for."""
    busy = {w.pipe: w for w in workers if w.job}
    if not busy:
        return
    patience = max(0.0, min(w.deadline for w in busy.values()) - time.monotonic())
    for pipe in wait(list(busy), timeout=patience):
        assert isinstance(pipe, Connection)
        worker = busy.pop(pipe)
        job = worker.job
        assert job is not None
        try:
            answer = pipe.recv()
        except (EOFError, OSError):
            answer = _end_of(worker, job)
        if answer == BEGUN:
            worker.begun = time.monotonic()
            worker.limit, worker.deadline = limit_s, worker.begun + limit_s
            continue
        worker.job, worker.deadline = None, math.inf
        yield job, answer
    for worker in busy.values():
        job = worker.job
        if job is not None and time.monotonic() >= worker.deadline:
            worker.process.kill()
            worker.process.join()
            worker.job = None
            said = _last_words(worker.trail)
            text = f"no end within {worker.limit:g} s" + (f", {said}" if said else "")
            yield job, job.verdict(Status.TIMEOUT, text, time.monotonic() - worker.begun)


def _end_of(worker: _Worker, job: Job) -> Verdict:
    """A worker that went away in the middle of a job."""
    worker.process.join(5)
    worker.process.kill()
    code = worker.process.exitcode
    if code is not None and code < 0:
        text = f"the process was ended by {signal.Signals(-code).name}"
    else:
        text = f"the process ended with status {code}, as by os._exit"
    said = _last_words(worker.trail)
    seconds = time.monotonic() - worker.begun
    return job.verdict(Status.CRASHED, text + (f", {said}" if said else ""), seconds)


def _last_words(trail: Path) -> str:
    """Where the process was when it crashed, as faulthandler wrote it."""
    try:
        lines = trail.read_text("utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    frames = [line.strip() for line in lines if line.strip().startswith("File ")]
    return f"at {frames[0].removeprefix('File ')}" if frames else ""


# ---------------------------------------------------------------------- in the worker


def _serve(pipe: Connection, trail: str) -> None:
    begin_worker()
    # Whatever is printed goes nowhere: this terminal is the report's, and a file would fill up.
    sink = os.open(os.devnull, os.O_WRONLY)
    os.dup2(sink, 1)
    os.dup2(sink, 2)
    with Path(trail).open("w", encoding="utf-8") as file:
        faulthandler.enable(file, all_threads=False)
        known: dict[Question, Subject] = {}
        while True:
            try:
                job = pipe.recv()
            except EOFError:
                return
            pipe.send(_do(job, known, lambda: pipe.send(BEGUN)))


def _do(
    job: Job, known: dict[Question, Subject], begin: Callable[[], None]
) -> Verdict | list[str] | None:
    begun = time.perf_counter()
    try:
        with torch_as_found():
            if job.kind == "members":
                return members(job.target)
            if ":" in job.target:
                import_attribute(job.target)
            if job.kind == "meet":
                begin()
            subject = _met(job.question, known)
    except (UnknownName, NotAdoptable) as error:
        status, text = Status.NO_TARGET, str(error.args[0])
    except NotConstructible as error:
        status, text = Status.NOT_CONSTRUCTIBLE, str(error)
    # Importing and constructing run a stranger's code.
    except BaseException as error:  # noqa: BLE001
        status, text = Status.NOT_CONSTRUCTIBLE, describe(error)
    else:
        if job.kind == "meet":
            return None
        (check,) = (c for c in CONTRACT if c.name == job.check)
        begin()
        try:
            return examine(subject, check)
        # Ctrl-C does not come here: what interrupts is the optimizer.
        except BaseException as error:  # noqa: BLE001
            status, text = Status.BROKEN, f"raises {describe(error)}"
    return job.verdict(status, text, time.perf_counter() - begun)


def _met(question: Question, known: dict[Question, Subject]) -> Subject:
    if question not in known:
        known[question] = acquaint(
            question.target, reference=question.reference, settings=dict(question.settings)
        )
    return known[question]
