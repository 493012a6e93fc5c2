"""Known defects of others: the rows are sound, and none explains more than it says."""

from __future__ import annotations

import dataclasses
from importlib import import_module
from importlib.metadata import version

import pytest
import torch
from packaging.version import Version

from optbench.conformance.check import Check
from optbench.conformance.contract import ALL_CHECKS
from optbench.conformance.defects import KnownDefect, known_defects
from optbench.conformance.examiner import examine, explain
from optbench.conformance.result import Status
from optbench.registry import import_attribute
from optbench.scenarios.introspect import introspect
from optbench.scenarios.outcomes import CheckFailed, NotApplicable
from optbench.scenarios.subject import Subject

CHECKS = {check.name: check for check in ALL_CHECKS}
ROWS = {f"{row.optimizer}-{row.check}": row for row in known_defects()}

HERE = KnownDefect(
    optimizer="torch.optim:SGD",
    check="bits_repeat_in_a_second_run",
    package="torch",
    seen_in="2.0",
    says="by two",
    evidence="made up",
    at_most=0.5,
)


def explains(defect: KnownDefect = HERE, **other: object) -> bool:
    """Whether it explains its own break of the promise, but for what is given."""
    factory = other.get("factory", torch.optim.SGD)
    check = other.get("check", "bits_repeat_in_a_second_run")
    broken = CheckFailed(str(other.get("text", "differs by two")), other.get("measured", 0.5))  # type: ignore[arg-type]
    return defect.explains(factory, str(check), broken)  # type: ignore[arg-type]


def test_no_row_is_there_twice() -> None:
    assert len(ROWS) == len(known_defects()) > 10


@pytest.mark.parametrize("row", ROWS.values(), ids=list(ROWS))
def test_a_row_is_sound(row: KnownDefect) -> None:
    for field in dataclasses.fields(row):
        assert getattr(row, field.name) or field.name == "gone_in", field.name
    assert row.check in CHECKS
    assert row.at_most > 0
    assert row.evidence.endswith(".") or "#" in row.evidence
    assert Version(row.seen_in) < Version(row.gone_in or "1000")
    assert version(row.package)
    module, _, name = row.optimizer.partition(":")
    if name == "*":
        assert import_module(module)
        return
    if row.package == "torch" and not hasattr(import_module(module), name):
        pytest.skip(f"this torch has no {name} yet")
    bases = (torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler)
    assert issubclass(import_attribute(row.optimizer), bases)


def test_it_explains_what_it_says() -> None:
    assert explains()
    assert explains(measured=None)
    assert explains(text="at step 3 the path differs by two.")
    assert explains(measured=0.1)


@pytest.mark.parametrize(
    "other",
    [
        {"text": "differs by three"},
        {"measured": 0.51},
        {"measured": float("inf")},
        {"measured": float("nan")},
        {"check": "parameters_stay_leaves"},
        {"factory": torch.optim.Adam},
        {"factory": type("SGD", (torch.optim.SGD,), {})},
        {"factory": lambda params: torch.optim.SGD(params)},
    ],
    ids=["text", "larger", "infinite", "nan", "check", "class", "subclass", "function"],
)
def test_it_explains_nothing_else(other: dict[str, object]) -> None:
    assert not explains(**other)


def test_a_row_of_a_whole_package_explains_its_classes_and_no_others() -> None:
    row = dataclasses.replace(HERE, optimizer="torch.optim:*")
    for factory in (torch.optim.SGD, torch.optim.Adafactor, torch.optim.LBFGS):
        assert explains(row, factory=factory)
    assert not explains(row, factory=type("SGD", (torch.optim.SGD,), {}))
    assert not explains(row, check="parameters_stay_leaves")


def test_it_holds_from_where_it_was_seen_until_it_was_seen_to_be_gone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    open_end = dataclasses.replace(HERE, seen_in="2.9.1")
    mended = dataclasses.replace(open_end, gone_in="2.14.0")
    for installed, expected in {
        "2.9.0": (False, False),
        "2.9.1": (True, True),
        # A local build is the public version.
        "2.9.1+cpu": (True, True),
        "2.13.0+cu130": (True, True),
        "2.13.0.dev20260101+cpu": (True, True),
        "2.14.0": (True, False),
        "2.14.0+cpu": (True, False),
        # Nobody has looked: a new version is no accusation.
        "99.0": (True, False),
    }.items():
        monkeypatch.setattr("optbench.conformance.defects.version", lambda _, v=installed: v)
        assert (explains(open_end), explains(mended)) == expected, installed


def test_a_package_that_is_not_here_has_no_defects() -> None:
    assert not explains(dataclasses.replace(HERE, package="no-such-distribution"))


def test_a_package_that_nobody_imported_is_not_imported_for_it() -> None:
    assert not explains(dataclasses.replace(HERE, optimizer="no_such_module:SGD"))


def _always(broken: Exception) -> Check:
    def bits_repeat_in_a_second_run(subject: Subject) -> str:
        """Made up."""
        raise broken

    return Check(bits_repeat_in_a_second_run)


def test_a_verdict_of_a_known_defect_holds_text_and_evidence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("optbench.conformance.examiner.known_defects", lambda: (HERE,))
    subject = introspect("torch.optim:SGD")
    known = examine(subject, _always(CheckFailed("differs by two", 0.5)))
    assert (known.status, known.text, known.evidence) == (
        Status.XFAILED,
        "differs by two",
        "made up",
    )
    assert known.as_row()["reproduce"] == known.reproduce
    for other in (CheckFailed("differs by two", 0.6), CheckFailed("differs"), RuntimeError("no")):
        result = examine(subject, _always(other))
        assert (result.status, result.evidence) == (Status.FAILED, "")
    assert examine(subject, _always(NotApplicable("by two"))).status is Status.NOT_APPLICABLE
    # An exception's text is one, too.
    broken, defect = explain(subject, _always(ValueError()), ValueError("by two"))
    assert defect is HERE
    assert str(broken).startswith("raises ValueError: by two")


@pytest.mark.proof
@pytest.mark.parametrize("name", ["RMSprop", "Adafactor", "Adagrad", "ASGD", "NAdam"])
def test_the_defects_of_torch_are_shown_as_known(name: str) -> None:
    rows = [row for row in known_defects() if row.optimizer == f"torch.optim:{name}"]
    present = [row for row in rows if row.is_present()]
    if not present:
        pytest.skip("this torch has mended them")
    subject = introspect(f"torch.optim:{name}")
    for row in present:
        result = examine(subject, CHECKS[row.check])
        assert result.status is Status.XFAILED, result
        assert row.says in result.text
        assert result.evidence == row.evidence


def test_a_subclass_of_a_class_with_a_known_defect_is_not_excused() -> None:
    class Mine(torch.optim.ASGD):
        pass

    result = examine(introspect(Mine), CHECKS["float64_parameters_have_float64_state"])
    assert result.status is Status.ADVICE
    assert "eta of tensor 0" in result.text
