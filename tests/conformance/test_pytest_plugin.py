"""The contract as tests of somebody's suite: which tests there are, and how each of them ends."""

from __future__ import annotations

import os
import subprocess
import sys
import traceback
import warnings
import xml.etree.ElementTree as ET
from collections import Counter
from pathlib import Path
from textwrap import dedent
from typing import Any, ClassVar, NamedTuple

import pytest
import torch
from torch.optim.lr_scheduler import ExponentialLR, StepLR

import optbench
from optbench.conformance import pytest_plugin
from optbench.conformance.contract import CONTRACT
from optbench.conformance.defects import known_defects
from optbench.conformance.pytest_plugin import BoundCheck
from optbench.optimizers import OPTIMIZERS, Optimizer, Route
from optbench.registry import NotAdoptable, UnknownName

NAMES = [check.name for check in CONTRACT]
SLOW = {check.name for check in CONTRACT if check.slow}


class Unheeding(torch.optim.SGD):
    """A weight decay without effect, and any value of it is fine."""

    def __init__(self, params: Any, lr: float = 0.1, weight_decay: float = 0.0) -> None:
        super().__init__(params, lr=lr)


class Needy(torch.optim.SGD):
    def __init__(self, params: Any, alpha: float, lr: float = 0.1) -> None:
        super().__init__(params, lr=alpha * lr)


class Exploding(torch.optim.SGD):
    def step(self, closure: Any = None) -> Any:
        self.steps = getattr(self, "steps", 0) + 1
        if self.steps > 100:
            self.explode()
        return super().step(closure)

    def explode(self) -> None:
        try:
            raise KeyError("first cause")
        except KeyError as error:
            raise ZeroDivisionError("step 101") from error


class Drawing(torch.optim.SGD):
    def __init__(self, params: Any, lr: float = 0.1) -> None:
        super().__init__(params, lr=lr)

    def step(self, closure: Any = None) -> Any:
        torch.rand(1)
        return super().step(closure)


class Deprecated(torch.optim.SGD):
    def __init__(self, params: Any, lr: float = 0.1) -> None:
        warnings.warn("old", FutureWarning, stacklevel=2)
        super().__init__(params, lr=lr)


class Case(NamedTuple):
    label: str
    optimizer: Any
    check: BoundCheck
    marks: dict[str, Any]


def cases(optimizers: Any, **options: Any) -> list[Case]:
    mark = optbench.parametrize_with_checks(optimizers, **options).mark  # type: ignore[attr-defined]
    assert mark.args[0] == ("optimizer", "check")
    return [Case(str(p.id), *p.values, {m.name: m for m in p.marks}) for p in mark.args[1]]


def only(optimizer: Any, check: str, **options: Any) -> Case:
    (case,) = cases([optimizer], only=[check], **options)
    return case


# Which tests there are.


def test_there_is_one_test_a_check_and_optimizer() -> None:
    found = cases([Unheeding, "torch.optim:Adam"])
    labels = ("Unheeding", "torch.optim:Adam")
    assert [c.label for c in found] == [f"{each}-{name}" for each in labels for name in NAMES]
    assert [c.optimizer for c in found] == [Unheeding] * len(NAMES) + [labels[1]] * len(NAMES)
    assert {c.check.name for c in found if "optbench_slow" in c.marks} == SLOW != set()
    assert {c.marks["optbench_contract"].args for c in found} == {(each,) for each in labels}


def test_a_scheduler_has_the_checks_of_schedulers() -> None:
    found = cases([StepLR, "torch.optim.lr_scheduler:*"], only=["resumes_*", "bits_*"])
    assert {c.check.name for c in found} == {"resumes_at_every_step"}
    assert len(found) == 16
    assert "each of 16 steps" in found[0].check(StepLR)
    # What is not imported yet is taken for an optimizer, and says so at its first test.
    late = BoundCheck(CONTRACT[0], found[0].check.acquaintances)
    with pytest.raises(pytest.fail.Exception, match="a learning-rate scheduler: give the class"):
        late(ExponentialLR)


def test_only_and_skip_take_names_globs_and_a_single_text() -> None:
    assert [c.check.name for c in cases([Unheeding], only="follows_*", skip=["*float32"])] == [
        "follows_its_oracle",
        "follows_the_reference",
    ]


def test_a_skip_with_a_reason_keeps_the_test_in_sight() -> None:
    found = cases([Unheeding], only=["follows_*"], skip={"*_float32": "not yet"})
    assert [c.marks["skip"].kwargs["reason"] for c in found if "skip" in c.marks] == ["not yet"]
    assert len(found) == 3


