"""Optimizers that hang, print, exit and crash: a result for each, and the others go on."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from optbench.conformance import workers
from optbench.conformance.check import Check
from optbench.conformance.contract import choose
from optbench.conformance.result import BAD, UNCHECKED, CheckResult, Status
from optbench.conformance.worker_process import SubjectSpec
from optbench.conformance.workers import CheckCount, Members, examine_all
from optbench.process.worker import WorkerProcess

HOSTILE = '''
import ctypes, os, random, sys, threading, time
import numpy as np
import torch


class Plain(torch.optim.Optimizer):
    AFTER = 2  # to get to know it takes two steps

    def __init__(self, params, lr=0.1):
        self.made()
        super().__init__(params, {"lr": lr})
        self.steps = 0

    def made(self):
        pass

    @torch.no_grad()
    def step(self, closure=None):
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    p.sub_(group["lr"] * p.grad)
        self.steps += 1
        if self.steps > self.AFTER:
            self.strike()
        return loss

    def strike(self):
        pass


class Exits(Plain):
    def strike(self):
        sys.exit("goodbye")


class ExitsAsTyped(Plain):
    def strike(self):
        exit()


class ExitsHard(Plain):
    def strike(self):
        os._exit(3)


class Segfaults(Plain):
    def strike(self):
        ctypes.string_at(0)


class Interrupts(Plain):
    def strike(self):
        raise KeyboardInterrupt("typed by nobody")


class Prints(Plain):
    def strike(self):
        print("to stdout" * 20_000)
        print("to stderr" * 20_000, file=sys.stderr)
        os.write(1, b"straight to stdout" * 10_000)
        os.write(2, b"straight to stderr" * 10_000)


class MadeWithAnError(Plain):
    def made(self):
        raise RuntimeError("[bold]no instance\\x1b[2J of me")


class MadeWithAnInterrupt(Plain):
    def made(self):
        raise KeyboardInterrupt


class MadeWithAnExit(Plain):
    def made(self):
        sys.exit(7)


class MadeWithAHardExit(Plain):
    def made(self):
        os._exit(4)


class Meddles(Plain):
    def strike(self):
        torch.set_num_threads(2)
        torch.set_default_dtype(torch.float64)
        torch.manual_seed(random.getrandbits(30))
        torch.set_grad_enabled(False)


class ChangedByLoading(Plain):
    """The first that is loaded or copied changes the class, as torch does to some."""

    changed = False

    def __setstate__(self, state):
        super().__setstate__(state)
        ChangedByLoading.changed = True

    def strike(self):
        if ChangedByLoading.changed and self.steps > 8:
            raise KeyError("changed")


class Breaks(Plain):
    def strike(self):
        if self.steps > 8:
            raise KeyError("always")


class LeavesAThread(Plain):
    def made(self):
        threading.Thread(target=time.sleep, args=(3600,)).start()


class Witness(Plain):
    """The same as Plain, and only where the world is as it should be."""

    def made(self):
        assert torch.get_default_dtype() is torch.float32
        assert torch.is_grad_enabled()

    def strike(self):
        assert torch.get_num_threads() == 1
        assert torch.get_default_dtype() is torch.float32
'''

HANGING = """
import time
from hostile import Plain


class Hangs(Plain):
    def strike(self):
        while True:
            time.sleep(0.01)


class HangsWhenMade(Plain):
    def made(self):
        time.sleep(3600)
"""

COPIES = "deepcopies_and_pickles"

REPEATS, LEAVES, ORDER = (
    "bits_repeat_in_a_second_run",
    "parameters_stay_leaves",
    "the_order_of_parameters_does_not_matter",
)
CHECKS = choose([REPEATS, LEAVES, ORDER])
ONE = choose([LEAVES])
"""Enough where each crash begins a process anew."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where this process and its workers find the modules."""
    made = tmp_path_factory.mktemp("hostile")
    (made / "hostile.py").write_text(HOSTILE)
    (made / "hanging.py").write_text(HANGING)
    (made / "hangs_at_import.py").write_text("import time\ntime.sleep(3600)\n")
    (made / "exits_at_import.py").write_text("import sys\nsys.exit(5)\n")
    (made / "dies_at_import.py").write_text("import os\nos._exit(6)\n")
    (made / "breaks_at_import.py").write_text("1 / 0\n")
    (made / "holds_nothing.py").write_text("import torch\nfrom torch.optim import Optimizer\n")
    with pytest.MonkeyPatch.context() as patch:
        # Workers are handed the path of this process.
        patch.syspath_prepend(made)
        # Begins what workers are forked from: on a busy machine that takes longer than some limits.
        list(examine_all([SubjectSpec("torch.optim:SGD")], ONE, jobs=1))
        yield made


