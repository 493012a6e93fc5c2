"""``optbench check``: what it prints, what it writes, what it refuses, its exit status."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from optbench.conformance.contract import ALL_CHECKS, CONTRACT
from optbench.conformance.result import CheckResult, Status
from optbench.conformance.worker_process import SubjectSpec
from optbench.conformance.workers import CheckCount, Members

if TYPE_CHECKING:
    from conftest import Optbench

NAMES = [check.name for check in ALL_CHECKS]
HELD = [check.name for check in CONTRACT]
BITS, LEAVES = "bits_repeat_in_a_second_run", "parameters_stay_leaves"

MODULE = """
import torch


class Plain(torch.optim.Optimizer):
    def __init__(self, params, lr=0.1):
        super().__init__(params, {"lr": lr})
        self.count = 0

    @torch.no_grad()
    def step(self, closure=None):
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    p.sub_(self.rate(group) * p.grad)
        return loss

    def rate(self, group):
        return group["lr"]


class Drifts(Plain):
    steps = 0

    def rate(self, group):
        Drifts.steps += 1
        return group["lr"] * (1 + 1e-6 * Drifts.steps)


class AlmostTheRate(Plain):
    def rate(self, group):
        return group["lr"] * (1 + 1e-6)


class NeedsRho(Plain):
    def __init__(self, params, lr=0.1, *, rho):
        super().__init__(params, lr)


class Shouts(Plain):
    def rate(self, group):
        self.count += 1
        if self.count > 10:
            raise RuntimeError("[bold]say 'it'[/bold] :boom: \\x1b[2J")
        return group["lr"]


class _Crawls(Plain):
    def rate(self, group):
        self.count += 1
        if self.count > 10:
            import time
            time.sleep(3600)
        return group["lr"]
