"""The folder of a run goes with it; that of a killed one goes with the next."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from optbench.sources.cache import cache_folder, run_folder

RUN = """
import subprocess, sys
from optbench.sources.cache import run_folder
with run_folder() as folder:
    (folder / "checkout").mkdir()
    if "helper" in sys.argv:
        command = [sys.executable, "-S", "-c", "input()"]
        subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    print(folder, flush=True)
    sys.stdin.read()
"""

Begin = Callable[..., tuple["subprocess.Popen[str]", Path]]


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the folders of runs are, with a cache of the test's own."""
    monkeypatch.setenv("OPTBENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "runs"


@pytest.fixture
def begin(runs: Path) -> Iterator[Begin]:
    """Starts a run in a process of its own; it lives until its input ends."""
    begun: list[subprocess.Popen[str]] = []

    def begin(*arguments: str) -> tuple[subprocess.Popen[str], Path]:
        process = subprocess.Popen(
            [sys.executable, "-c", RUN, *arguments],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        begun.append(process)
        assert process.stdout is not None
        return process, Path(process.stdout.readline().rstrip("\n"))

    yield begin
    for process in begun:
        process.communicate()  # ends the input, also that of a helper


def folders(runs: Path) -> set[Path]:
    return {each for each in runs.iterdir() if each.is_dir()}


def test_a_run_has_a_folder_of_its_own_as_long_as_it_lasts(runs: Path) -> None:
    with run_folder() as one, run_folder() as other:
        assert one != other
        assert folders(runs) == {one, other}
        (one / "checkout").mkdir()
        (one / "checkout" / "file").touch()
        assert one.name.startswith(f"{os.getpid()}-")
    assert folders(runs) == set()


def test_a_run_that_fails_leaves_no_folder(runs: Path) -> None:
    def fail() -> None:
        with run_folder() as folder:
            (folder / "checkout").mkdir()
            raise RuntimeError(str(folder))

    with pytest.raises(RuntimeError, match=str(runs)):
        fail()
    assert folders(runs) == set()


@pytest.mark.skipif(os.name != "posix", reason="nobody can tell the dead from the living there")
def test_the_next_run_removes_what_killed_ones_left_and_nothing_of_the_living(
    runs: Path, begin: Begin
) -> None:
    (killed, left), (alive, kept) = begin(), begin()
    killed.kill()
    killed.wait()
    assert left.is_dir()
    with run_folder() as own:
        assert folders(runs) == {kept, own}
        assert (kept / "checkout").is_dir()
    assert folders(runs) == {kept}
    alive.communicate()
    assert folders(runs) == set()


@pytest.mark.skipif(os.name != "posix", reason="nobody can tell the dead from the living there")
def test_a_program_that_a_killed_run_had_started_does_not_keep_its_folder(
    runs: Path, begin: Begin
) -> None:
    killed, left = begin("helper")
    killed.kill()
    killed.wait()
    assert left.is_dir()
    with run_folder() as own:
        assert folders(runs) == {own}


def test_a_run_does_not_remove_one_that_is_older_in_the_same_process(runs: Path) -> None:
    with run_folder() as older:
        with run_folder():
            pass
        assert folders(runs) == {older}


@pytest.mark.skipif(os.name != "posix", reason="nothing is removed there")
def test_a_folder_without_a_lock_is_of_a_run_that_was_killed_early(runs: Path) -> None:
    (runs / "123-abc" / "deep").mkdir(parents=True)
    with run_folder() as own:
        assert folders(runs) == {own}


def test_a_link_among_the_runs_is_not_followed(runs: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "file").touch()
    runs.mkdir(parents=True)
    (runs / "link").symlink_to(mine)
    with run_folder():
        pass
    assert (mine / "file").exists()


def test_the_rest_of_the_cache_is_left_alone(runs: Path) -> None:
    kept = cache_folder() / "pip" / "tinyopt-1.0"
    kept.mkdir(parents=True)
    with run_folder():
        pass
    assert kept.is_dir()


def test_the_cache_is_where_the_variables_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for variable in ("OPTBENCH_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(variable, raising=False)
    assert cache_folder() == tmp_path / ".cache" / "optbench"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "xdg" / "optbench"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert cache_folder() == tmp_path / ".cache" / "optbench"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("OPTBENCH_CACHE", "~/own")
    assert cache_folder() == tmp_path / "own"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPTBENCH_CACHE", "here")
    assert cache_folder() == tmp_path / "here"
    monkeypatch.setenv("OPTBENCH_CACHE", "")
    assert cache_folder() == tmp_path / "xdg" / "optbench"