class Examined:
    """What an examination said."""

    def __init__(self, said: Sequence[CheckResult | Members | CheckCount]) -> None:
        self.names = [name for each in said if isinstance(each, Members) for name in each.names]
        self.results = [each for each in said if isinstance(each, CheckResult)]

    def of(self, target: str) -> dict[str, CheckResult]:
        return {v.check: v for v in self.results if v.target == target}

    def the_one(self, target: str) -> CheckResult:
        (result,) = [v for v in self.results if v.target == target]
        assert result.check == ""
        return result

    def require_one_each(self, names: set[str]) -> None:
        """One result for each pair, or one for who could not be examined."""
        counts = Counter((v.target, v.check) for v in self.results)
        assert set(counts.values()) == {1}, counts
        for target in {v.target for v in self.results}:
            assert set(self.of(target)) in (names, {""}), target


def examined(
    *targets: str,
    checks: Sequence[Check] = CHECKS,
    jobs: int = 1,
    limit_s: float = 60.0,
    compiled: bool = False,
) -> Examined:
    specs = [SubjectSpec(target) for target in targets]
    results = examine_all(specs, checks, jobs=jobs, limit_s=limit_s, compiled=compiled)
    said = Examined(list(results))
    said.require_one_each({check.name for check in checks})
    assert multiprocessing.active_children() == []
    return said


@pytest.fixture(scope="module")
def quiet(folder: Path) -> Examined:
    """Those that take no process down, in one worker: it is begun once."""
    return examined(
        "hostile:Plain",
        "hostile:Meddles",
        "hostile:Witness",
        "hostile:Exits",
        "hostile:ExitsAsTyped",
        "hostile:MadeWithAnError",
        "hostile:MadeWithAnInterrupt",
        "hostile:MadeWithAnExit",
        "hostile:LeavesAThread",
        "exits_at_import:Any",
        "breaks_at_import:Any",
        "breaks_at_import:*",
        "holds_nothing:*",
        "no_such_module:Any",
        "no_such_module:*",
        "hostile:plain",
        "math:sqrt",
        "adm",
        "zz*",
        "",
    )


@pytest.fixture(scope="module")
def deadly(folder: Path) -> Examined:
    """Those that take their process with them, and one that does not between them."""
    return examined(
        "hostile:ExitsHard",
        "hostile:Plain",
        "hostile:Segfaults",
        "hostile:Interrupts",
        "hostile:MadeWithAHardExit",
        "dies_at_import:Any",
        "dies_at_import:*",
        checks=ONE,
        jobs=2,
    )


@pytest.mark.parametrize("target", ["hostile:Plain", "hostile:Witness"])
def test_an_ordinary_optimizer_keeps_its_promises_whatever_came_before(
    quiet: Examined, target: str
) -> None:
    assert {v.status for v in quiet.of(target).values()} == {Status.PASSED}


