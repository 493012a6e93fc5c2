"""The contract as tests of anybody's test suite: one test a check and optimizer."""

from __future__ import annotations

import os
import sys
import types
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn, TypeVar

import pytest

from optbench.conformance import pytest_marks as marks
from optbench.conformance.check import Check
from optbench.conformance.contract import CONTRACT, SCHEDULER_CONTRACT, checks_of, choose
from optbench.conformance.examiner import explain, require
from optbench.conformance.result import CheckResult, Status, options
from optbench.conformance.targets import (
    Target,
    is_imported_scheduler,
    labelled,
    name_of,
    subject_of,
    targets_of,
)
from optbench.engine.as_found import torch_as_found
from optbench.engine.error_text import describe
from optbench.optimizers import OPTIMIZERS, Optimizer
from optbench.registry import NotAdoptable, UnknownName
from optbench.scenarios.introspect import NotConstructible
from optbench.scenarios.outcomes import Advice, CheckFailed, NotApplicable
from optbench.scenarios.schedulers import TriedScheduler
from optbench.scenarios.subject import Subject


class ContractAdvice(UserWarning):
    """A check failed, as respected libraries accept on purpose."""


Test = TypeVar("Test", bound=Callable[..., None])


def parametrize_with_checks(
    optimizers: Sequence[Target],
    *,
    only: Sequence[str] = (),
    skip: Sequence[str] | Mapping[str, str] = (),
    reference: str = "",
    settings: Mapping[str, Any] | None = None,
    strict: bool = False,
) -> Callable[[Test], Test]:
    """Make of a test function one test for each optimizer and each check of the contract.

    The function takes ``optimizer`` and ``check``, and calls the one on the other::

        @optbench.parametrize_with_checks([MyAdam, "my_package:MyLion", MY_ROW])
        def test_contract(optimizer, check):
            check(optimizer)

    A failed check fails its test with what was measured, in numbers; one of those that
    respected libraries leave out on purpose is a warning, unless ``strict``. One that does not
    apply skips it with the reason; a known defect of somebody else's code is an expected
    failure, with where it is reported. An exception of the optimizer's own code comes through
    with its traceback. An optimizer that cannot be constructed fails one test, and the others
    of it are skipped.

    Optimizers are constructed when their first test runs, and strings are imported then; only
    ``package.module:*`` (every optimizer class in a module) and globs of registered names
    (``"adam*"``) are looked up at collection, because they decide which tests there are.

    Parameters
    ----------
    optimizers : sequence of str, class or Optimizer
        ``optimizer`` is each of them in turn, as it is given here.
    only, skip : sequences of str
        Names or globs of checks (``optbench check --list``): all without ``only``. Where
        ``skip`` maps them to reasons, their tests remain and are skipped with the reason.
    reference : str
        An optimizer to demand parity with, too: ``"textbook-adam"``, ``"package.module:Class"``.
    settings : mapping
        Arguments of the constructors, in place of their defaults.
    strict : bool
        Advice fails its test, too.

    Raises
    ------
    TypeError, ValueError
        What is given makes no test; the text says what would.
    UnknownName, NotAdoptable
        No such check, no such module, or one without an optimizer.
    """
    __tracebackhide__ = True
    targets = targets_of(optimizers)
    only = (only,) if isinstance(only, str) else tuple(only)
    reasons = skip if isinstance(skip, Mapping) else {}
    skip = (skip,) if isinstance(skip, str) else tuple(skip)
    checks = choose(only, () if reasons else skip)
    if not checks:
        raise ValueError("only and skip together leave no check")
    reason_of = {c.name: why for pattern, why in reasons.items() for c in choose((pattern,))}
    acquaintances = Acquaintances(reference, dict(settings or {}))
    cases = []
    for label, target in labelled(targets).items():
        contract = SCHEDULER_CONTRACT if is_imported_scheduler(target) else CONTRACT
        for check in [each for each in checks if each in contract]:
            given = [getattr(pytest.mark, marks.CONTRACT)(label)]
            if check.slow:
                given.append(getattr(pytest.mark, marks.SLOW))
            if check.name in reason_of:
                given.append(pytest.mark.skip(reason=reason_of[check.name]))
            bound = BoundCheck(check, acquaintances, strict)
            cases.append(pytest.param(target, bound, id=f"{label}-{check.name}", marks=given))
    return pytest.mark.parametrize(("optimizer", "check"), cases)


