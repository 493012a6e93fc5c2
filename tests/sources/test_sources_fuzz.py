"""Whatever a side of a comparison is called: it is had, or refused; never an option, never run."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from fuzzing import HOSTILE, fuzzed, texts, works_or_is_refused
from hypothesis import example, given
from hypothesis import strategies as st

from optbench.sources import SourceError, git, parse, pip
from optbench.sources.source import Kind
from optbench.sources.tree import importable, packages_in

OPTIONS = (
    "--upload-pack=touch x",
    "--output=x",
    "-x",
    "--help",
    "--exec=touch x",
    "HEAD --output=x",
    "--end-of-options",
    "--",
    "ext::sh -c touch% x",
    "main:../../x",
    "^HEAD",
    "HEAD..HEAD",
    ":/$(touch x)",
    "HEAD^{/--output=x}",
    "@{-1}",
    "refs/heads/--output=x",
)


def make_repository(folder: Path) -> Path:
    def call(*arguments: str) -> None:
        names = {f"GIT_{who}_{what}": "a@b" for who in ("AUTHOR", "COMMITTER")
                 for what in ("NAME", "EMAIL")}  # fmt: skip
        subprocess.run(["git", "-C", str(folder), *arguments], check=True, capture_output=True,
                       env={**os.environ, **names})  # fmt: skip

    call("init", "--quiet", "-b", "main")
    (folder / "one.py").write_text("x = 1\n")
    call("add", ".")
    call("commit", "--quiet", "-m", "[/red] \x1b[2J <b>subject</b>")
    return folder


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_repository(tmp_path_factory.mktemp("repository"))


@fuzzed(100)
@given(text=texts | st.tuples(st.sampled_from(["pip:", "dir:", "", "-"]), texts).map("".join))
@example("~" + "a" * 5000)
@example("dir:" + "a/" * 5000)
def test_any_source(text: str) -> None:
    read: list[Any] = []
    if not works_or_is_refused(lambda: read.append(parse(text))):
        assert not (read[0].kind is Kind.REVISION and read[0].what.startswith("-"))


@pytest.mark.parametrize("text", [*HOSTILE, *OPTIONS])
def test_a_hostile_revision_is_no_option_and_runs_nothing(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.chdir(tmp_path)
    before = {path for path in repository.rglob("*") if path.is_file()}
    refusal = works_or_is_refused(lambda: git.resolve(repository, text))
    assert refusal or text in ("HEAD..HEAD",) or len(git.resolve(repository, text)) == 40
    assert {path for path in repository.rglob("*") if path.is_file()} == before
    assert list(tmp_path.iterdir()) == []


# Names that a package may have, and a file that there is, are for pip to refuse.
FOR_PIP = ("9" * 5000, "0x" + "f" * 5000, "1e999", "/dev/null")
NO_REQUIREMENTS = [
    *(text for text in HOSTILE if text not in FOR_PIP),
    *("-r x", "--index-url=http://127.0.0.1:9", "-e .", "x --global-option=y"),
    "x @ file:///etc/passwd\n-r y",
]


@pytest.mark.parametrize("text", NO_REQUIREMENTS)
def test_a_hostile_requirement_is_refused_before_pip_sees_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str
) -> None:
    monkeypatch.chdir(tmp_path)

    def none(command: list[str], **_: Any) -> None:
        raise AssertionError(f"pip was begun: {command}")

    monkeypatch.setattr(subprocess, "run", none)
    assert works_or_is_refused(lambda: pip.installed(text, tmp_path / "site"))


def test_what_pip_is_given_stands_behind_the_options(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seen: list[list[str]] = []

    def run(command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        assert not options.get("shell")
        seen.append(command)
        return subprocess.CompletedProcess(command, 1, "", "ERROR: no")

    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(SourceError, match="pip cannot install tinyopt"):
        pip.installed("tinyopt>=1", tmp_path / "site")
    assert seen[0][-2:] == ["--", "tinyopt>=1"]


def test_a_transport_that_is_a_program_is_not_used(repository: Path, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="transport 'ext' not allowed"):
        git.git(repository, "ls-remote", "--", f"ext::touch {tmp_path / 'x'}")
    assert list(tmp_path.iterdir()) == []


def test_a_program_in_a_stranger_s_configuration_is_not_begun(tmp_path: Path) -> None:
    """What ``git status`` would run: an archive may come with its .git."""
    made = make_repository(tmp_path)
    mark = tmp_path.parent / f"{tmp_path.name}-was-run"
    hook = tmp_path / ".git" / "hook.sh"
    hook.write_text(f"#!/bin/sh\ntouch '{mark}'\n")
    hook.chmod(0o755)
    with (made / ".git" / "config").open("a") as file:
        file.write(f'[core]\n\tfsmonitor = "{hook}"\n\thooksPath = "{made / ".git"}"\n')
    assert git.status_note(made) == ""
    assert not mark.exists()


@fuzzed(80)
@given(content=st.binary(max_size=60) | st.sampled_from(
    [b"[project]\nname = 3", b"project = []", b"[tool]\nsetuptools = 3", b"[" * 3000,
     b"[tool.setuptools]\npackage-dir = {'' = '../..'}", b"a = " + b"9" * 5000,
     b"[tool.setuptools.packages.find]\nwhere = ['/']", b"[tool.poetry]\npackages = [{from = 3}]",
     b"[tool.setuptools.packages.find]\nwhere = ['\\u0000']", b"[tool.pdm.build]\npackage-dir=1",
     b"[tool.setuptools]\npackage-dir = {'' = '" + b"a" * 5000 + b"'}"]
))  # fmt: skip
def test_any_project_file_of_a_tree(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    folder = tmp_path_factory.getbasetemp() / "tree"
    (folder / "pkg").mkdir(parents=True, exist_ok=True)
    (folder / "pkg" / "__init__.py").touch()
    (folder / "pyproject.toml").write_bytes(content)

    def look() -> None:
        found = importable(folder)
        assert found.resolve().is_relative_to(folder.resolve())
        packages_in(found, folder)

    works_or_is_refused(look)
