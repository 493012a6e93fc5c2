"""One check on one subject, here and now: a result, whatever happens."""

from __future__ import annotations

import time
import warnings
from dataclasses import replace

from optbench.conformance.check import Check
from optbench.conformance.defects import KnownDefect, known_defects
from optbench.conformance.result import CheckResult, Status
from optbench.engine.as_found import torch_as_found
from optbench.engine.error_text import describe
from optbench.engine.lanes import one_thread
from optbench.scenarios.outcomes import Advice, CheckFailed, NotApplicable
from optbench.scenarios.schedulers import TriedScheduler
from optbench.scenarios.subject import Subject


def examine(subject: Subject | TriedScheduler, check: Check) -> CheckResult:
    """Hold a check against a subject.

    An exception that the optimizer raises fails the check: it was led along an ordinary
    sequence with hyperparameters that its constructor took.
    """
    begun = time.perf_counter()
    result = _outcome(subject, check)
    return replace(result, seconds=time.perf_counter() - begun)


def require(subject: Subject | TriedScheduler, check: Check) -> str:
    """Hold a check against a subject, and let its exceptions through: for tests and debuggers."""
    with torch_as_found(), one_thread(), warnings.catch_warnings():
        # What an optimizer warns of is not what is asked here, and it may do so at every step.
        warnings.simplefilter("ignore")
        return check.function(subject) or ""


def _outcome(subject: Subject | TriedScheduler, check: Check) -> CheckResult:
    result = CheckResult(subject.name, check.name, Status.PASSED)
    try:
        return replace(result, text=require(subject, check))
    except NotApplicable as reason:
        return replace(result, status=Status.NOT_APPLICABLE, text=str(reason))
    # Anybody's code runs here, and all of it is the answer: exit, a failed assertion, ...
    except (Exception, SystemExit) as error:  # noqa: BLE001
        failure, defect = explain(subject, check, error)
        result = replace(result, text=str(failure), cause=cause(error))
    if defect is not None:
        return replace(result, status=Status.XFAILED, evidence=defect.evidence)
    advice = isinstance(failure, Advice)
    return replace(result, status=Status.ADVICE if advice else Status.FAILED)


def cause(error: BaseException) -> str:
    """Return the exception behind a failed check and its place, on one line, or an empty string."""
    raised = error.__cause__ if isinstance(error, CheckFailed) else error
    return " ".join(describe(raised).split()) if raised is not None else ""


def explain(
    subject: Subject | TriedScheduler, check: Check, error: BaseException
) -> tuple[CheckFailed, KnownDefect | None]:
    """Return an exception of `require` as a failure, and the known defect that explains it."""
    failure = error if isinstance(error, CheckFailed) else CheckFailed(f"raises {describe(error)}")
    for defect in known_defects():
        if defect.explains(subject.factory, check.name, failure):
            return failure, defect
    return failure, None
