"""The options of ``optbench compare``: how they are read, and how wrong ones are refused."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from refusals import refusal

from optbench.api.compare import FAIL_ON, WORDS, configure
from optbench.cli.options import parse_settings
from optbench.comparison.compare import CompareConfig
from optbench.errors import WrongUse
from optbench.sources.source import WORKING_TREE, Kind, SourceError
from optbench.verdicts.comparison import RUNGS

if TYPE_CHECKING:
    from conftest import Optbench


@pytest.fixture
def repository(workplace: Path) -> Path:
    """The current folder, as an empty git repository."""
    subprocess.run(["git", "init", "--quiet", str(workplace)], check=True)
    return workplace


def read(
    base: str = "main", head: str | None = None, *, repo: Path | None = None, **given: Any
) -> tuple[CompareConfig, frozenset]:
    """As the command does, whatever is not given left out."""
    settings = parse_settings(given.pop("settings", []))
    optimizers = given.pop("targets", ())
    config = configure(
        base, head, optimizers=optimizers, repository=repo, settings=settings, **given
    )
    return config, config.fail_on


def set_table(repository: Path, table: str) -> None:
    (repository / "pyproject.toml").write_text(f"[tool.optbench]\n{table}\n", "utf-8")


# How they are read.


def test_silence_means_the_working_tree_all_rungs_and_what_is_bad(repository: Path) -> None:
    wanted, words = read("main")
    assert (wanted.base.kind, wanted.base.what) == (Kind.REVISION, "main")
    assert wanted.head == WORKING_TREE
    assert wanted.rungs == RUNGS
    assert (wanted.targets, wanted.path, wanted.install) == ((), None, False)
    assert wanted.settings == {}
    assert words == frozenset(FAIL_ON) == {"regressed", "broken"}


@pytest.mark.parametrize(
    ("given", "rungs"),
    [
        (["maths"], ("maths",)),
        (["speed"], ("maths", "speed")),
        (["memory", "convergence"], ("maths", "convergence", "memory")),
        (["memory,speed"], ("maths", "speed", "memory")),
        ([" maths , speed", "speed"], ("maths", "speed")),
        ([""], RUNGS),
    ],
)
def test_a_rung_stands_on_the_first_and_their_order_is_the_ladder_s(
    repository: Path, given: list[str], rungs: tuple[str, ...]
) -> None:
    assert read(rungs=given)[0].rungs == rungs


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["changed"], {"changed"}),
        (["changed,slower", "leak"], {"changed", "slower", "leak"}),
        ([" changed , changed,"], {"changed"}),
        (["none"], set()),
        ([",".join(word for word in WORDS if word != "none")], set(WORDS) - {"none"}),
    ],
)
def test_words_come_one_by_one_or_with_commas(
    repository: Path, given: list[str], words: set[str]
) -> None:
    assert read(fail_on=given)[1] == words


def test_every_word_is_one_that_a_verdict_can_be() -> None:
    from optbench.verdicts import comparison

    kinds = (
        comparison.MathsVerdict, comparison.ConvergenceVerdict, comparison.SpeedVerdict,
        comparison.MemoryVerdict,
    )  # fmt: skip
    verdicts = {each.value for kind in kinds for each in kind}
    assert set(WORDS) - {"none"} == verdicts - {"identical", "equivalent", "same"}


def test_the_repository_s_table_speaks_where_the_user_is_silent(repository: Path) -> None:
    set_table(
        repository,
        'optimizers = ["a:B", "a:C"]\npath = "lib"\ninstall = true\nfail-on = ["slower"]',
    )
    wanted, words = read()
    assert (wanted.targets, wanted.path, wanted.install) == (("a:B", "a:C"), "lib", True)
    assert words == {"slower"}
    wanted, words = read(targets=["x:Y"], path="src", install=False, fail_on=["none"])
    assert (wanted.targets, wanted.path, wanted.install) == (("x:Y",), "src", False)
    assert words == frozenset()


def test_the_table_is_that_of_the_checkout_and_not_of_a_folder_in_it(repository: Path) -> None:
    set_table(repository, 'fail-on = ["slower"]')
    inner = repository / "src" / "deep"
    inner.mkdir(parents=True)
    wanted, words = read(repo=inner)
    assert words == {"slower"}
    assert wanted.repository == inner


def test_folders_and_releases_need_no_repository(workplace: Path) -> None:
    wanted, words = read("pip:tinyopt==1.0", "dir:/somewhere")
    assert [str(each) for each in (wanted.base, wanted.head)] == [
        "pip:tinyopt==1.0",
        "dir:/somewhere",
    ]
    assert words == frozenset(FAIL_ON)
    with pytest.raises(SourceError, match="is in no git repository"):
        read("pip:tinyopt==1.0", "main")


def test_limits_are_handed_on(repository: Path) -> None:
    wanted, _ = read(timeout=7.5, seeds=48)
    assert (wanted.limit_s, wanted.seeds) == (7.5, 48)


def test_settings_are_literals(repository: Path) -> None:
    wanted, _ = read(settings=["lr=0.1", "betas=0.9,0.99", "mode=fast", "amsgrad=true"])
    assert wanted.settings == {"lr": 0.1, "betas": (0.9, 0.99), "mode": "fast", "amsgrad": True}


@pytest.mark.parametrize("word", ["regresed", "none,", "Broken", "identical", "-", "all"])
def test_a_wrong_word_of_the_table_is_refused_as_one_of_the_user_s(
    repository: Path, word: str
) -> None:
    set_table(repository, f'fail-on = ["{word}"]')
    with pytest.raises(WrongUse, match="--fail-on: "):
        read()
    # Who names words of their own is not held up by it.
    assert read(fail_on=["broken"])[1] == {"broken"}


# How wrong ones are refused.


CASES: dict[str, tuple[tuple[object, ...], str]] = {
    "no base": ((), "Missing argument 'BASE'"),
    "three sources": (("a", "b", "c"), "unexpected extra argument"),
    "rung": (("main", "--rung", "speeed"), "rung: 'speeed' is none of maths, convergence"),
    "rung, nearly": (("main", "--rung", "speeed"), "did you mean speed?"),
    "rung in capitals": (("main", "--rung", "Maths"), "did you mean maths?"),
    "one of two rungs": (("main", "--rung", "maths,time"), "rung: 'time' is none of maths"),
    "problem": (("main", "-p", "quadratik"), "problem quadratik: comparisons train on quadratic"),
    "word": (("main", "--fail-on", "regresed"), "did you mean regressed?"),
    "word like no other": (("main", "--fail-on", "qqq"), "--fail-on: 'qqq' is none of rounding"),
    "quiet word": (("main", "--fail-on", "identical"), "--fail-on: 'identical' is none of"),
    "none and more": (("main", "--fail-on", "none,broken"), "--fail-on none goes alone"),
    "markup": (("main", "--fail-on", "[bold]x"), "'[bold]x' is none of"),
    "set": (("main", "--set", "momentum"), "--set takes key=value"),
    "two to the screen": (("main", "--json", "-", "--html", "-"), "only one of --json"),
    "json nowhere": (("main", "--json", "no/where.json"), "--json no/where.json: No such file"),
    "html is a folder": (("main", "--html", "."), "--html .: Is a directory"),
    "empty base": (("",), "an empty source"),
    "nothing after the colon": (("pip:",), "names nothing after the colon"),
    "a folder": (("main", "."), "write dir:."),
    "an option as base": (("--", "-x"), "those do not begin with a dash"),
    "no such revision": (("nosuch",), "'nosuch' is not a commit"),
    "no such repository": (("main", "--repo", "elsewhere"), "--repo elsewhere: no such folder"),
    "no time": (("main", "--timeout", 0), "Invalid value for '--timeout'"),
    "no seeds": (("main", "--seeds", 0), "Invalid value for '--seeds'"),
    "endless": (("main", "--timeout", "inf"), "Invalid value for '--timeout'"),
    "option": (("main", "--rungs", "maths"), "No such option: --rungs"),
}


@pytest.mark.parametrize("case", list(CASES))
def test_a_wrong_comparison_is_refused_with_the_reason(
    optbench: Optbench, repository: Path, case: str
) -> None:
    arguments, expected = CASES[case]
    assert expected in refusal(optbench, "compare", *arguments)
    # Nothing is left behind, and no file is made that would be taken for a result.
    assert [each.name for each in repository.iterdir()] == [".git"]


def test_outside_of_a_repository_the_other_ways_are_named(optbench: Optbench) -> None:
    message = refusal(optbench, "compare", "main")
    assert "is in no git repository" in message
    assert "dir:PATH, pip:REQUIREMENT" in message


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ("optimisers = []", "tool.optbench.optimisers: Extra inputs are not permitted"),
        ('install = "perhaps"', "tool.optbench.install: "),
        ('optimizers = [""]', "tool.optbench.optimizers: "),
        ('fail-on = "broken"', "tool.optbench.fail-on: "),
        ("fail-on = [", "pyproject.toml: "),
        ('fail-on = ["slwoer"]', "did you mean slower?"),
    ],
)
def test_a_wrong_table_is_refused_with_the_place(
    optbench: Optbench, repository: Path, table: str, expected: str
) -> None:
    set_table(repository, table)
    assert expected in refusal(optbench, "compare", "main")


def test_a_file_that_was_there_is_not_touched_by_a_refusal(
    optbench: Optbench, repository: Path
) -> None:
    (repository / "old.json").write_text("mine")
    refusal(optbench, "compare", "nosuch", "--json", "old.json")
    assert (repository / "old.json").read_text() == "mine"
    assert "no such" in refusal(optbench, "compare", "dir:nowhere", "dir:nowhere").lower()


def test_the_help_names_every_rung_and_word(optbench: Optbench) -> None:
    code, out, _ = optbench("compare", "--help")
    assert code == 0
    text = " ".join(out.split())
    for word in (*WORDS, *RUNGS, "pip:REQUIREMENT", "dir:PATH"):
        assert word in text
