"""Checks in processes of their own, so that nothing a stranger's code does ends the examination.

It may hang, print, call exit, or take its process down: each is a verdict about that check, and
the next one begins. Pairs of an optimizer and a check are dealt out one at a time; a worker keeps
the optimizers that it has met.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import tempfile
import time
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from pathlib import Path

from optbench.conformance.contract import CONTRACT
from optbench.conformance.promise import Check
from optbench.conformance.verdict import Status, Verdict
from optbench.conformance.worker_process import BEGUN, Answer, Content, Job, Question, serve
from optbench.engine.processes import WorkerProcess

LIMIT_S = 60.0
"""Seconds that a check may take."""

START_S = 60.0
"""Seconds to begin: to import torch and the target's package, and to meet the optimizer again."""

PATIENCE = 3
"""Checks of one optimizer that may run out of time; the rest of them is then not tried."""


@dataclass(frozen=True)
class Members:
    """The optimizers that a target stands for, but for those of a target before it."""

    target: str
    names: tuple[str, ...]


@dataclass
class _Worker(WorkerProcess):
    """A process, the pipe to it, and what it is at."""

    job: Job | None = None
    number: int = 0
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
    # By their text: a setting may be a list, which cannot be hashed.
    distinct = {repr(question): question for question in questions}.values()
    waiting = deque(Job(question, "members") for question in distinct)
    seen: set[str] = set()
    owed = 0
    late: Counter[str] = Counter()
    with tempfile.TemporaryDirectory(prefix="optbench-") as folder:
        serial = itertools.count()
        workers: list[_Worker] = []
        try:
            while waiting or any(w.job for w in workers):
                _deal(waiting, workers, jobs, Path(folder), serial)
                for job, answer in _answers(workers, limit_s):
                    if isinstance(answer, list):
                        found = [replace(job.question, target=name) for name in answer]
                        new = [question for question in found if repr(question) not in seen]
                        seen.update(map(repr, new))
                        waiting.extend(Job(question, "meet") for question in new)
                        yield Members(job.target, tuple(question.target for question in new))
                    elif answer is None:
                        owed += len(checks)
                        # At the front: an optimizer is finished before the next begins.
                        waiting.extendleft(
                            Job(job.question, "check", c.name) for c in reversed(checks)
                        )
                    elif isinstance(answer, Verdict):
                        yield answer
                        owed -= job.kind == "check"
                        late[job.target] += job.kind == "check" and answer.status is Status.TIMEOUT
                        if late[job.target] >= PATIENCE:
                            late[job.target] = -len(CONTRACT)
                            for verdict in _given_up(waiting, job.target):
                                owed -= 1
                                yield verdict
            if owed:
                raise RuntimeError(f"{owed} checks were begun and never answered")
        finally:
            for worker in workers:
                worker.end()


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
            workers.append(_Worker.begin(serve, folder / str(next(serial))))
    for worker in workers:
        if worker.job is None and waiting:
            worker.job, worker.number = waiting.popleft(), next(serial)
            worker.begun = time.monotonic()
            worker.limit, worker.deadline = START_S, worker.begun + START_S
            # A worker that died while it was idle shows when its answer is waited for.
            with contextlib.suppress(BrokenPipeError):
                worker.pipe.send((worker.number, worker.job))


def _answers(workers: list[_Worker], limit_s: float) -> Iterator[tuple[Job, Content]]:
    """What the busy workers say next; whoever is late or gone is spoken for."""
    busy = {w.pipe: w for w in workers if w.job}
    if not busy:
        return
    patience = max(0.0, min(w.deadline for w in busy.values()) - time.monotonic())
    patience = min(patience, 3600.0)
    for pipe in wait(list(busy), timeout=patience):
        assert isinstance(pipe, Connection)
        worker = busy.pop(pipe)
        job = worker.job
        assert job is not None
        try:
            said = pipe.recv()
        # The end of the process, or bytes that are none of ours.
        except Exception:  # noqa: BLE001
            worker.job, worker.deadline = None, math.inf
            yield job, _end_of(worker, job)
            continue
        if not isinstance(said, Answer) or said.number != worker.number:
            continue
        if said.content == BEGUN:
            worker.begun = time.monotonic()
            worker.limit, worker.deadline = limit_s, worker.begun + limit_s
            continue
        worker.job, worker.deadline = None, math.inf
        if said.tainted:
            worker.end()
        yield job, said.content
    for worker in busy.values():
        job = worker.job
        if job is not None and time.monotonic() >= worker.deadline:
            worker.end()
            worker.job = None
            where = worker.last_words()
            text = f"no end within {worker.limit:g} s" + (f", {where}" if where else "")
            yield job, job.verdict(Status.TIMEOUT, text, time.monotonic() - worker.begun)


def _end_of(worker: _Worker, job: Job) -> Verdict:
    """A worker that went away in the middle of a job."""
    text = worker.how_it_ended()
    return job.verdict(Status.CRASHED, text, time.monotonic() - worker.begun)
