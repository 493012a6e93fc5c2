"""The half of an examination that runs in a worker process: one job after another."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from typing import Any

from optbench.conformance.contract import ALL_CHECKS, checks_of
from optbench.conformance.examiner import examine
from optbench.conformance.result import CheckResult, Status
from optbench.conformance.targets import subject_of
from optbench.engine.as_found import shared_by_all, torch_as_found
from optbench.engine.compiling import note_requests, requests, uncompiled
from optbench.engine.error_text import describe
from optbench.process.channel import serve_requests
from optbench.process.worker import in_a_worker
from optbench.registry import NotAdoptable, UnknownName, import_attribute
from optbench.scenarios.introspect import NotConstructible, members
from optbench.scenarios.schedulers import TriedScheduler
from optbench.scenarios.subject import Subject


@dataclass(frozen=True)
class SubjectSpec:
    """Name what to check: a target, with the reference and settings of all its optimizers."""

    target: str
    reference: str = ""
    settings: tuple[tuple[str, Any], ...] = ()


@dataclass(frozen=True)
class Job:
    """Find the members of a target, get to know one, or hold a check against it.

    ``anew`` is what is done in a process that has held no check before.
    """

    spec: SubjectSpec
    kind: str
    check: str = ""
    anew: bool = False

    @property
    def target(self) -> str:
        """Who it is about."""
        return self.spec.target

    def result(self, status: Status, text: str, seconds: float) -> CheckResult:
        """About this job."""
        return CheckResult(self.target, self.check, status, text, seconds)


Content = CheckResult | list[str] | tuple[str, ...]
"""What was concluded; the names that a target stands for; or the checks of the one it names."""


@dataclass(frozen=True)
class Done:
    """What came of a job.

    Attributes
    ----------
    content : CheckResult, list of str or tuple of str
    as_met : bool
        The class held what it did when this process met it, before the check was held.
    """

    content: Content
    as_met: bool = True


@dataclass
class _Met:
    """A subject, and what its class held when it was met."""

    subject: Subject | TriedScheduler
    attributes: list[tuple[str, object]]

    @property
    def is_as_met(self) -> bool:
        """Whether nothing was bound anew in the class since then, nor in one of its bases."""
        now = _attributes(self.subject)
        return len(now) == len(self.attributes) and all(
            name == other and one is two
            for (name, one), (other, two) in zip(now, self.attributes, strict=True)
        )


def _attributes(subject: Subject | TriedScheduler) -> list[tuple[str, object]]:
    # What copying a class for the first time leaves there is a cache.
    classes = getattr(inspect.unwrap(subject.factory), "__mro__", ())
    return [pair for cls in classes for pair in vars(cls).items() if pair[0] != "__slotnames__"]


def serve(pipe: Connection, trail: str, compiled: bool) -> None:
    """Do the jobs that come, until the coordinator closes the pipe.

    ``compiled``: what an optimizer gives to torch.compile is compiled.
    """
    known: dict[str, _Met] = {}

    def answer(job: Job, begun: Callable[[], None]) -> tuple[Done, bool]:
        met = known.get(_key(job.spec))
        as_met = met is None or met.is_as_met
        content, tainted = _do(job, known, begun)
        if isinstance(content, CheckResult) and requests() and not compiled:
            content = replace(content, uncompiled=True)
        return Done(content, as_met), tainted

    with in_a_worker(trail), uncompiled(unless=compiled):
        note_requests()
        serve_requests(pipe, answer)


def _do(job: Job, known: dict[str, _Met], begin: Callable[[], None]) -> tuple[Content, bool]:
    """Do a job; return the answer, and whether it changed global state."""
    begun = time.perf_counter()
    content: Content = ()
    before = shared_by_all()
    try:
        with torch_as_found():
            if job.kind == "members":
                return members(job.target), False
            if ":" in job.target:
                import_attribute(job.target)
            # What a package patches when it is imported, it always patches.
            before = shared_by_all()
            subject = _met(job.spec, known)
            content = tuple(check.name for check in checks_of(subject))
            if job.kind == "check":
                begin()
                content = _held(subject, job, begun)
    except (UnknownName, NotAdoptable) as error:
        content = job.result(Status.NO_TARGET, str(error.args[0]), time.perf_counter() - begun)
    # Importing and constructing run a stranger's code.
    except BaseException as error:  # noqa: BLE001
        text = str(error) if isinstance(error, NotConstructible) else describe(error)
        content = job.result(Status.NOT_CONSTRUCTIBLE, text, time.perf_counter() - begun)
    return content, shared_by_all() != before


def _held(subject: Subject | TriedScheduler, job: Job, begun: float) -> CheckResult:
    (check,) = (c for c in ALL_CHECKS if c.name == job.check)
    try:
        return examine(subject, check)
    # Ctrl-C does not come here: what interrupts is the optimizer.
    except BaseException as error:  # noqa: BLE001
        text = f"raises {describe(error)}"
        return job.result(Status.FAILED, text, time.perf_counter() - begun)


def _met(spec: SubjectSpec, known: dict[str, _Met]) -> Subject | TriedScheduler:
    if (key := _key(spec)) not in known:
        subject = subject_of(spec.target, reference=spec.reference, settings=dict(spec.settings))
        known[key] = _Met(subject, _attributes(subject))
    return known[key].subject


def _key(spec: SubjectSpec) -> str:
    return repr(spec)  # a setting may be a list, which cannot be hashed
