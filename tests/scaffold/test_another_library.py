"""`optbench init` in somebody's repository, and then all that it was run for."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from environments import let_asv_see
from libraries import PLANTED, SHORTENED, Library

pytestmark = pytest.mark.proof

OPTBENCH = (sys.executable, "-m", "optbench")
ASV = (sys.executable, "-m", "asv")


@pytest.fixture(scope="module")
def library(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Library:
    """One of the layout that is asked for, in which init was run and committed."""
    made = Library.make(tmp_path_factory.mktemp("libraries") / "Mein Rép o", request.param)
    said = call(*OPTBENCH, "init", folder=made.root)
    assert said.returncode == 0, said.stderr
    assert "2 optimizers to track: tinyopt:Adam, tinyopt:SGD" in said.stderr
    made.commit("optbench")
    return made


SRC = pytest.mark.parametrize("library", ["src"], indirect=True, scope="module")
BOTH = pytest.mark.parametrize("library", ["flat", "src"], indirect=True, scope="module")


def call(
    *command: str, folder: Path, variables: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    answer = subprocess.run(
        command, cwd=folder, env={**os.environ, **(variables or {})},
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert "Traceback" not in answer.stderr, answer.stderr
    return answer


@BOTH
def test_the_contract_is_kept(library: Library) -> None:
    checks = "saves_and_loads_at_step_301 or the_closure or parameters_stay_leaves"
    said = call(
        *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", checks, "tests"),
        folder=library.root, variables={"PYTHONPATH": str(library.package.parent)},
    )  # fmt: skip
    assert said.returncode == 0, said.stdout
    assert re.search(r"optbench contract: 2 optimizers, \d+ passed", said.stdout), said.stdout


@SRC
def test_a_second_run_has_nothing_to_do_and_a_change_is_seen(library: Library) -> None:
    again = call(*OPTBENCH, "init", folder=library.package)
    assert (again.returncode, again.stdout) == (0, "")
    assert "nothing to do" in again.stderr
    library.change("adam", PLANTED)
    library.commit("planted, for compare")
    said = call(*OPTBENCH, "compare", "HEAD~1", "--rung", "maths", folder=library.root)
    assert re.search(r"tinyopt:Adam +maths changed", said.stdout), said.stderr
    assert re.search(r"tinyopt:SGD +maths identical", said.stdout)
    library.git("revert", "--no-edit", "HEAD")


@SRC
def test_asv_and_history_name_the_commit_that_broke_it(library: Library, tmp_path: Path) -> None:
    library.git("checkout", "--quiet", "-b", "history")
    commits = [library.git("rev-parse", "HEAD")]
    library.change("adam", SHORTENED)
    commits.append(library.commit("a faster step"))
    library.change("sgd", ("import torch\n", "import torch  # the usual\n"))
    commits.append(library.commit("a comment"))
    variables = {**let_asv_see(library.root / "asv.conf.json", tmp_path), "HOME": str(tmp_path)}
    # One problem at the default rate: the whole of it takes a minute a commit.
    benchmarks = library.root / "benchmarks" / "optimizers.py"
    text = benchmarks.read_text("utf-8")
    assert text.count("asv.PROBLEMS)") == 1
    less = '("rosenbrock-2d",))\n    tune, seeds, budget = False, 8, 300'
    benchmarks.write_text(text.replace("asv.PROBLEMS)", less), "utf-8")

    def asv(*arguments: str) -> None:
        said = call(*ASV, *arguments, folder=library.root, variables=variables)
        assert said.returncode == 0, said.stdout

    asv("machine", "--machine", "optbench-ci", "--yes")
    commit_range = f"{commits[0]}^..{commits[-1]}"
    asv("run", "--bench", "track_final_gap", "--record-samples", commit_range)
    results = library.root / ".asv" / "results" / "optbench-ci"
    assert {file.name[:8] for file in results.glob("*-*.json")} == {each[:8] for each in commits}
    said = call(*OPTBENCH, "history", "--fail-on-new", folder=library.root)
    assert said.returncode == 1, said.stdout + said.stderr
    assert re.search(rf"{commits[1][:7]}\w* a faster step\n +regressed +final_gap", said.stdout)
    assert commits[2][:7] not in said.stdout
    # What was written is ignored; git shows what the test edited.
    changed = library.git("status", "--porcelain").splitlines()
    assert sorted(line.split("/")[-1][-13:] for line in changed) == [
        "asv.conf.json",
        "optimizers.py",
    ]
    assert json.loads((results / "machine.json").read_text())["machine"] == "optbench-ci"
