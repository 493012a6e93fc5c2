"""Checks in processes of their own, so that nothing a stranger's code does ends the examination.

It may hang, print, call exit, or take its process down: each is a result about that check, and
the next one begins. Pairs of an optimizer and a check are dealt out one at a time; a worker keeps
the optimizers that it has met.

So a class is not the same for every check: torch changes some for good when they are first loaded
or copied. What fails where another check was held before is therefore held again in a process that
has held none, and that answer counts.
"""

from __future__ import annotations

import itertools
import tempfile
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from pathlib import Path

from optbench.conformance.check import Check
from optbench.conformance.contract import ALL_CHECKS
from optbench.conformance.distributed import PRELOADED
from optbench.conformance.result import BAD, NOT_STARTED, CheckResult, Status
from optbench.conformance.worker_process import Content, Done, Job, SubjectSpec, serve
from optbench.process.channel import Answer, Channel, Gone, Sign
from optbench.process.pulse import BEAT_S
from optbench.process.worker import WorkerProcess

LIMIT_S = 60.0
"""Seconds that a check may take."""

START_S = 60.0
"""Seconds to begin: to import torch and the target's package, and to meet the optimizer again. A
longer limit of a check holds for the beginning, too."""

STILL_STEPPING = "still taking steps after {:g} s; --timeout gives it more"

PATIENCE = 3
"""Checks of one optimizer that may run out of time; the rest of them is then not tried."""


@dataclass(frozen=True)
class Members:
    """The optimizers that a target stands for, but for those of a target before it."""

    target: str
    names: tuple[str, ...]


@dataclass(frozen=True)
class CheckCount:
    """A target that can be constructed, and how many of the checks are of such a class."""

    target: str
    checks: int


class _Worker(Channel):
    """A worker process, what it is at, and how many checks it was given.

    ``steps``: an optimizer took steps since it began; ``late``: its limit is over, and it is seen
    whether it still takes any.
    """

    def __init__(self, process: WorkerProcess) -> None:
        super().__init__(process)
        self.job: Job | None = None
        self.checks = 0
        self.since = 0.0
        self.starts = self.steps = self.late = False

    def do(self, job: Job, limit_s: float) -> None:
        """Put a job, which has time to begin first."""
        self.job = replace(job, anew=not self.checks)
        self.checks += job.kind == "check"
        self.since, self.starts = time.monotonic(), True
        self.ask(self.job, max(START_S, limit_s))

    def begins(self, limit_s: float) -> None:
        """From now on the job's own limit counts."""
        self.since = time.monotonic()
        self.starts = self.steps = self.late = False
        self.allow(limit_s)


def examine_all(
    specs: Iterable[SubjectSpec],
    checks: Sequence[Check] = ALL_CHECKS,
    *,
    jobs: int,
    limit_s: float = LIMIT_S,
    compiled: bool = False,
    environment: Mapping[str, str] | None = None,
    python: str = "",
) -> Iterator[CheckResult | Members | CheckCount]:
    """Hold checks against targets, in ``jobs`` worker processes.

    Yields first, for each spec, the optimizers that its target stands for, how many of the checks
    are of each, and results as they come. Every pair of an optimizer and a check of such a class
    gets exactly one; an optimizer that cannot be examined gets one result without a check.

    ``compiled`` leaves torch.compile on: without it steps run as they are written. ``environment``:
    variables of the workers. ``python``: another interpreter that they run in.

    Closing the generator, or an exception where it yields, ends the workers at once.
    """
    # By their text: a setting may be a list, which cannot be hashed.
    distinct = {repr(spec): spec for spec in specs}.values()
    waiting = deque(Job(spec, "members") for spec in distinct)
    seen: set[str] = set()
    owed = 0
    late: Counter[str] = Counter()
    doubts = _Doubts()
    with tempfile.TemporaryDirectory(prefix="optbench-") as folder:
        serial = itertools.count()

        def begin() -> _Worker:
            return _Worker(
                WorkerProcess.begin(
                    serve, Path(folder) / str(next(serial)), compiled,
                    may_use_gpu=True, preload=PRELOADED, environment=environment, python=python,
                )
            )  # fmt: skip

        workers: list[_Worker] = []
        try:
            while waiting or any(w.job for w in workers):
                _deal(waiting, workers, jobs, begin, limit_s)
                for job, answer, as_met in _answers(workers, limit_s):
                    if isinstance(answer, list):
                        found = [replace(job.spec, target=name) for name in answer]
                        new = [spec for spec in found if repr(spec) not in seen]
                        seen.update(map(repr, new))
                        waiting.extend(Job(spec, "meet") for spec in new)
                        yield Members(job.target, tuple(spec.target for spec in new))
                    elif isinstance(answer, tuple):
                        names = [check.name for check in checks if check.name in answer]
                        owed += len(names)
                        doubts.checks[job.target] = len(names)
                        if checks:
                            yield CheckCount(job.target, len(names))
                            if not names:
                                text = "none of the chosen checks is one of such a class"
                                yield job.result(Status.NOT_APPLICABLE, text, 0.0)
                        # At the front: an optimizer is finished before the next begins.
                        waiting.extendleft(Job(job.spec, "check", name) for name in names[::-1])
                    elif isinstance(answer, CheckResult) and job.kind == "check":
                        answers = [(job, answer, as_met)]
                        late[job.target] += answer.status is Status.TIMEOUT
                        if late[job.target] >= PATIENCE:
                            late[job.target] = -len(ALL_CHECKS)
                            answers += _given_up(waiting, job.target)
                        for each in answers:
                            certain, again = doubts.answered(*each)
                            waiting.extendleft(again)
                            owed -= len(certain)
                            yield from certain
                    elif isinstance(answer, CheckResult):
                        yield answer
            if owed:
                raise RuntimeError(f"{owed} checks were begun and never answered")
        finally:
            for worker in workers:
                worker.process.end()


