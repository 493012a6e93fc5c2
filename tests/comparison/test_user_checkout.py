"""Whatever happens, the user's repository is what it was, and nothing is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest
from conftest import OPTBENCH, Command
from repositories import Repository

pytestmark = pytest.mark.proof


def everything(repository: Repository) -> dict[str, object]:
    """Index, branches, stashes, worktrees, and the bytes of every file, git's own included."""
    files = {
        str(path.relative_to(repository.root)): path.read_bytes()
        for path in sorted(repository.root.rglob("*"))
        if path.is_file()
    }
    asked = ("status --porcelain", "for-each-ref", "stash list", "worktree list", "reflog")
    # First the bytes: to ask for the status may refresh the index.
    return {"files": files, **{each: repository.git(*each.split()) for each in asked}}


@pytest.fixture
def busy(repository: Repository) -> Repository:
    """In the middle of things: a branch, a stash, staged, changed and untracked files."""
    repository.git("branch", "other")
    repository.change("lion", ("lr=1e-4", "lr=2e-4"))
    repository.git("stash")
    repository.change("adam", ("eps=1e-8", "eps=1e-7"))
    repository.git("add", "--all")
    repository.change("sgd", ("momentum=0.9", "momentum=0.8"))
    (repository.root / "notes.txt").write_text("untracked\n")
    everything(repository)
    return repository


def test_the_working_tree_is_compared_as_it_is_and_left_as_it_was(
    busy: Repository, optbench: Command, cache: Path
) -> None:
    before = everything(busy)
    chosen = [word for name in ("Adam", "Lion", "SGD") for word in ("-o", name)]
    said = optbench("compare", "HEAD", *chosen, "--rung", "maths", folder=busy.root / "src")
    assert everything(busy) == before
    assert len(said.verdicts) == 3
    changed = {name for name, verdict in said.verdicts.items() if verdict != "identical"}
    assert changed == {"Adam", "SGD"}
    assert "the default of momentum went from 0.9 to 0.8" in said.of("SGD")["maths_text"]
    assert said.content["head"]["note"] == "3 uncommitted changes"
    assert [each.name for each in (cache / "runs").iterdir() if each.is_dir()] == []


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL], ids=["Ctrl-C", "kill -9"])
def test_one_that_is_ended_leaves_nothing_that_the_next_does_not_remove(
    busy: Repository, environment: dict[str, str], optbench: Command, cache: Path, how: int
) -> None:
    before = everything(busy)
    # The first optimizer's line says that both sides are at work.
    running = subprocess.Popen(
        [*OPTBENCH, "compare", "HEAD", "other", "--rung", "maths"], cwd=busy.root, env=environment,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert running.stdout is not None
    assert running.stdout.readline().startswith("tinyopt:Adadelta")
    os.kill(running.pid, how)
    _, errors = running.communicate(timeout=60)
    left = [each for each in (cache / "runs").iterdir() if each.is_dir()]
    if how == signal.SIGINT:
        assert running.returncode == 130
        assert "interrupted: finished comparisons are complete" in errors
        assert "Traceback" not in errors
        assert left == []
    else:
        assert len(left) == 1
    assert everything(busy) == before
    optbench("compare", "HEAD", "-o", "Adam", "--rung", "maths", folder=busy.root)
    assert [each for each in (cache / "runs").iterdir() if each.is_dir()] == []
    assert everything(busy) == before
