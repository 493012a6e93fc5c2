"""Wrong input: one or two lines that teach, on standard error, exit status 2, no traceback."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch
from refusals import refusal

from optbench.cli.console import wrong_use
from optbench.problems.mnist import IDX_FILES
from optbench.registry import UnknownName
from optbench.store import Store

if TYPE_CHECKING:
    from conftest import Optbench

BEALE = ("-p", "beale")
SGD = ("-o", "sgd", "-p", "beale", "--budget", 3, "--jobs", 1)


CASES = {
    # names
    "optimizer": (("-o", "adm", *BEALE), "unknown optimizer 'adm'; did you mean 'adam'"),
    "optimizer in capitals": (("-o", "Adam", *BEALE), "did you mean 'adam'"),
    "optimizer like no other": (("-o", "qqqqq", *BEALE), "(optbench list optimizers)"),
    "variant": (("-o", "adam[fusd]", *BEALE), "did you mean 'adam[fused]'"),
    "problem": (("-o", "sgd", "-p", "bale"), "unknown problem 'bale'; did you mean 'beale'"),
    "suite": (("--suite", "quik"), "unknown suite 'quik'; did you mean 'quick'"),
    "glob of optimizers": (("-o", "zz*"), "no optimizer fits the pattern 'zz*'"),
    "glob of problems": (("-o", "sgd", "-p", "?"), "no problem fits the pattern '?'"),
    "markup": (("-o", "[bold]x", *BEALE), "unknown optimizer '[bold]x'"),
    "closing markup": (("-o", "x[/]", *BEALE), "unknown optimizer 'x[/]'"),
    "emoji": (("-o", "sgd", "-p", "no:boom:x"), "cannot import 'no' of 'no:boom:x'"),
    # package.module:Class
    "no optimizer": (
        ("-o", "collections:OrderedDict", *BEALE),
        "'collections:OrderedDict' is the class OrderedDict, not a torch.optim.Optimizer class",
    ),
    "module class": (("-o", "torch.nn:Linear", *BEALE), "is the class Linear, not a torch.optim"),
    "function": (("-o", "math:sqrt", *BEALE), "is the function sqrt, not a torch.optim"),
    "module": (("-o", "torch:optim", *BEALE), "is a module, not a torch.optim"),
    "base class": (("-o", "torch.optim:Optimizer", *BEALE), "is the base class of all optimizers"),
    "no module": (("-o", "no_such:Adam", *BEALE), "No module named 'no_such'"),
    "no attribute": (("-o", "torch.optim:Adm", *BEALE), "has no 'Adm'; did you mean 'Adam'"),
    "half a path": (("-o", "torch.optim:", *BEALE), "is not of the form package.module:Name"),
    "no problem": (("-o", "sgd", "-p", "math:pi"), "'math:pi' is a float, not an optbench Problem"),
    "problem with arguments": (
        ("-o", "sgd", "-p", "optbench.problems:module_problem"),
        "cannot be called without arguments",
    ),
    # hyperparameters
    "not taken": (
        (*SGD, "--set", "beta=3"),
        "sgd takes no hyperparameter 'beta'; it takes lr, momentum",
    ),
    "none taken": (
        ("-o", "odd_constructors:Nothing", *BEALE, "--lr", 0.1),
        "odd_constructors:Nothing takes no hyperparameter 'lr'; it takes none at all",
    ),
    "not taken by several": (
        (*SGD, "-o", "odd_constructors:Nothing", "-o", "odd_constructors:NoRate", "--lr", 0.1),
        "error: odd_constructors:Nothing, odd_constructors:NoRate take no hyperparameter 'lr' "
        "(every optimizer of a command is given what is set: run those in another)",
    ),
    "several not taken by several": (
        ("-o", "adam", "-o", "adamax", "-o", "sgd", *BEALE, "--set", "amsgrad=1", "--set", "k=2"),
        "error: adam takes no hyperparameter 'k'; adamax, sgd take no hyperparameter 'amsgrad' or "
        "'k' (every",
    ),
    "one number for two": (
        ("-o", "adam", *BEALE, "--set", "betas=0.9"),
        "adam: betas must be 2 numbers, such as --set betas=0.9,0.999, not 0.9",
    ),
    "words for numbers": (("-o", "adam", *BEALE, "--set", "betas=x,y"), "not 'x,y'"),
    "not given": (
        ("-o", "odd_constructors:demanding", *BEALE),
        "odd_constructors:demanding has no default for alpha: --set alpha=...",
    ),
    "a step on the loss": (
        ("-o", "odd_constructors:StepsOnItsLoss", *BEALE),
        "the step of odd_constructors:StepsOnItsLoss wants loss, and a training loop gives it",
    ),
    "refused": (("-o", "adam", *BEALE, "--set", "betas=2,3"), "adam refuses"),
    "negative lr": ((*SGD, "--lr", -1), "sgd: lr must be a finite number >= 0, not -1.0"),
    "lr is nan": ((*SGD, "--lr", "nan"), "sgd: lr must be a finite number >= 0, not nan"),
    "lr is inf": ((*SGD, "--lr", "inf"), "sgd: lr must be a finite number >= 0, not inf"),
    "lr is a word": ((*SGD, "--lr", "fast"), "Invalid value for '--lr'"),
    "lr set to a word": ((*SGD, "--set", "lr=fast"), "must be a finite number >= 0, not 'fast'"),
    "set without =": ((*SGD, "--set", "momentum"), "--set takes key=value, such as betas=0.9,0.99"),
    "set without key": ((*SGD, "--set", "=1"), "--set takes key=value"),
    "set of no name": ((*SGD, "--set", "a-b=1"), "--set takes key=value"),
    "lr twice": (
        (*SGD, "--set", "lr=0.1", "--lr", 0.2),
        "lr is given twice, by itself and among the settings",
    ),
    "processes twice": (
        (*SGD, "--set", "ddp=2", "--ddp", 2),
        "ddp is given twice, by itself and among the settings",
    ),
    "lr and tune": ((*SGD, "--lr", 1, "--tune"), "lr and tune exclude each other"),
    # how many
    "seeds are a word": ((*SGD, "--seeds", "x"), "seeds are a count (8), a list (3,5,8)"),
    "no seeds": ((*SGD, "--seeds", 0), "or a range (10-19), not '0'"),
    "negative seeds": ((*SGD, "--seeds", -3), "or a range (10-19), not '-3'"),
    "backward seeds": ((*SGD, "--seeds", "5-3"), "or a range (10-19), not '5-3'"),
    "many seeds": ((*SGD, "--seeds", 100001), "100,001 seeds are more than 100,000"),
    "large seed": ((*SGD, "--seeds", "0,9999999999"), "less than 2147483648 (got 9999999999)"),
    "no budget": ((*SGD, "--budget", 0), "budget: Input should be greater than or equal to 1"),
    "negative budget": ((*SGD, "--budget", -5), "greater than or equal to 1 (got -5)"),
    "fewer jobs than none": ((*SGD, "--jobs", -1), "Invalid value for '--jobs'"),
    # where and how
    "device": ((*SGD, "--device", "nonsense"), "device 'nonsense' is not available here"),
    "dtype": ((*SGD, "--dtype", "float16"), "'float16' is not one of 'float32', 'float64'"),
    "one process": ((*SGD, "--ddp", 1), "ddp: Input should be greater than or equal to 2 (got 1)"),
    "indivisible": ((*SGD, "--ddp", 2), "its loss cannot be divided among processes"),
    "suite and names": ((*SGD, "--suite", "quick"), "a suite names its optimizers and problems"),
    "nothing to run": (
        ("-o", "muon", "-p", "rosenbrock-2d"),
        "nothing to run: muon on rosenbrock-2d: no parameter of it is a matrix",
    ),
    "nothing sparse": (("-o", "sparseadam", *BEALE), "its gradients are not sparse"),
    "option": (("--optimiser", "sgd"), "No such option: --optimiser"),
}


@pytest.mark.parametrize("case", list(CASES))
def test_a_wrong_run_is_refused_with_the_reason(
    optbench: Optbench, workplace: Path, case: str
) -> None:
    arguments, expected = CASES[case]
    assert expected in refusal(optbench, "run", *arguments)
    # Before anything is made.
    assert list(workplace.iterdir()) == []


@pytest.mark.parametrize("seeds", ["1" + 18 * "0", "1-1" + 18 * "0"], ids=["count", "range"])
def test_more_seeds_than_memory_holds_are_refused(optbench: Optbench, seeds: str) -> None:
    assert "seeds are more than 100,000" in refusal(optbench, "run", *SGD, "--seeds", seeds)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA device")
def test_a_device_that_is_not_here_is_refused(optbench: Optbench) -> None:
    assert "device 'cuda' is not available here" in refusal(
        optbench, "run", *SGD, "--device", "cuda"
    )


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("import no_such_thing", "ModuleNotFoundError: No module named 'no_such_thing'"),
        ("def f(:", "SyntaxError: "),
        ("raise RuntimeError('[red]no')", "RuntimeError: [red]no"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
    ],
)
def test_a_module_that_does_not_import_is_named_with_its_reason(
    optbench: Optbench, body: str, reason: str
) -> None:
    Path("my_broken.py").write_text(body)
    message = refusal(optbench, "run", "-o", "my_broken:Adam", *BEALE)
    assert f"cannot import 'my_broken' of 'my_broken:Adam': {reason}" in message


# The store.


@pytest.fixture
def used(optbench: Optbench) -> str:
    """A store with one run."""
    assert optbench("run", *SGD, "--seeds", 1, "--store", "used.sqlite").code == 0
    return "used.sqlite"


@pytest.mark.parametrize("command", ["run", "export", "report"])
def test_a_store_that_is_none_is_refused_by_every_command(
    optbench: Optbench, workplace: Path, command: str
) -> None:
    def refused(store: str) -> str:
        more = SGD if command == "run" else ()
        return refusal(optbench, command, *more, "--store", store)

    Path("text.csv").write_text("optimizer,problem\n" * 100)
    with sqlite3.connect("theirs.sqlite") as connection:
        connection.execute("create table customers (id)")
    connection.close()
    before = Path("theirs.sqlite").read_bytes()
    assert "text.csv: file is not a database" in refused("text.csv")
    assert "it holds customers" in refused("theirs.sqlite")
    assert Path("theirs.sqlite").read_bytes() == before
    assert "is a folder; name a file" in refused(str(workplace))
    assert "'foo://x' is not a store" in refused("foo://x")
    assert "'a:b://c' is not a store" in refused("a:b://c")
    assert "the store has no name" in refused("")
    assert "No module named 'MySQLdb'" in refused("mysql://u:secret@h/x")
    with Store("newer.sqlite", create=True):
        pass
    with sqlite3.connect("newer.sqlite") as connection:
        connection.execute("update optbench_meta set schema_version = 99")
    connection.close()
    assert "has schema 99, this optbench reads 4" in refused("newer.sqlite")


@pytest.mark.parametrize("command", ["export", "report"])
def test_a_store_that_is_not_there_is_not_made(
    optbench: Optbench, workplace: Path, command: str
) -> None:
    message = refusal(optbench, command)
    assert "there is no store at .optbench/results.sqlite (optbench run --store" in message
    assert list(workplace.iterdir()) == []


@pytest.mark.parametrize("command", ["run", "export", "report"])
@pytest.mark.parametrize("damage", ["cut short", "a page overwritten"])
def test_a_damaged_store_is_refused(
    optbench: Optbench, used: str, command: str, damage: str
) -> None:
    content = bytearray(Path(used).read_bytes())
    if damage == "cut short":
        del content[len(content) // 3 :]
    else:
        # That of the runs: it opens as if nothing were, and cannot be read.
        with sqlite3.connect(used) as connection:
            (size,) = connection.execute("pragma page_size").fetchone()
            query = "select rootpage from sqlite_master where name = 'runs'"
            (page,) = connection.execute(query).fetchone()
        connection.close()
        content[(page - 1) * size : page * size] = b"\xff" * size
    Path(used).write_bytes(content)
    more = SGD if command == "run" else ()
    message = refusal(optbench, command, *more, "--store", used)
    assert "database disk image is malformed" in message


def test_a_report_on_no_runs_says_how_to_make_some(optbench: Optbench) -> None:
    Store("empty.sqlite", create=True).close()
    message = refusal(optbench, "report", "--store", "empty.sqlite")
    assert "there are no runs to report on" in message
    assert "optbench run" in message


@pytest.mark.parametrize("baseline", ["adam", "sg", "[bold]x"])
def test_an_unknown_baseline_is_answered_with_those_there_are(
    optbench: Optbench, used: str, baseline: str
) -> None:
    message = refusal(optbench, "report", "--store", used, "--baseline", baseline)
    assert f"the baseline {baseline!r} has no runs here" in message
    assert "--baseline takes one of: sgd" in message
    assert ("did you mean 'sgd'" in message) is (baseline == "sg")
    assert not Path("reports").exists()


def test_a_report_does_not_write_over_a_file(optbench: Optbench, used: str) -> None:
    Path("taken").write_text("mine")
    message = refusal(optbench, "report", "--store", used, "--baseline", "sgd", "--out", "taken")
    assert "cannot write the report to taken: " in message
    assert Path("taken").read_text() == "mine"


@pytest.mark.parametrize("out", ["no/where.csv", "no/where.parquet", "."])
def test_an_export_that_cannot_be_written_is_refused(
    optbench: Optbench, used: str, out: str
) -> None:
    assert f"cannot write {out}: " in refusal(optbench, "export", "--store", used, "--out", out)


def test_parquet_does_not_go_to_a_terminal(optbench: Optbench, used: str) -> None:
    message = refusal(optbench, "export", "--store", used, "--format", "parquet")
    assert "parquet is not text: name a file with --out" in message


def test_an_unknown_format_is_answered_with_those_there_are(optbench: Optbench) -> None:
    message = refusal(optbench, "export", "--format", "xlsx")
    assert "'xlsx' is not one of 'csv', 'parquet'" in message


# The digits.


@pytest.mark.parametrize("way", ["option", "variable"])
@pytest.mark.parametrize("damage", ["missing", "empty", "wrong md5", "folder"])
def test_damaged_digits_are_refused_with_the_repair(
    optbench: Optbench,
    workplace: Path,
    monkeypatch: pytest.MonkeyPatch,
    damage: str,
    way: str,
) -> None:
    folder = workplace / "my digits"
    folder.mkdir()
    first = folder / IDX_FILES["train_x"].name
    if damage == "empty":
        first.touch()
    elif damage == "wrong md5":
        first.write_bytes(b"\x1f\x8b" + bytes(1000))
    elif damage == "folder":
        first.mkdir()
    if way == "variable":
        monkeypatch.setenv("OPTBENCH_DATA", str(folder))
    given = ("--data", folder) if way == "option" else ()
    message = refusal(optbench, "run", "-o", "sgd", "-p", "mnist-mlp", "--budget", 3, *given)
    assert f"{first}: " in message
    assert f"optbench data mnist --to '{folder}'" in message
    if damage in ("empty", "wrong md5"):
        assert "its md5 is" in message
    assert not Path(".optbench").exists()


def test_truncated_digits_are_refused(optbench: Optbench, workplace: Path) -> None:
    # The first bytes of the official file: a gzip header, and then too little.
    (workplace / IDX_FILES["train_x"].name).write_bytes(b"\x1f\x8b\x08\x08" + bytes(96))
    message = refusal(optbench, "run", "-o", "sgd", "-p", "mnist-mlp", "--data", workplace)
    assert "damaged or not the official file" in message
    assert "(100 bytes; " in message


# --debug, and what is nobody's mistake but ours.


def test_debug_shows_where_and_comes_to_the_same_end(optbench: Optbench) -> None:
    for arguments in (("--debug", "run", "-o", "adm"), ("run", "-o", "adm", "--debug")):
        code, out, err = optbench(*arguments, *BEALE)
        assert (code, out) == (2, "")
        assert err.startswith("Traceback (most recent call last):")
        assert "error: unknown optimizer 'adm'" in err.splitlines()[-1]


def test_a_defect_of_ours_is_called_one_with_status_3(
    optbench: Optbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def explode(*_: object, **__: object) -> None:
        raise ZeroDivisionError("[bold]division by zero")

    monkeypatch.setattr("optbench.engine.plan.plan", explode)
    code, out, err = optbench("run", *SGD)
    assert (code, out) == (3, "")
    assert err.splitlines() == [
        "internal error: ZeroDivisionError: [bold]division by zero",
        "This is a defect of optbench's; with --debug it shows where.",
    ]
    code, _, err = optbench("--debug", "run", *SGD)
    assert code == 3
    assert "in explode" in err


def test_only_known_mistakes_are_the_user_s() -> None:
    assert wrong_use(ValueError("of ours")) is None
    assert wrong_use(KeyError("of ours")) is None
    assert wrong_use(UnknownName("say 'it'")) == "say 'it'"


def test_no_message_depends_on_the_width_of_a_terminal(
    optbench: Optbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    message = refusal(optbench, "run", "-o", "adm", *BEALE)
    assert len(message.splitlines()) == 1
