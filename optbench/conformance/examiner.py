"""One check on one subject, here and now: a verdict, whatever happens."""

from __future__ import annotations

import time
import warnings

from optbench.conformance.defects import KnownDefect, known_defects
from optbench.conformance.promise import Broken, Check, NotApplicable
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
    status, text, evidence = _outcome(subject, check)
    return Verdict(subject.name, check.name, status, text, time.perf_counter() - begun, evidence)


def require(subject: Subject, check: Check) -> str:
    """Hold a check against a subject, and let its exceptions through: for tests and debuggers."""
    with torch_as_found(), one_thread(), warnings.catch_warnings():
        # What an optimizer warns of is not what is asked here, and it may do so at every step.
        warnings.simplefilter("ignore")
        return check.function(subject) or ""


def _outcome(subject: Subject, check: Check) -> tuple[Status, str, str]:
    try:
        return Status.KEPT, require(subject, check), ""
    except NotApplicable as reason:
        return Status.NOT_APPLICABLE, str(reason), ""
    # Anybody's code runs here, and all of it is the answer: exit, a failed assertion, ...
    except (Exception, SystemExit) as error:  # noqa: BLE001
        broken, defect = explain(subject, check, error)
    if defect is not None:
        return Status.KNOWN, str(broken), defect.evidence
    return Status.BROKEN, str(broken), ""


def explain(
    subject: Subject, check: Check, error: BaseException
) -> tuple[Broken, KnownDefect | None]:
    """What an exception out of `require` says of the subject, and the known defect behind it."""
    broken = error if isinstance(error, Broken) else Broken(f"raises {describe(error)}")
    for defect in known_defects():
        if defect.explains(subject.factory, check.name, broken):
            return broken, defect
    return broken, None