"""


@pytest.fixture
def mine(workplace: Path) -> Path:
    """A module of optimizers in the current folder."""
    path = workplace / "my_optimizers.py"
    path.write_text(MODULE)
    return path


NEEDS_RHO = (
    "my_optimizers:NeedsRho: not constructible: "
    "its constructor needs rho: --set rho=..., or a row\n"
)


class Asked:
    """Stands in for the workers, where what they are asked and what is made of it matters."""

    def __init__(self) -> None:
        self.specs: list[SubjectSpec] = []
        self.checks: list[str] = []
        self.options: dict[str, Any] = {}
        self.status: dict[str, Status] = {}
        self.text = "as it should be"
        self.cause = ""

    def __call__(self, specs: Sequence[SubjectSpec], checks: Any, **options: Any) -> Any:
        self.specs, self.options = list(specs), options
        self.checks = [check.name for check in checks]
        self.held = [check.name for check in checks if check in CONTRACT]
        for spec in self.specs:
            yield Members(spec.target, (spec.target,))
            yield CheckCount(spec.target, len(self.held))
        for spec in self.specs:
            for name in self.held:
                status = self.status.get(name, Status.PASSED)
                cause = self.cause if status is Status.FAILED else ""
                yield CheckResult(spec.target, name, status, self.text, 0.5, cause=cause)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    stand_in = Asked()
    monkeypatch.setattr("optbench.conformance.workers.examine_all", stand_in)
    return stand_in


def verdicts_of(text: str) -> list[dict[str, Any]]:
    """Those of a file; it is strict JSON."""
    content = json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))
    assert set(content) == {"schema", "environment", "reference", "seconds", "results"}
    assert content["schema"] == 2
    assert content["environment"]
    found: list[dict[str, Any]] = content["results"]
    return found


# ---------------------------------------------------------------------- kept, broken


def test_a_kept_promise_is_counted_and_a_broken_one_is_told(optbench: Optbench, mine: Path) -> None:
    chosen = ("--only", "bits_*", "--only", LEAVES)
    code, out, err = optbench(
        *("check", "my_optimizers:*", *chosen, "--json", "all.json", "-v", "--jobs", 1)
    )
    assert code == 1
    assert "my_optimizers:Plain: 2 passed, " in out
    said = out[out.index("my_optimizers:Drifts: 1 passed, 1 failed, ") :]
    assert f"  failed         {BITS}\n" in said
    assert "a second run from the same start differs: by up to " in said
    assert f"again: optbench check 'my_optimizers:Drifts' --only {BITS}\n" in said
    # One that cannot be made is told, and does not make the module wrong use.
    assert NEEDS_RHO in out
    assert "10 steps" in out  # of what was kept, for -v
    # What a stranger's exception says is data: neither markup, nor emoji, nor control codes.
    assert "2 checks raise RuntimeError: [bold]say 'it'[/bold] :boom: \\x1b[2J" in out
    assert re.search(r"^4 optimizers: 5 passed, 3 failed, 1 not constructible, in \d+ s$", err)

    rows = verdicts_of(Path("all.json").read_text())
    one_each = [(row["target"], row["check"]) for row in rows]
    assert len(set(one_each)) == len(rows)
    assert ("my_optimizers:NeedsRho", "") in one_each
    bad = [row for row in rows if row["status"] == "failed"]
    assert {row["target"] for row in bad} == {"my_optimizers:Drifts", "my_optimizers:Shouts"}
    for row in rows:
        assert set(row) - {"reproduce"} == {
            *("target", "check", "status", "text", "seconds", "evidence", "cause"),
            "uncompiled",
        }
        assert ("reproduce" in row) is (row in bad)
        assert isinstance(row["seconds"], float)
    # The line leads back to the same result.
    line = next(row for row in bad if row["target"].endswith("Drifts"))["reproduce"]
    again = optbench(*shlex.split(line)[1:], "--jobs", 1)
    assert again.code == 1
    assert "1 failed" in again.out


def test_a_known_defect_is_shown_and_fails_nobody(optbench: Optbench) -> None:
    check = "float64_parameters_have_float64_state"
    code, out, err = optbench("check", "torch.optim:NAdam", "--only", check, "--json", "-")
    assert code == 0
    (row,) = verdicts_of(out)
    assert row["status"] == "xfailed"
    assert "torch/optim/nadam.py" in row["evidence"]
    assert row["reproduce"] == f"optbench check 'torch.optim:NAdam' --only {check}"
    assert "1 optimizer: 1 xfailed, in " in err


@pytest.mark.proof
def test_a_reference_reaches_the_optimizer(optbench: Optbench, mine: Path) -> None:
    parity = ("--only", "follows_the_reference", "--reference", "textbook-sgd", "--json", "-")
    code, out, _ = optbench("check", "my_optimizers:AlmostTheRate", *parity)
    assert code == 1
    (row,) = verdicts_of(out)
    assert "differs from textbook-sgd" in row["text"]
    assert "from step 1 on" in row["text"]
    assert json.loads(out)["reference"] == "textbook-sgd"


def test_the_line_that_reproduces_it_says_reference_and_settings(
    optbench: Optbench, asked: Asked
) -> None:
    asked.status["follows_the_reference"] = Status.FAILED
    out = optbench(
        *("check", "a:B", "--only", "follows_the_reference", "--set", "rho=1"),
        *("--reference", "textbook-sgd"),
    ).out
    (line,) = [line for line in out.splitlines() if "again: " in line]
    assert "--reference" in line
    assert "--set" in line


@pytest.mark.proof
def test_a_check_that_does_not_end_fails_with_its_limit(optbench: Optbench, mine: Path) -> None:
    code, out, err = optbench(
        "check", "my_optimizers:_Crawls", "--only", LEAVES, "--timeout", 3, "--jobs", 1
    )
    assert code == 1
    assert f"  timeout        {LEAVES}\n      no end within 3 s\n" in out
    assert f"again: optbench check 'my_optimizers:_Crawls' --only {LEAVES}" in out
    assert "1 optimizer: 1 timeout, in " in err


@pytest.mark.proof
def test_one_that_cannot_be_made_is_wrong_use_where_it_was_named(
    optbench: Optbench, mine: Path
) -> None:
    code, out, err = optbench("check", "my_optimizers:NeedsRho", "--only", LEAVES)
    assert code == 2
    assert out == NEEDS_RHO
    assert "0 optimizers: 1 not constructible" in err
    mine.write_text(mine.read_text() + "\n__all__ = ['Plain', 'NeedsRho']\n")
    # Other modules of this name are known already, but not to a new worker.
    code, out, _ = optbench("check", "my_optimizers:*", "--only", LEAVES)
    assert code == 0
    assert NEEDS_RHO in out
    assert "my_optimizers:Plain: 1 passed" in out


@pytest.mark.proof
def test_what_an_argument_lacks_can_be_set(optbench: Optbench, mine: Path) -> None:
    code, out, _ = optbench(
        "check", "my_optimizers:NeedsRho", "--only", LEAVES, "--set", "rho=0.05"
    )
    assert (code, out.partition(",")[0]) == (0, "my_optimizers:NeedsRho: 1 passed")


@pytest.mark.proof
def test_where_nothing_applies_nothing_was_checked(optbench: Optbench, mine: Path) -> None:
    code, out, err = optbench("check", "my_optimizers:Plain", "--only", "fused_*")
    assert code == 2
    assert "1 not applicable" in out
    assert "error: nothing was checked: no check applied to anything" in err


# ---------------------------------------------------------------------- wrong use


UNKNOWN = {
    "name": (("adm",), "adm: no target: unknown optimizer 'adm'; did you mean 'adam'"),
    "glob": (("zz*",), "no optimizer fits the pattern 'zz*'"),
    "module": (("no_such:A",), "cannot import 'no_such' of 'no_such:A': ModuleNotFoundError"),
    "attribute": (("torch.optim:Adm",), "has no 'Adm'; did you mean 'Adam'"),
    "none in it": (("math:*",), "module 'math' exports no class of torch.optim.Optimizer"),
    "no optimizer": (("math:sqrt",), "not a torch.optim.Optimizer class"),
    "markup": (("[bold]x[/]",), "[bold]x[/]: no target: unknown optimizer '[bold]x[/]'"),
    "quotes": (('it\'s "it"',), 'it\'s "it": no target: unknown optimizer'),
    "emoji": ((":boom:",), ":boom:: no target: ':boom:' is not of the form package.module:Name"),
    "empty": (("",), ": no target: unknown optimizer ''"),
}


@pytest.fixture(scope="module")
def unknown() -> dict[str, CheckResult]:
    """What the workers say of targets that are none; they are begun once for all."""
    from optbench.conformance.contract import choose
    from optbench.conformance.workers import examine_all

    targets = [SubjectSpec(target) for (target,), _ in UNKNOWN.values()]
    said = examine_all(targets, choose([LEAVES]), jobs=1)
    return {each.target: each for each in said if isinstance(each, CheckResult)}


@pytest.mark.parametrize("case", list(UNKNOWN))
def test_a_target_that_is_none_is_said_word_for_word(
    optbench: Optbench, monkeypatch: pytest.MonkeyPatch, unknown: dict[str, CheckResult], case: str
) -> None:
    (target,), text = UNKNOWN[case]

    def answer(*_: object, **__: object) -> Any:
        yield unknown[target]

    monkeypatch.setattr("optbench.conformance.workers.examine_all", answer)
    code, out, err = optbench("check", target)
    assert code == 2
    assert text in out
    assert "Traceback" not in out + err
    assert "0 optimizers: 1 no target, in " in err


REFUSED = {
    "no target": ((), "name what to check: optbench check torch.optim:Adam (or --list)"),
    "only": (
        ("sgd", "--only", "parameters_stay_leafs"),
        "no check is called 'parameters_stay_leafs'; did you mean 'parameters_stay_leaves'",
    ),
    "skip": (("sgd", "--skip", "zz*"), "no check is called 'zz*'"),
    "only in a list": (("--list", "--only", "[bold]"), "no check is called '[bold]'"),
    "nothing left": (
        ("sgd", "--only", LEAVES, "--skip", "parameters_*"),
        "no check is left: see --only and --skip",
    ),
    "reference": (
        ("sgd", "--reference", "textbook-sgdd"),
        "unknown optimizer 'textbook-sgdd'; did you mean 'textbook-sgd'",
    ),
    "reference path": (("sgd", "--reference", "no_such:A"), "No module named 'no_such'"),
    "set": (("sgd", "--set", "rho"), "--set takes key=value"),
    "json": (("sgd", "--json", "no/where.json"), "--json no/where.json: No such file or directory"),
    "json folder": (("sgd", "--json", "."), "--json .: Is a directory"),
    "timeout": (("sgd", "--timeout", 0), "Invalid value for '--timeout'"),
    "timeout word": (("sgd", "--timeout", "long"), "Invalid value for '--timeout'"),
    "jobs": (("sgd", "--jobs", 0), "Invalid value for '--jobs'"),
}


@pytest.mark.parametrize("case", list(REFUSED))
def test_wrong_use_is_refused_before_any_work(optbench: Optbench, asked: Asked, case: str) -> None:
    arguments, text = REFUSED[case]
    code, out, err = optbench("check", *arguments)
    assert (code, out) == (2, "")
    assert text in err
    assert "Traceback" not in err
    assert asked.specs == []
    assert list(Path.cwd().iterdir()) == []


@pytest.mark.parametrize("wrong", [("--set", "rho"), ("--reference", "textbook-sgdd")])
def test_what_is_refused_leaves_no_file(
    optbench: Optbench, asked: Asked, wrong: tuple[str, str]
) -> None:
    assert optbench("check", "sgd", "--json", "all.json", *wrong).code == 2
    assert not Path("all.json").exists()


def test_a_file_that_is_there_is_kept_until_there_is_something_to_write(
    optbench: Optbench, asked: Asked
) -> None:
    Path("all.json").write_text("mine")
    assert optbench("check", "sgd", "--json", "all.json", "--set", "rho").code == 2
    assert Path("all.json").read_text() == "mine"
    assert optbench("check", "sgd", "--json", "all.json").code == 0
    assert len(verdicts_of(Path("all.json").read_text())) == len(CONTRACT)


# ---------------------------------------------------------------------- which checks


def test_the_list_names_every_check_with_its_promise(optbench: Optbench, asked: Asked) -> None:
    code, out, err = optbench("check", "--list")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert [line.split()[0] for line in lines] == NAMES
    promises = [f"{c.severity} {c.summary}".split() for c in ALL_CHECKS]
    assert [line.split()[1:] for line in lines] == promises
    some = optbench("check", "--list", "--only", "*_equals_the_loop", "--skip", "fused*").out
    assert [line.split()[0] for line in some.splitlines()] == [
        name for name in NAMES if name.endswith("_equals_the_loop") and not name.startswith("fused")
    ]
    assert asked.specs == []


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((), NAMES),
        (("--only", LEAVES), [LEAVES]),
        (("--only", "*oracle*"), ["follows_its_oracle", "follows_its_oracle_in_float32"]),
        (("--only", LEAVES, "--only", BITS), [LEAVES, BITS]),
        (("--only", BITS, "--only", LEAVES), [LEAVES, BITS]),
        (("--only", "*oracle*", "--skip", "*32"), ["follows_its_oracle"]),
        (("--skip", "[a-z]*_[a-z]*", "--only", "*"), []),
    ],
)
def test_only_and_skip_choose_in_the_order_of_the_contract(
    optbench: Optbench, asked: Asked, arguments: tuple[str, ...], expected: list[str]
) -> None:
    code, _, _ = optbench("check", "sgd", *arguments)
    assert (code, asked.checks) == ((0, expected) if expected else (2, []))


def test_options_reach_the_workers(optbench: Optbench, asked: Asked) -> None:
    optbench(
        *("check", "sgd", "a:B", "--set", "betas=0.9,0.99", "--set", "mode=fast"),
        *("--reference", "textbook-sgd", "--timeout", 2.5, "--jobs", 3),
    )
    given = (("betas", (0.9, 0.99)), ("mode", "fast"))
    assert asked.specs == [
        SubjectSpec("sgd", "textbook-sgd", given),
        SubjectSpec("a:B", "textbook-sgd", given),
    ]
    assert asked.options == {
        "jobs": 3, "limit_s": 2.5, "compiled": False, "environment": {}, "python": "",
    }  # fmt: skip


# ---------------------------------------------------------------------- how it ends


@pytest.mark.parametrize(
    ("status", "code", "told"),
    [
        (Status.PASSED, 0, False),
        (Status.XFAILED, 0, True),
        (Status.ADVICE, 0, True),
        (Status.NOT_APPLICABLE, 0, False),
        (Status.FAILED, 1, True),
        (Status.TIMEOUT, 1, True),
        (Status.CRASHED, 1, True),
    ],
)
def test_one_verdict_among_kept_ones_decides_the_end(
    optbench: Optbench, asked: Asked, status: Status, code: int, told: bool
) -> None:
    asked.status[LEAVES] = status
    asked.text = "two\nlines"
    plain = optbench("check", "sgd")
    assert plain.code == code
    assert (f"  {status:<14} {LEAVES}\n      two\n      lines\n" in plain.out) is told
    assert (f"again: optbench check 'sgd' --only {LEAVES}" in plain.out) is (code == 1)
    assert f"  passed         {BITS}\n" not in plain.out
    loud = optbench("check", "sgd", "--verbose")
    assert loud.code == code
    for name in HELD:
        assert f" {name}\n      two\n      lines\n" in loud.out
    rest = len(HELD) - (status is not Status.PASSED)
    assert f"1 optimizer: {rest} passed" in loud.err


def test_advice_fails_where_that_is_asked_for(optbench: Optbench, asked: Asked) -> None:
    asked.status[LEAVES] = Status.ADVICE
    code, out, err = optbench("check", "sgd", "--strict", "--json", "all.json")
    assert code == 1
    assert f"  advice         {LEAVES}\n" in out
    assert f"{len(HELD) - 1} passed, 1 advice, in " in err
    (row,) = [row for row in verdicts_of(Path("all.json").read_text()) if row["status"] == "advice"]
    assert row["check"] == LEAVES


def test_one_cause_is_told_once(optbench: Optbench, asked: Asked) -> None:
    asked.status = {LEAVES: Status.FAILED, BITS: Status.FAILED}
    asked.text, asked.cause = "raises KeyError: 'x'\n  at a.py:1", "KeyError: 'x' at a.py:1"
    code, out, err = optbench("check", "sgd", "adam", "--json", "all.json")
    assert code == 1
    first, second = f"--only {LEAVES}\n", f"--only {BITS}\n"
    assert out.count("  failed         2 checks raise KeyError: 'x' at a.py:1\n") == 2
    assert (out.count(first), out.count(second)) == (2, 0)
    assert "the same in 2 optimizers: KeyError: 'x' at a.py:1: sgd, adam\n" in err
    assert f"      {LEAVES}, {BITS}\n" in optbench("check", "sgd", "--verbose").out
    bad = [row for row in verdicts_of(Path("all.json").read_text()) if row["status"] == "failed"]
    assert [row["cause"] for row in bad] == [asked.cause] * 4
    assert all(row["reproduce"].endswith(f"--only {row['check']}") for row in bad)


def test_what_raises_nothing_is_told_each_by_itself(optbench: Optbench, asked: Asked) -> None:
    asked.status = {LEAVES: Status.FAILED, BITS: Status.FAILED}
    out = optbench("check", "sgd").out
    assert f"--only {LEAVES}\n" in out
    assert f"--only {BITS}\n" in out


def test_that_no_rule_was_compared_is_noted_with_what_would_compare_it(
    optbench: Optbench, asked: Asked
) -> None:
    asked.text = (
        "no reference is known for it; --reference textbook-adam compares it with that rule"
    )
    oracle, reference = "follows_its_oracle", "follows_the_reference"
    asked.status = dict.fromkeys((oracle, reference), Status.NOT_APPLICABLE)
    note = f"  note           its rule was compared with nothing: {asked.text}\n"
    assert note in optbench("check", "sgd").out
    asked.status.pop(oracle)
    assert note not in optbench("check", "sgd").out


def test_on_the_screen_json_is_alone(optbench: Optbench, asked: Asked) -> None:
    asked.status[LEAVES] = Status.FAILED
    code, out, err = optbench("check", "sgd", "adam", "--json", "-")
    assert code == 1
    rows = verdicts_of(out)
    assert [(row["target"], row["check"]) for row in rows] == [
        (target, name) for target in ("sgd", "adam") for name in HELD
    ]
    assert err.startswith("2 optimizers: ")


@pytest.mark.parametrize(
    "target", ["it's", 'a "b"', "x[bold]y[/]", "a b;c", "$(false)", ":boom:", "Grüße"]
)
def test_names_are_printed_as_they_are(optbench: Optbench, asked: Asked, target: str) -> None:
    asked.status[LEAVES] = Status.FAILED
    asked.text = f"[red]{target}[/red] :boom:"
    out = optbench("check", target).out
    assert f"{target}: {len(HELD) - 1} passed, 1 failed, " in out
    assert f"      [red]{target}[/red] :boom:\n" in out


@pytest.mark.parametrize(
    "target",
    [
        "it's",
        'a "b"',
        "$(false)",
    ],
)
def test_the_line_that_reproduces_it_can_be_pasted(target: str) -> None:
    line = CheckResult(target, LEAVES, Status.FAILED).reproduce
    assert shlex.split(line) == ["optbench", "check", target, "--only", LEAVES]


def test_a_text_that_no_terminal_can_show_is_no_defect_of_ours(
    optbench: Optbench, asked: Asked
) -> None:
    asked.status[LEAVES] = Status.FAILED
    asked.text = "half a character: \ud800"
    code, out, err = optbench("check", "sgd", "--json", "all.json")
    assert code == 1, err
    assert LEAVES in out
    assert verdicts_of(Path("all.json").read_text())


@pytest.mark.proof
def test_verdicts_stand_in_the_order_of_the_targets(optbench: Optbench, workplace: Path) -> None:
    Path("slow_to_import.py").write_text(
        "import time\ntime.sleep(6)\nfrom torch.optim import SGD\n__all__ = ['SGD']\n"
    )
    out = optbench(
        *("check", "slow_to_import:*", "adam", "--only", LEAVES, "--json", "-", "--jobs", 2)
    ).out
    assert [row["target"] for row in verdicts_of(out)] == ["slow_to_import:SGD", "adam"]


def test_a_list_can_be_given_and_reaches_the_workers(optbench: Optbench, asked: Asked) -> None:
    assert optbench("check", "adam", "--set", "betas=[0.9,0.99]", "--set", "x={[]:1}").code == 0
    (spec,) = asked.specs
    assert dict(spec.settings) == {"betas": [0.9, 0.99], "x": "{[]:1}"}


@pytest.mark.parametrize("limit", ["inf", "nan", "0", "1e7"])
def test_a_limit_that_is_none_is_refused(optbench: Optbench, limit: str) -> None:
    assert optbench("check", "adam", "--timeout", limit).code == 2