@pytest.mark.parametrize(
    ("target", "status", "text"),
    [
        (
            "hostile:MadeWithAnError",
            Status.NOT_CONSTRUCTIBLE,
            "RuntimeError: [bold]no instance\\x1b[2J of me",
        ),
        ("hostile:MadeWithAnInterrupt", Status.NOT_CONSTRUCTIBLE, "KeyboardInterrupt"),
        ("hostile:MadeWithAnExit", Status.NOT_CONSTRUCTIBLE, "SystemExit: 7"),
        ("exits_at_import:Any", Status.NO_TARGET, "cannot import 'exits_at_import' of"),
        ("breaks_at_import:Any", Status.NO_TARGET, "ZeroDivisionError: division by zero"),
        ("breaks_at_import:*", Status.NO_TARGET, "ZeroDivisionError: division by zero"),
        (
            "holds_nothing:*",
            Status.NO_TARGET,
            "module 'holds_nothing' exports no class of torch.optim",
        ),
        ("no_such_module:Any", Status.NO_TARGET, "No module named 'no_such_module'"),
        ("no_such_module:*", Status.NO_TARGET, "No module named 'no_such_module'"),
        ("hostile:plain", Status.NO_TARGET, "has no 'plain'; did you mean 'Plain'"),
        ("math:sqrt", Status.NO_TARGET, "not a torch.optim.Optimizer class"),
        ("adm", Status.NO_TARGET, "unknown optimizer 'adm'; did you mean 'adam'"),
        ("zz*", Status.NO_TARGET, "no optimizer fits the pattern 'zz*'"),
        ("", Status.NO_TARGET, "unknown optimizer ''"),
    ],
)
def test_what_cannot_be_examined_gets_one_verdict_that_says_why(
    quiet: Examined, target: str, status: Status, text: str
) -> None:
    result = quiet.the_one(target)
    assert result.status is status
    assert text in result.text
    assert status in UNCHECKED


def test_a_call_of_exit_is_a_broken_promise(quiet: Examined) -> None:
    for result in quiet.of("hostile:Exits").values():
        assert result.status is Status.FAILED
        assert result.text.startswith("raises SystemExit: goodbye (it calls exit)\n  at ")


def test_the_exit_of_an_interactive_python_is_placed_where_it_is_called(quiet: Examined) -> None:
    for result in quiet.of("hostile:ExitsAsTyped").values():
        assert result.text.startswith("raises SystemExit: None (it calls exit)\n  at /")
        assert "hostile.py:" in result.text


def test_a_verdict_does_not_depend_on_what_was_held_before(folder: Path) -> None:
    checks = choose(["deepcopies_*", "groups_*", "neighbours_*", "zero_gradients_*"])
    said = examined("hostile:ChangedByLoading", checks=checks).of("hostile:ChangedByLoading")
    # It breaks by itself what it does to the class and goes on: that alone is a broken promise.
    assert {name for name, v in said.items() if v.status is Status.FAILED} == {COPIES}
    kept = [v.text for name, v in said.items() if name != COPIES]
    assert any(
        "where other checks were run before in the same process: raises Key" in t for t in kept
    )


def test_what_a_copy_does_to_a_wrapper_is_held_against_copies_alone() -> None:
    spec = SubjectSpec(
        "odd_constructors:NeverInitialized", settings=(("base_optimizer", "torch.optim:SGD"),)
    )
    checks = choose(["deepcopies_*", "zero_gradients_*", "neighbours_*"])
    results = [v for v in examine_all([spec], checks, jobs=1) if isinstance(v, CheckResult)]
    assert {v.check for v in results if v.status is Status.FAILED} == {COPIES}
    assert len(results) == 3