def test_a_string_is_imported_when_its_first_test_runs() -> None:
    sys.modules.pop("this", None)
    case = only("this:Adam", "dtypes_are_kept")
    assert "this" not in sys.modules
    with pytest.raises(pytest.fail.Exception, match="module 'this' has no 'Adam'"):
        case.check(case.optimizer)
    assert "this" in sys.modules


def test_a_module_stands_for_its_classes() -> None:
    found = [c.optimizer for c in cases(["torch.optim:*"], only=["dtypes_are_kept"])]
    assert {"torch.optim:Adam", "torch.optim:SGD"} <= set(found)
    assert "torch.optim:Optimizer" not in found


def test_a_row_is_called_by_its_name_and_equal_names_by_their_paths() -> None:
    class Adam(torch.optim.Adam):
        pass

    row = OPTIMIZERS["adam"]
    found = cases([row, Adam, torch.optim.Adam], only=["dtypes_are_kept"])
    assert [c.label.rpartition("-")[0] for c in found] == [
        "adam",
        f"{__name__}:{Adam.__qualname__}",
        "torch.optim.adam:Adam",
    ]


A_PARAMETER = [torch.nn.Parameter(torch.zeros(2))]


@pytest.mark.parametrize(
    ("arguments", "options", "error", "text"),
    [
        ([], {}, ValueError, "is empty"),
        ("torch.optim:Adam", {}, TypeError, r"give a list of optimizers, as in .*\[MyAdam"),
        (Unheeding, {}, TypeError, "give a list"),
        ([torch.optim.SGD(A_PARAMETER)], {}, TypeError, "give the class SGD, not an instance"),
        (
            [torch.nn.Linear],
            {},
            TypeError,
            "Linear.* is not an optimizer: give torch.optim.Optimizer",
        ),
        ([torch.optim.Optimizer], {}, TypeError, "is not an optimizer"),
        ([Unheeding, Unheeding], {}, ValueError, "Unheeding is in the list twice"),
        ([Unheeding], {"only": ["dtypes_kept"]}, UnknownName, "did you mean 'dtypes_are_kept'"),
        ([Unheeding], {"skip": ["dtypes_kept"]}, UnknownName, "did you mean 'dtypes_are_kept'"),
        ([Unheeding], {"skip": {"dtypes_kept": ""}}, UnknownName, "did you mean"),
        ([Unheeding], {"skip": "*"}, ValueError, "leave no check"),
        (["json:*"], {}, NotAdoptable, "exports no class of torch.optim.Optimizer"),
        (["no_such_module:*"], {}, UnknownName, "cannot import 'no_such_module'"),
    ],
)
def test_what_makes_no_test_is_said_where_it_is_written(
    arguments: Any, options: dict[str, Any], error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        optbench.parametrize_with_checks(arguments, **options)


# How each of them ends.


def test_a_kept_promise_says_what_was_seen() -> None:
    case = only("torch.optim:SGD", "dtypes_are_kept")
    assert "bfloat16" in case.check(case.optimizer)


def test_a_promise_that_does_not_apply_is_skipped_with_the_reason() -> None:
    case = only("torch.optim:SGD", "follows_the_reference")
    with pytest.raises(pytest.skip.Exception, match=r"^not applicable: no --reference was given"):
        case.check(case.optimizer)


def test_a_known_defect_is_an_expected_failure_with_its_evidence() -> None:
    name, check = "torch.optim:RMSprop", "a_constant_gradient_stays_finite"
    (defect,) = (d for d in known_defects() if (d.optimizer, d.check) == (name, check))
    if not defect.is_present():
        pytest.skip("this torch does not have it")
    case = only(name, check)
    with pytest.raises(pytest.xfail.Exception) as ended:
        case.check(case.optimizer)
    assert str(ended.value).startswith("known: ")
    assert str(ended.value).endswith(f"evidence: {defect.evidence}")


def test_a_broken_promise_is_a_sentence_and_the_line_that_shows_it_again() -> None:
    case = only(
        "torch.optim:SGD", "follows_the_reference",
        reference="textbook-adam", settings={"lr": 0.5, "dampening": 0.1},
    )  # fmt: skip
    with pytest.raises(pytest.fail.Exception) as ended:
        case.check(case.optimizer)
    assert not ended.value.pytrace
    assert ended.value.__context__ is None
    first, *_, expected, again = str(ended.value).splitlines()
    assert "textbook-adam" in first
    assert expected.startswith("expected: ")
    assert again == (
        "to reproduce: optbench check 'torch.optim:SGD' --only follows_the_reference "
        "--reference textbook-adam --set lr=0.5 --set dampening=0.1"
    )


@pytest.mark.parametrize(
    "optimizer",
    [Unheeding, Optimizer("mine", Unheeding, {"lr": 0.1}, {}, Route.INSTANCE, "here")],
    ids=["class", "row"],
)
def test_what_only_the_test_file_knows_is_shown_again_by_pytest(
    optimizer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    test = f"{Path(__file__).name}::test_contract[it]"
    monkeypatch.setenv("PYTEST_CURRENT_TEST", f"{test} (call)")
    case = only(optimizer, "every_hyperparameter_matters")
    with pytest.raises(pytest.fail.Exception, match="weight_decay") as ended:
        case.check(case.optimizer)
    assert str(ended.value).endswith(f"to reproduce: pytest '{test}'")


def test_an_error_of_the_optimizer_keeps_its_traceback_and_loses_ours() -> None:
    case = only(Exploding, "saves_and_loads_at_step_301")
    with pytest.raises(ZeroDivisionError, match="step 101") as ended:
        case.check(case.optimizer)
    frames = [f.name for f in traceback.extract_tb(ended.value.__traceback__)]
    # Of ours only the one that raises it again, which hides itself from pytest.
    assert frames[1] == "__call__"
    assert frames[-2:] == ["step", "explode"]
    assert not {"require", "advance", "saves_and_loads_at_step_301"} & set(frames)
    assert isinstance(ended.value.__cause__, KeyError)
    (note,) = ended.value.__notes__
    assert "raised by test_pytest_plugin:Exploding in saves_and_loads_at_step_301" in note
    assert "to reproduce: " in note


def test_an_error_of_our_own_shows_all_of_our_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken_check(*_: object) -> str:
        raise LookupError("ours")

    broken_check.__globals__["__name__"], before = "optbench.conformance.x", __name__
    try:
        monkeypatch.setattr(pytest_plugin, "require", broken_check)
        case = only("torch.optim:SGD", "dtypes_are_kept")
        with pytest.raises(LookupError) as ended:
            case.check(case.optimizer)
    finally:
        broken_check.__globals__["__name__"] = before
    frames = [f.name for f in traceback.extract_tb(ended.value.__traceback__)]
    assert frames[-2:] == ["_answer", "broken_check"]


@pytest.mark.parametrize(
    ("optimizer", "text"),
    [
        (Needy, "Needy is not constructible: its constructor needs alpha"),
        ("torch.optim:Adm", "module 'torch.optim' has no 'Adm'; did you mean 'Adam'"),
        ("adm", "unknown optimizer 'adm'; did you mean 'adam'"),
        ("json:loads", "is the function loads, not a torch.optim.Optimizer class"),
        ("no_such_module:Adam", "cannot import 'no_such_module'"),
    ],
)
def test_what_cannot_be_constructed_fails_one_test_and_skips_the_others(
    optimizer: Any, text: str
) -> None:
    first, second, third = cases([optimizer], only=["follows_*"])
    with pytest.raises(pytest.fail.Exception) as ended:
        first.check(first.optimizer)
    assert text in str(ended.value)
    for each in (second, third):
        with pytest.raises(pytest.skip.Exception, match=r"^not checked: .*failed in foll"):
            each.check(each.optimizer)
    # Run again, as plug-ins for flaky tests do, it is not passed off as a skip.
    with pytest.raises(pytest.fail.Exception):
        first.check(first.optimizer)


def test_settings_make_it_constructible() -> None:
    case = only(Needy, "dtypes_are_kept", settings={"alpha": 0.5})
    assert case.check(case.optimizer)


@pytest.mark.filterwarnings("error")
def test_what_it_warns_of_is_no_failure_where_warnings_are_errors() -> None:
    case = only(Deprecated, "dtypes_are_kept")
    assert case.check(case.optimizer)


@pytest.mark.filterwarnings("error")
def test_advice_is_a_warning_and_fails_where_that_is_asked_for() -> None:
    case = only(Drawing, "the_global_state_is_untouched")
    with pytest.warns(pytest_plugin.ContractAdvice, match=r"torch's random state(.|\n)*expected: "):
        assert "torch's random state" in case.check(case.optimizer)
    case = only(Drawing, "the_global_state_is_untouched", strict=True)
    with pytest.raises(pytest.fail.Exception, match="torch's random state"):
        case.check(case.optimizer)


def test_an_optimizer_is_got_to_know_once(monkeypatch: pytest.MonkeyPatch) -> None:
    met: list[object] = []
    real = pytest_plugin.subject_of
    monkeypatch.setattr(
        pytest_plugin, "subject_of", lambda target, **k: (met.append(target), real(target, **k))[1]
    )
    found = cases(["torch.optim:SGD", Unheeding], only=["dtypes_*", "deepcopies_*"])
    assert met == []
    for case in found:
        case.check(case.optimizer)
    assert met == ["torch.optim:SGD", Unheeding]


# A whole session, in a process of its own.

MODULE = """
    import torch

    class Unheeding(torch.optim.SGD):
        def __init__(self, params, lr=0.1, weight_decay=0.0):
            super().__init__(params, lr=lr)

    class Drawing(Unheeding):
        def step(self, closure=None):
            torch.rand(1)
            return super().step(closure)
"""

ADVICE = """
    import optbench
    from unheeding import Drawing

    @optbench.parametrize_with_checks([Drawing], only=["the_global_*", "parameters_stay_*"])
    def test_contract(optimizer, check):
        check(optimizer)
"""

TESTS = """
    import optbench
    import pytest
    from unheeding import Unheeding

    @optbench.parametrize_with_checks(
        [Unheeding, "torch.optim:RMSprop", "torch.optim:Adm"],
        only=["every_*", "a_constant_*", "follows_*", "dtypes_*", "data_parallel*"],
        skip={"dtypes_*": "not today"},
    )
    def test_contract(optimizer, check):
        check(optimizer)

    def test_beside_it():
        pass
"""


class Session:
    """What one run of pytest said."""

    HEAD: ClassVar = [
        "-p",
        "no:cacheprovider",
        "--strict-markers",
        "--strict-config",
        "-W",
        "error",
    ]

    def __init__(self, folder: Path, *arguments: str) -> None:
        # What somebody asks of our own session is none of theirs.
        environment = {k: v for k, v in os.environ.items() if k != "PYTEST_ADDOPTS"}
        ended = subprocess.run(
            [sys.executable, "-m", "pytest", *self.HEAD, "--junitxml=seen.xml", *arguments],
            cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=300,
        )  # fmt: skip
        self.code, self.out = ended.returncode, ended.stdout
        self.cases = ET.parse(folder / "seen.xml").getroot().findall(".//testcase")

    @property
    def summary(self) -> list[str]:
        return [line for line in self.out.splitlines() if line.startswith("optbench contract")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("theirs")
    (place / "unheeding.py").write_text(dedent(MODULE), "utf-8")
    (place / "test_theirs.py").write_text(dedent(TESTS), "utf-8")
    (place / "test_advice.py").write_text(dedent(ADVICE), "utf-8")
    (place / "test_other.py").write_text("def test_other(): pass\n", "utf-8")
    return place


@pytest.fixture(scope="module")
def session(folder: Path) -> Session:
    return Session(folder, "-m", "not optbench_slow", "--ignore=test_advice.py")


@pytest.mark.proof
def test_a_session_ends_with_one_line_on_the_contract(session: Session) -> None:
    assert session.code == 1
    counts = "4 passed, 1 failed, 1 known, 4 not applicable, 5 not checked, 3 skipped"
    assert session.summary == [f"optbench contract: 3 optimizers, {counts}"]
    assert "3 deselected" in session.out


def test_failures_show_the_message_and_none_of_our_code(session: Session) -> None:
    failures = session.out.partition("= FAILURES =")[2].partition("short test summary")[0]
    assert "no effect on any of the parameters" in failures
    assert "to reproduce: optbench check 'unheeding:Unheeding' --only every_hyper" in failures
    assert "did you mean 'Adam'" in failures
    assert "conformance" not in failures
    assert "Traceback" not in failures
    assert len(failures.splitlines()) < 14


def test_the_report_for_machines_says_which_optimizer_a_test_is_about(session: Session) -> None:
    said = Counter(
        value.get("value")
        for case in session.cases
        for value in case.findall("properties/property[@name='optbench_contract']")
    )
    assert set(said) == {"Unheeding", "torch.optim:RMSprop", "torch.optim:Adm"}


def test_nothing_is_said_where_no_contract_was_tested(folder: Path) -> None:
    session = Session(folder, "test_other.py")
    assert (session.code, session.summary) == (0, [])


@pytest.mark.proof
def test_advice_is_counted_and_fails_no_session(folder: Path) -> None:
    session = Session(folder, "test_advice.py")
    assert session.code == 0
    assert session.summary == ["optbench contract: 1 optimizer, 1 passed, 1 advice"]
    assert "ContractAdvice: 10 steps changed torch's random state" in session.out


def test_the_plug_in_is_light() -> None:
    # It is loaded in every run of pytest wherever optbench is installed.
    code = (
        "import sys, pytest; before = set(sys.modules); import optbench.conformance.pytest_marks; "
        "print(*sorted(set(sys.modules) - before))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert ended.stdout.split() == [
        "optbench",
        "optbench.conformance",
        "optbench.conformance.pytest_marks",
        "optbench.defaults",
        "optbench.errors",
    ]
