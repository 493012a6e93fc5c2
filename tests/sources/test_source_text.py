"""What is written on the command line is read as one kind of source, or refused with a way out."""

from __future__ import annotations

from pathlib import Path

import pytest

from optbench.sources import Source, SourceError, parse
from optbench.sources.source import WORKING_TREE, Kind


def refusal(text: str) -> str:
    with pytest.raises(SourceError) as refused:
        parse(text)
    message = str(refused.value)
    assert len(message.splitlines()) == 1
    return message


@pytest.mark.parametrize(
    ("text", "kind", "what"),
    [
        ("main", Kind.REVISION, "main"),
        ("HEAD~1", Kind.REVISION, "HEAD~1"),
        ("stash@{0}", Kind.REVISION, "stash@{0}"),
        ("feature/adam", Kind.REVISION, "feature/adam"),
        (":/a subject", Kind.REVISION, ":/a subject"),
        ("piptools", Kind.REVISION, "piptools"),
        ("pip:tinyopt==1.2", Kind.PIP, "tinyopt==1.2"),
        (
            "pip:tinyopt @ https://example.org/x.whl",
            Kind.PIP,
            "tinyopt @ https://example.org/x.whl",
        ),
        ("dir:..", Kind.FOLDER, ".."),
        ("dir:a:b", Kind.FOLDER, "a:b"),
    ],
)
def test_a_source_is_read_and_written_the_same(text: str, kind: Kind, what: str) -> None:
    source = parse(text)
    assert source == Source(kind, what)
    assert str(source) == text
    assert parse(str(source)) == source


def test_spaces_around_do_not_count() -> None:
    assert parse("  pip: tinyopt ") == Source(Kind.PIP, "tinyopt")
    assert str(parse(" main\n")) == "main"


def test_the_working_tree_has_a_name_for_people() -> None:
    assert str(WORKING_TREE) == "working tree"


@pytest.mark.parametrize("text", ["", "  ", "\t\n"])
def test_nothing_is_no_source(text: str) -> None:
    assert "name a git revision, pip:REQUIREMENT or dir:PATH" in refusal(text)


@pytest.mark.parametrize("text", ["pip:", "dir:", "dir:  "])
def test_a_prefix_alone_names_nothing(text: str) -> None:
    assert refusal(text) == f"{text.strip()!r} names nothing after the colon"


@pytest.mark.parametrize("text", ["-", "--all", "-x"])
def test_a_dash_begins_no_revision(text: str) -> None:
    assert refusal(text) == f"{text!r} is not a revision: those do not begin with a dash"


@pytest.mark.parametrize("text", [".", "..", "./checkout", "../{here}/checkout", "{above}"])
def test_a_folder_is_told_how_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    (tmp_path / "checkout").mkdir()
    monkeypatch.chdir(tmp_path)
    text = text.format(here=tmp_path.name, above=tmp_path)
    assert refusal(text) == f"{text!r} is a folder: write dir:{text}"


def test_a_name_that_is_a_folder_and_a_branch_is_the_branch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "main").mkdir()
    monkeypatch.chdir(tmp_path)
    assert parse("main").kind is Kind.REVISION


def test_a_folder_in_the_home_is_told_so_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "checkout").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path))
    assert refusal("~/checkout").endswith("is a folder: write dir:~/checkout")


@pytest.mark.parametrize("text", ["~nobody-here/checkout", "/" + "x" * 300])
def test_a_path_that_cannot_be_is_a_revision_that_is_not_there(text: str) -> None:
    assert parse(text) == Source(Kind.REVISION, text)
