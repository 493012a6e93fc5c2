"""Two environments with libraries of their own, each in its own interpreter."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest
import torch
from conftest import Command

pytestmark = pytest.mark.proof

MINE = """
import torch
VERSION = {version!r}
class Mine(torch.optim.Optimizer):
    def __init__(self, params, lr=0.01, weight_decay=0.0):
        super().__init__(params, {{"lr": lr, "weight_decay": weight_decay}})
    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    p.add_(p.grad {sign} group["weight_decay"] * p, alpha=-group["lr"])
class Same(torch.optim.SGD):
    pass
"""


@pytest.fixture(scope="module")
def environments(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two of one torch, with two versions of a package."""
    made = []
    for version, sign in (("1.0", "+"), ("1.1", "-")):
        folder = tmp_path_factory.mktemp("environment") / version
        venv.create(folder, symlinks=True)
        (site,) = folder.glob("lib/python*/site-packages")
        # Its torch and NumPy are these here; whatever else is here, it must not need.
        for each in NEEDED:
            found = Path(torch.__file__).parents[1] / each
            for place in (found, found.with_suffix(".py")):
                if place.exists():
                    (site / place.name).symlink_to(place)
        (site / "mine").mkdir()
        (site / "mine" / "__init__.py").write_text(MINE.format(version=version, sign=sign))
        made.append(folder)
    return made


NEEDED = (
    *("torch", "numpy", "numpy.libs", "torch.libs", "functorch", "torchgen"),
    *("typing_extensions", "sympy", "mpmath", "networkx", "jinja2", "markupsafe", "fsspec"),
    "filelock",
)  # fmt: skip
"""Folders and files of torch, of NumPy, and of what these require."""


def test_each_side_runs_in_its_own_python(environments: list[Path], optbench: Command) -> None:
    base, head = (f"env:{each}" for each in environments)
    asked = ("compare", base, head, "-o", "mine:*", "--rung", "maths", "--rung", "memory")
    said = optbench(*asked, folder=environments[0].parent)
    assert said.verdicts == {"Mine": "changed", "Same": "identical"}
    assert "weight_decay" in said.of("Mine")["maths_text"]
    assert said.of("Same")["memory"] == "same"
    assert f"torch {torch.__version__}" in said.content["base"]["note"]


def test_a_class_is_checked_in_its_own_python(environments: list[Path], tmp_path: Path) -> None:
    command = (
        sys.executable,
        "-m",
        "optbench",
        "check",
        "mine:Mine",
        "mine:Same",
        "--json",
        "-",
    )
    said = subprocess.run(
        [*command, "--env", str(environments[1])],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert said.stdout, said.stderr
    content = json.loads(said.stdout)
    assert f"torch {torch.__version__}" in content["checked_in"]
    rows = {(row["target"], row["check"]): row["status"] for row in content["results"]}
    # Also what begins processes of its own, and what is known of that version of torch.
    assert rows["mine:Same", "data_parallel_is_the_joint_batch"] == "passed"
    assert rows["mine:Same", "a_loaded_optimizer_shares_no_memory"] == "not applicable"
    assert "no target" not in rows.values()
    assert said.returncode in (0, 1)
    missing = subprocess.run(
        [*command, "--env", "nowhere"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert missing.returncode == 2
    assert "env:nowhere: no such Python or folder" in missing.stderr


def test_what_is_trained_there_needs_torch_and_numpy_alone(
    environments: list[Path], optbench: Command
) -> None:
    (site,) = environments[1].glob("lib/python*/site-packages")
    text = (site / "mine" / "__init__.py").read_text("utf-8")
    slow = environments[1].parent / "slow"
    shutil.copytree(environments[1], slow, symlinks=True)
    (place,) = slow.glob("lib/python*/site-packages/mine/__init__.py")
    place.write_text(text.replace('alpha=-group["lr"]', 'alpha=-0.2 * group["lr"]'), "utf-8")
    base, head = f"env:{environments[1]}", f"env:{slow}"
    asked = ("-o", "mine:Mine", "-p", "rosenbrock-2d", "--rung", "maths", "--rung", "convergence")
    said = optbench("compare", base, head, *asked, folder=slow)
    assert said.of("Mine")["convergence"] == "regressed"


def test_a_python_that_cannot_run_the_judge_says_what_it_lacks(
    environments: list[Path], optbench: Command, tmp_path: Path
) -> None:
    venv.create(tmp_path / "bare", symlinks=True)
    asked = (f"env:{tmp_path / 'bare'}", f"env:{environments[0]}", "-o", "mine:Mine")
    said = optbench("compare", *asked, folder=tmp_path, json_file=False)
    assert said.code == 2
    assert "does not import torch and numpy: ModuleNotFoundError: No module named" in said.errors


def test_a_killed_coordinator_leaves_no_process(environments: list[Path]) -> None:
    code = (
        "import sys, time\nfrom pathlib import Path\nfrom optbench.comparison.sides import SERVE\n"
        "from optbench.process.worker import WorkerProcess\nfrom optbench.sources import Tree\n"
        "tree = Tree('a', Path(sys.argv[2]), (), python=sys.argv[1])\n"
        "worker = WorkerProcess.begin(SERVE, Path(sys.argv[2]) / 'trail', tree, False, "
        "python=tree.python)\nprint(worker.process.pid, flush=True)\nsys.stdin.read()\n"
    )
    python = environments[0] / "bin" / "python"
    given = [sys.executable, "-c", code, str(python), str(environments[0])]
    pipe = subprocess.PIPE
    coordinator = subprocess.Popen(given, stdin=pipe, stdout=pipe, text=True)
    assert coordinator.stdout is not None
    import psutil

    worker = psutil.Process(int(coordinator.stdout.readline()))
    coordinator.kill()
    coordinator.wait()
    worker.wait(60)
