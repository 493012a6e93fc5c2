"""Environments: what is said of a Python, and of what is none."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from optbench.api.compare import configure
from optbench.errors import WrongUse
from optbench.sources import SourceError, parse, prepare


def python(folder: Path, says: str, *, code: int = 0) -> Path:
    """A Python that answers so, whatever it is asked; gives its folder."""
    file = folder / "bin" / "python"
    file.parent.mkdir(parents=True)
    where = "2" if code else "1"
    file.write_text(f"#!/bin/sh\nprintf '%s\\n' '{says}' >&{where}\nexit {code}\n", "utf-8")
    file.chmod(0o755)
    return folder


def facts(*, is_new: bool = True) -> str:
    return json.dumps([is_new, "/prefix", "3.12.1", "2.11.0", "2.1.0"])


def test_a_folder_or_a_python_is_an_environment(tmp_path: Path) -> None:
    folder = python(tmp_path / "old", facts())
    for what in (folder, folder / "bin" / "python"):
        tree = prepare(parse(f"env:{what}"), tmp_path / "base")
        assert tree.python == str(folder / "bin" / "python")
        assert tree.note == "Python 3.12.1, torch 2.11.0, NumPy 2.1.0"
        assert tree.packages == ()


@pytest.mark.parametrize(
    ("says", "code", "why"),
    [
        ("ModuleNotFoundError: No module named torch", 1, "does not import torch and numpy: Mod"),
        ("Unknown option: -P", 2, r"Python 3\.11 is the oldest"),
        (facts(is_new=False), 0, r"has Python 3\.12\.1; the oldest that is supported is 3\.11"),
    ],
)
def test_a_python_that_will_not_do_is_refused(
    tmp_path: Path, says: str, code: int, why: str
) -> None:
    folder = python(tmp_path / "old", says, code=code)
    with pytest.raises(SourceError, match=why):
        prepare(parse(f"env:{folder}"), tmp_path / "base")


def test_what_is_no_environment_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no Python in that folder"):
        prepare(parse(f"env:{tmp_path}"), tmp_path / "base")
    with pytest.raises(SourceError, match=r"no such Python or folder; .*'env:torch==2\.13\.0'"):
        prepare(parse(f"env:{tmp_path}/nowhere"), tmp_path / "base")
    with pytest.raises(SourceError, match="No closing quotation"):
        prepare(parse("env:torch=='2.13"), tmp_path / "base")
    with pytest.raises(WrongUse, match="say what to compare in two environments: -o"):
        configure(f"env:{tmp_path}", f"env:{tmp_path}")


def test_one_is_made_of_requirements_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPTBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("shutil.which", lambda _: None)
    asked: list[tuple[str, ...]] = []

    def run(_: object, *command: str) -> None:
        asked.append(command)
        if "venv" in command:
            python(Path(command[-1]), facts())

    monkeypatch.setattr("optbench.sources.environments._run", run)
    source = parse("env:torch==2.11.0 mine>=1")
    trees = [prepare(source, tmp_path / name) for name in ("base", "head")]
    assert trees[0].python == trees[1].python
    assert Path(trees[0].python).is_relative_to(tmp_path / "cache" / "environments")
    made, installed = asked
    assert made[:3] == (sys.executable, "-m", "venv")
    assert installed[-3:] == ("torch==2.11.0", "mine>=1", "numpy")


def test_one_that_cannot_be_made_says_why_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPTBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("shutil.which", lambda _: str(tmp_path / "uv"))
    (tmp_path / "uv").write_text("#!/bin/sh\necho 'error: no such torch' >&2\nexit 1\n", "utf-8")
    (tmp_path / "uv").chmod(0o755)
    with pytest.raises(SourceError, match="cannot be made: error: no such torch"):
        prepare(parse("env:torch==9.9"), tmp_path / "base")
    assert not list((tmp_path / "cache" / "environments").iterdir())
