"""One check on one subject, here and now: a verdict, whatever happens."""

from __future__ import annotations

import time
import warnings
from dataclasses import replace

from optbench.conformance.defects import KnownDefect, known_defects
from optbench.conformance.promise import Advice, Broken, Check, NotApplicable
from optbench.conformance.subject import Subject
from optbench.conformance.verdict import Status, Verdict
from optbench.engine.as_found import torch_as_found
from optbench.engine.error_text import describe
from optbench.engine.lanes import one_thread


def examine(subject: Subject, check: Check) -> Verdict:
    """Hold a check against a subject.

    An exception that the optimizer raises is a broken promise: it was led along an ordinary
    course with hyperparameters that its constructor took.
    """
    begun = time.perf_counter()
    verdict = _outcome(subject, check)
    return replace(verdict, seconds=time.perf_counter() - begun)


def require(subject: Subject, check: Check) -> str:
    """Hold a check against a subject, and let its exceptions through: for tests and debuggers."""
    with torch_as_found(), one_thread(), warnings.catch_warnings():
        # What an optimizer warns of is not what is asked here, and it may do so at every step.
        warnings.simplefilter("ignore")
        return check.function(subject) or ""


def _outcome(subject: Subject, check: Check) -> Verdict:
    verdict = Verdict(subject.name, check.name, Status.KEPT)
    try:
        return replace(verdict, text=require(subject, check))
    except NotApplicable as reason:
        return replace(verdict, status=Status.NOT_APPLICABLE, text=str(reason))
    # Anybody's code runs here, and all of it is the answer: exit, a failed assertion, ...
    except (Exception, SystemExit) as error:  # noqa: BLE001
        broken, defect = explain(subject, check, error)
        verdict = replace(verdict, text=str(broken), cause=cause(error))
    if defect is not None:
        return replace(verdict, status=Status.KNOWN, evidence=defect.evidence)
    advice = isinstance(broken, Advice)
    return replace(verdict, status=Status.ADVICE if advice else Status.BROKEN)


def cause(error: BaseException) -> str:
    """The exception behind a broken promise and its place, on one line, or the empty string."""
    raised = error.__cause__ if isinstance(error, Broken) else error
    return " ".join(describe(raised).split()) if raised is not None else ""


def explain(
    subject: Subject, check: Check, error: BaseException
) -> tuple[Broken, KnownDefect | None]:
    """What an exception out of `require` says of the subject, and the known defect behind it."""
    broken = error if isinstance(error, Broken) else Broken(f"raises {describe(error)}")
    for defect in known_defects():
        if defect.explains(subject.factory, check.name, broken):
            return broken, defect
    return broken, None