def test_what_fails_by_one_cause_is_held_again_once(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[object] = []
    real = WorkerProcess.begin
    begin = lambda *a, **k: (begun.append(a), real(*a, **k))[1]  # noqa: E731
    monkeypatch.setattr(WorkerProcess, "begin", begin)
    said = examined("hostile:Breaks", checks=choose(["groups_*", "neighbours_*", "bits_*"]))
    assert {v.status for v in said.results} == {Status.FAILED}
    assert len({v.cause for v in said.results}) == 1
    assert len(begun) == 2


def test_a_thread_that_never_ends_keeps_nobody_waiting(quiet: Examined) -> None:
    assert {v.status for v in quiet.of("hostile:LeavesAThread").values()} == {Status.PASSED}


@pytest.mark.proof
@pytest.mark.parametrize(
    ("target", "text"),
    [
        ("hostile:ExitsHard", "the process ended with status 3, as by os._exit"),
        ("hostile:Segfaults", "the process was ended by SIGSEGV, at "),
    ],
)
def test_a_crash_in_a_step_is_a_verdict_about_the_check(
    deadly: Examined, target: str, text: str
) -> None:
    result = deadly.of(target)[LEAVES]
    assert result.status is Status.CRASHED
    assert result.text.startswith(text)


@pytest.mark.proof
@pytest.mark.parametrize(
    ("target", "code"),
    [("hostile:MadeWithAHardExit", 4), ("dies_at_import:Any", 6), ("dies_at_import:*", 6)],
)
def test_a_crash_before_the_first_check_is_one_verdict(
    deadly: Examined, target: str, code: int
) -> None:
    result = deadly.the_one(target)
    assert result.status is Status.CRASHED
    assert f"ended with status {code}" in result.text


@pytest.mark.proof
def test_a_crash_does_not_touch_the_others(deadly: Examined) -> None:
    assert {v.status for v in deadly.of("hostile:Plain").values()} == {Status.PASSED}


@pytest.mark.proof
def test_an_interrupt_that_nobody_typed_is_named(deadly: Examined) -> None:
    for result in deadly.of("hostile:Interrupts").values():
        assert "KeyboardInterrupt" in result.text


def test_what_is_printed_is_not_shown(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    said = examined("hostile:Prints")
    assert {v.status for v in said.of("hostile:Prints").values()} == {Status.PASSED}
    assert capfd.readouterr() == ("", "")


@pytest.mark.proof
def test_targets_that_overlap_are_examined_once_in_the_order_given(folder: Path) -> None:
    (folder / "several.py").write_text(
        "from hostile import Plain\n"
        "class Beta(Plain): pass\n"
        "class Alpha(Plain): pass\n"
        "class _Hidden(Plain): pass\n"
        "Again = Alpha\n"
    )
    said = examined("several:Beta", "several:*", "several:Beta")
    # What it imports from elsewhere is not its own, as long as it does not say so. Of two names
    # for one class the first in the alphabet is taken.
    assert said.names == ["several:Beta", "several:Again"]
    assert {v.status for v in said.results} == {Status.PASSED}


def test_nothing_to_do_is_done_at_once() -> None:
    assert list(examine_all([], CHECKS, jobs=2)) == []
    assert multiprocessing.active_children() == []


@pytest.mark.proof
def test_without_a_check_only_the_names_are_found(folder: Path) -> None:
    assert list(examine_all([SubjectSpec("hostile:Plain")], (), jobs=1)) == [
        Members("hostile:Plain", ("hostile:Plain",))
    ]


@pytest.mark.proof
def test_settings_and_reference_reach_the_worker(folder: Path) -> None:
    spec = SubjectSpec("hostile:Plain", "textbook-sgd", (("lr", 0.25),))
    check = choose(["follows_the_reference"])
    found, met, result = examine_all([spec], check, jobs=1)
    assert found == Members("hostile:Plain", ("hostile:Plain",))
    assert met == CheckCount("hostile:Plain", 1)
    assert isinstance(result, CheckResult)
    assert result.status is Status.PASSED, result.text
    unknown = SubjectSpec("hostile:Plain", "textbook-sgdd", (("rho", 1),))
    _, refused = examine_all([unknown], check, jobs=1)
    assert isinstance(refused, CheckResult)
    assert refused.status in UNCHECKED


def _is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_whoever_stops_listening_ends_the_workers(folder: Path) -> None:
    going = examine_all(
        [SubjectSpec("hanging:Hangs"), SubjectSpec("hanging:HangsWhenMade")], jobs=2
    )
    assert isinstance(next(going), Members)
    children = [child.pid for child in multiprocessing.active_children()]
    assert children
    begun = time.monotonic()
    going.close()
    assert time.monotonic() - begun < 5
    assert multiprocessing.active_children() == []
    assert not any(_is_there(pid) for pid in children if pid)
    with pytest.raises(ChildProcessError):
        os.waitpid(children[0] or 0, os.WNOHANG)


# ---------------------------------------------------------------------- those that hang


@pytest.fixture(scope="module")
def hanging(folder: Path) -> Examined:
    with pytest.MonkeyPatch.context() as patch:
        # Else each new worker has a minute more.
        patch.setattr(workers, "START_S", 15.0)
        return examined(
            "hangs_at_import:Any",
            "hanging:HangsWhenMade",
            "hanging:Hangs",
            "hostile:Plain",
            checks=ONE,
            jobs=2,
            limit_s=2.5,
        )


@pytest.mark.proof
def test_a_check_that_does_not_end_is_out_of_time(hanging: Examined) -> None:
    result = hanging.of("hanging:Hangs")[LEAVES]
    assert (result.status, result.text) == (Status.TIMEOUT, "no end within 2.5 s")
    assert {v.status for v in hanging.of("hostile:Plain").values()} == {Status.PASSED}


@pytest.mark.proof
@pytest.mark.parametrize("target", ["hangs_at_import:Any", "hanging:HangsWhenMade"])
def test_one_that_hangs_before_the_first_check_is_out_of_time(
    hanging: Examined, target: str
) -> None:
    result = hanging.the_one(target)
    # To import, to construct and the first steps are the start, which has a limit of its own.
    assert result.status is Status.TIMEOUT
    assert result.text.startswith("did not start within 15 s: to import the package")
    assert "torch.compile is at work (--timeout gives it more)" in result.text


@pytest.mark.proof
def test_after_some_that_hang_the_rest_is_not_tried(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "START_S", 15.0)
    monkeypatch.setattr(workers, "PATIENCE", 1)
    said = examined("hanging:Hangs", "hostile:Plain", limit_s=2.5)
    texts = Counter(v.text for v in said.of("hanging:Hangs").values())
    assert texts == {
        "no end within 2.5 s": 1,
        "not tried: 1 other checks did not end in time": len(CHECKS) - 1,
    }
    assert {v.status for v in said.of("hanging:Hangs").values()} == {Status.TIMEOUT}
    assert {v.status for v in said.of("hostile:Plain").values()} == {Status.PASSED}


@pytest.mark.proof
def test_the_time_limit_is_what_it_says(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "START_S", 12.0)
    monkeypatch.setattr(workers, "PATIENCE", 2)
    said = examined("hanging:Hangs", limit_s=2.5)
    seconds = [v.seconds for v in said.results if v.text == "no end within 2.5 s"]
    assert len(seconds) == 2
    assert min(seconds) >= 2.5


@pytest.mark.proof
def test_a_package_that_is_slow_to_import_has_the_time_to_start(folder: Path) -> None:
    (folder / "slow_to_import.py").write_text(
        "import time\ntime.sleep(3)\nfrom hostile import Plain\n"
    )
    said = examined("slow_to_import:Plain", limit_s=2.5)
    assert {v.status for v in said.results} == {Status.PASSED}


SLOW_STEPS = """
import time
from hostile import Plain


class Crawls(Plain):
    def step(self, closure=None):
        time.sleep(0.05)
        return super().step(closure)
"""


@pytest.mark.proof
def test_one_that_still_takes_steps_at_the_limit_is_unfinished_not_broken(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "crawling.py").write_text(SLOW_STEPS)
    long = choose(["saves_and_loads_beyond_2100_steps"])
    (result,) = examined("crawling:Crawls", checks=long, limit_s=12.0).results
    assert result.status is Status.UNFINISHED
    assert result.status not in BAD
    assert result.text.startswith("still taking steps after 12 s; --timeout gives it more")


COMPILES = """
from pathlib import Path

import torch
from hostile import Plain


def noted(module, inputs):
    Path(__file__).with_name("compiled").touch()
    return module.forward


@torch.compile(backend=noted)
def halved(p, g):
    return p.add_(g, alpha=-0.5)


class Compiles(Plain):
    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    halved(p, p.grad)
"""


@pytest.mark.proof
@pytest.mark.parametrize("compiled", [False, True])
def test_a_step_is_compiled_only_where_that_is_asked_for(folder: Path, compiled: bool) -> None:
    (folder / "compiling_steps.py").write_text(COMPILES)
    (result,) = examined("compiling_steps:Compiles", checks=ONE, compiled=compiled).results
    assert (result.status, result.uncompiled) == (Status.PASSED, not compiled)
    assert (folder / "compiled").exists() is compiled