@dataclass(frozen=True)
class BoundCheck:
    """A check that a test function calls on an optimizer, and that ends as a test does."""

    check: Check
    acquaintances: Acquaintances
    strict: bool = False

    @property
    def name(self) -> str:
        """The name of the check."""
        return self.check.name

    @property
    def slow(self) -> bool:
        """Whether it takes seconds."""
        return self.check.slow

    def __repr__(self) -> str:
        return f"<check {self.name}>"

    def __call__(self, optimizer: Target) -> str:
        """Hold the check against an optimizer; returns what was seen, in words with numbers.

        Advice is returned, too, with a warning, unless it is ``strict``.

        Raises
        ------
        pytest.fail.Exception, pytest.skip.Exception, pytest.xfail.Exception
            Failed or not constructible; not applicable; a known defect.
        Exception
            Whatever the optimizer raises.
        """
        __tracebackhide__ = True
        subject = self.acquaintances.meet(optimizer, self.name)
        # Raised here and not in a handler: no "during handling of" comes before the answer.
        answer = self._answer(subject)
        if isinstance(answer, str):
            return answer
        if isinstance(answer, NotApplicable):
            pytest.skip(f"{marks.NOT_APPLICABLE}: {answer}")
        failure, defect = explain(subject, self.check, answer)
        if defect is not None:
            pytest.xfail(f"{marks.KNOWN}: {failure}\nevidence: {defect.evidence}")
        again = self.acquaintances.reproduce(optimizer, subject.name, self.name)
        expected = f"expected: {self.check.summary}\n{again}"
        if isinstance(answer, Advice) and not self.strict:
            with warnings.catch_warnings():
                # Where a session makes warnings errors, advice would fail unasked.
                warnings.simplefilter("always", ContractAdvice)
                warnings.warn(f"{failure}\n{expected}", ContractAdvice, stacklevel=2)
            return str(failure)
        if isinstance(answer, CheckFailed):
            _fail(f"{failure}\n{expected}")
        answer.add_note(f"raised by {subject.name} in {self.name}\n{expected}")
        raise answer.with_traceback(_theirs(answer.__traceback__))

    def _answer(self, subject: Subject | TriedScheduler) -> str | BaseException:
        """Return what was measured, or what was raised."""
        try:
            return require(subject, self.check)
        # Anybody's code runs here, and all of it is the answer: exit, a failed assertion, ...
        except (Exception, SystemExit) as error:  # noqa: BLE001
            return error


@dataclass
class Acquaintances:
    """The optimizers of a test function, each got to know when its first test runs."""

    reference: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    _met: dict[object, _Met] = field(default_factory=dict, repr=False)

    def meet(self, target: Target, check: str) -> Subject | TriedScheduler:
        """Return the subject; where none can be made, the first check says so."""
        __tracebackhide__ = True
        # Rows cannot be hashed. What is met is kept, so that its id stays its own.
        key = target if isinstance(target, str) else id(target)
        if key not in self._met:
            self._met[key] = self._introduce(target, check)
        met = self._met[key]
        if met.subject is not None:
            return met.subject
        # The same test again, after a failure and for a debugger, says the same.
        if met.asked_by != check:
            reason = met.refusal.splitlines()[0]
            pytest.skip(f"{marks.NOT_CHECKED}: {reason} (failed in {met.asked_by})")
        again = self.reproduce(target, name_of(target), "")
        _fail(f"{marks.NOT_CHECKED}: {met.refusal}\n{again}")

    def _introduce(self, target: Target, check: str) -> _Met:
        try:
            # What it warns of is not what is asked here, and may be an error in this session.
            with torch_as_found(), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                subject = subject_of(target, reference=self.reference, settings=self.settings)
        except (UnknownName, NotAdoptable) as error:
            where = f"\n{describe(error.__cause__)}" if error.__cause__ else ""
            return _Met(target, check, refusal=f"{error.args[0]}{where}")
        except NotConstructible as error:
            return _Met(target, check, refusal=f"{name_of(target)} is not constructible: {error}")
        # Importing and constructing run a stranger's code.
        except (Exception, SystemExit) as error:  # noqa: BLE001
            text = f"{name_of(target)} is not constructible: {describe(error)}"
            return _Met(target, check, refusal=text)
        if check not in [each.name for each in checks_of(subject)]:
            text = f"{name_of(target)} is a learning-rate scheduler: give the class, not its path"
            return _Met(target, check, refusal=text)
        return _Met(target, check, subject)

    def reproduce(self, target: Target, name: str, check: str) -> str:
        """Return the command that reproduces it, outside pytest where the optimizer has a name."""
        test = os.environ.get("PYTEST_CURRENT_TEST", "").rpartition(" ")[0]
        if not _is_importable(target, test):
            return f"to reproduce: pytest {test!r}"
        line = CheckResult(name, check, Status.FAILED).reproduce
        return f"to reproduce: {line}{options(self.reference, self.settings)}"


@dataclass(frozen=True)
class _Met:
    """A target, the check that asked for it first, and the subject or why there is none."""

    target: Target
    asked_by: str
    subject: Subject | TriedScheduler | None = None
    refusal: str = ""


def _is_importable(target: Target, test: str) -> bool:
    """Whether ``optbench check`` finds it by its name, from the folder that pytest runs in."""
    if isinstance(target, str):
        return True
    if isinstance(target, Optimizer):
        return (
            ":" not in target.name
            and target.name in OPTIMIZERS
            and OPTIMIZERS[target.name] is target
        )
    module = sys.modules.get(target.__module__)
    # A class of the test file itself: that is no module of anybody else's Python.
    path = str(getattr(module, "__file__", "")).replace(os.sep, "/")
    in_the_test_file = bool(test) and path.endswith(test.partition("::")[0])
    return getattr(module, target.__qualname__, None) is target and not in_the_test_file


def _fail(text: str) -> NoReturn:
    """Without a traceback: it would show our own code, which is not where the mistake is."""
    __tracebackhide__ = True
    pytest.fail(text, pytrace=False)


OURS = ("optbench.conformance", "optbench.scenarios", "optbench.engine", "contextlib")


def _theirs(traceback: types.TracebackType | None) -> types.TracebackType | None:
    """Strip optbench's own frames from a traceback, unless the error is in one of them."""
    entries = []
    entry = traceback
    while entry is not None:
        entries.append(entry)
        entry = entry.tb_next
    foreign = [e for e in entries if not e.tb_frame.f_globals.get("__name__", "").startswith(OURS)]
    if not entries or entries[-1] not in foreign:
        return traceback
    kept: types.TracebackType | None = None
    for each in reversed(foreign):
        kept = types.TracebackType(kept, each.tb_frame, each.tb_lasti, each.tb_lineno)
    return kept