class _Doubts:
    """Failures that may come of what was held before in the same process.

    They wait until each of a target's ``checks`` was held once, so that a worker keeps whom it has
    met. Of those with one cause, for whom the class was still as it was met, the first is held
    again. Where it fails by that cause again, the others are certain as well; where it does not,
    the next is held again.
    """

    def __init__(self) -> None:
        self.checks: dict[str, int] = {}
        self.answers: Counter[str] = Counter()
        self.failed: dict[str, dict[str, list[tuple[Job, CheckResult]]]] = {}
        self.held_again: dict[tuple[str, str], list[tuple[Job, CheckResult]]] = {}
        """By target and check, the first answers to it and to others of its cause."""

    def answered(
        self, job: Job, result: CheckResult, as_met: bool
    ) -> tuple[list[CheckResult], list[Job]]:
        """Return the final results, and the jobs to repeat."""
        if (key := (job.target, job.check)) in self.held_again:
            (_, before), *others = self.held_again.pop(key)
            if result.status not in BAD:
                first = before.text.partition("\n")[0]
                said = f"failed where other checks were run before in the same process: {first}"
                result = replace(result, text="; ".join(filter(None, (result.text, said))))
            elif result.cause == before.cause:
                return [result, *(each for _, each in others)], []
            return [result], [self._again(others)] if others else []
        self.answers[job.target] += 1
        certain = job.anew or result.status not in (Status.FAILED, Status.CRASHED)
        if not certain:
            of_a_cause = self.failed.setdefault(job.target, {})
            shared = result.cause if as_met else ""
            of_a_cause.setdefault(shared or job.check, []).append((job, result))
        again: list[Job] = []
        if self.answers[job.target] == self.checks[job.target]:
            again = [self._again(group) for group in self.failed.pop(job.target, {}).values()]
        return [result] if certain else [], again

    def _again(self, group: list[tuple[Job, CheckResult]]) -> Job:
        job = replace(group[0][0], anew=True)
        self.held_again[job.target, job.check] = group
        return job


def _given_up(waiting: deque[Job], target: str) -> list[tuple[Job, CheckResult, bool]]:
    """Take the checks of an optimizer off the list, but for those that are held again."""
    text = f"not tried: {PATIENCE} other checks did not end in time"
    jobs = [j for j in waiting if j.target == target and j.kind == "check" and not j.anew]
    for job in jobs:
        waiting.remove(job)
    return [(job, job.result(Status.TIMEOUT, text, 0.0), True) for job in jobs]


def _deal(
    waiting: deque[Job],
    workers: list[_Worker],
    jobs: int,
    begin: Callable[[], _Worker],
    limit_s: float,
) -> None:
    """Give every idle worker a job; begin workers while there are too few."""
    workers[:] = [w for w in workers if w.process.alive or w.job]
    for _ in range(min(jobs, len(waiting) + sum(w.job is not None for w in workers))):
        if len(workers) < jobs:
            workers.append(begin())
    for place, worker in enumerate(workers):
        if worker.job is None and waiting:
            job = waiting.popleft()
            if job.anew and worker.checks:
                worker.process.end()
                worker = workers[place] = begin()
            worker.do(job, limit_s)


def _answers(workers: list[_Worker], limit_s: float) -> Iterator[tuple[Job, Content, bool]]:
    """Return the next replies of busy workers, and whether their classes were unmodified.

    Whoever is late or gone is spoken for.
    """
    busy = {w.process.pipe: w for w in workers if w.job}
    if not busy:
        return
    for pipe in wait(list(busy), timeout=min(w.left for w in busy.values())):
        assert isinstance(pipe, Connection)
        worker = busy.pop(pipe)
        job = worker.job
        assert job is not None
        try:
            said = worker.hear()
        except Gone:
            worker.job = None
            yield job, _end_of(worker, job), False
            continue
        if said is Sign.STEPS:
            worker.steps = True
            # A sign is of steps in the last `BEAT_S`: now they were taken after the limit.
            if worker.late and worker.left < BEAT_S:
                yield job, _timed_out(worker, job, limit_s, Status.UNFINISHED), False
        elif said is Sign.BEGUN:
            worker.begins(limit_s)
        elif isinstance(said, Answer):
            worker.job = None
            if said.tainted:
                worker.process.end()
            done: Done = said.content
            yield job, done.content, done.as_met
    for worker in busy.values():
        job = worker.job
        if job is not None and worker.left <= 0:
            if worker.steps and not worker.starts and not worker.late:
                worker.late = True
                worker.allow(2 * BEAT_S + 1.0)
                continue
            limit = worker.limit_s if worker.starts else limit_s
            yield job, _timed_out(worker, job, limit, Status.TIMEOUT), False


def _timed_out(worker: _Worker, job: Job, limit_s: float, status: Status) -> CheckResult:
    """End a worker whose time is up; it is still taking steps, or is not."""
    worker.process.end()
    worker.job = None
    text = NOT_STARTED if worker.starts else "no end within {:g} s"
    if status is Status.UNFINISHED:
        text = STILL_STEPPING
    where = worker.process.last_words()
    text = text.format(limit_s) + (f", {where}" if where else "")
    return job.result(status, text, time.monotonic() - worker.since)


def _end_of(worker: _Worker, job: Job) -> CheckResult:
    """Return the result for a worker that died in the middle of a job."""
    text = worker.process.how_it_ended()
    return job.result(Status.CRASHED, text, time.monotonic() - worker.since)
