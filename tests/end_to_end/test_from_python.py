"""optbench called from Python, wherever the code stands: no worker runs that code again."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import nbclient
import nbformat
import pytest

pytestmark = pytest.mark.proof

FILL_AND_COMPARE = """
from optbench.comparison.compare import CompareConfig, compare
from optbench.runner.executors import executor
from optbench.engine.plan import Selection, plan
from optbench.sources import parse
from optbench.runner import fill
from optbench.store import Store

for place, where in enumerate(({"jobs": 2}, {"dask": "local:1"})):
    selection = Selection(
        optimizers=("sgd", "beside:Mine"), problems=("quadratic",), seeds=(place,), budget=20
    )
    with Store("results.sqlite", create=True) as store, executor(**where) as workers:
        progress = fill(store, plan([selection]).runs, executor=workers)
        print("filled:", progress.done, *store.runs()["status"])
found = compare(CompareConfig(parse("dir:A"), parse("dir:B"), rungs=("maths",)))
print("compared:", *(f"{row.name} {row.maths.verdict}" for row in found.optimizers))
"""

SAID = [
    "filled: 2 ok ok",
    "filled: 2 ok ok ok ok",
    "compared: smallopt:Descent changed",
]

DISTRIBUTED = """
from optbench.scenarios.introspect import introspect
from optbench.conformance.distributed import data_parallel_is_the_joint_batch

print(data_parallel_is_the_joint_batch(introspect("torch.optim:SGD")))
"""

DESCENT = """
import torch

class Descent(torch.optim.SGD):
    def __init__(self, params, lr=0.1, momentum=0.5):
        super().__init__(params, lr={factor} * lr, momentum=momentum)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """With two versions of a package, and a module beside what is run."""
    for name, factor in (("A", 1), ("B", 2)):
        (tmp_path / name / "smallopt").mkdir(parents=True)
        (tmp_path / name / "smallopt" / "__init__.py").write_text(
            DESCENT.format(factor=factor), "utf-8"
        )
    (tmp_path / "beside.py").write_text("import torch\n\nclass Mine(torch.optim.SGD): ...\n")
    return tmp_path


def python(folder: Path, *arguments: str, read: str | None = None) -> list[str]:
    ended = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder, input=read, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.splitlines()


def as_a_script(folder: Path, code: str) -> list[str]:
    (folder / "script.py").write_text(code, "utf-8")
    return python(folder, "script.py")


def from_standard_input(folder: Path, code: str) -> list[str]:
    return python(folder, "-", read=code)


def in_a_notebook(folder: Path, code: str) -> list[str]:
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)])
    resources = {"metadata": {"path": str(folder)}}
    nbclient.NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources=resources
    ).execute()
    said = [each.text for each in notebook.cells[0].outputs if each.get("name") == "stdout"]
    return "".join(said).splitlines()


@pytest.mark.parametrize("run", [as_a_script, from_standard_input, in_a_notebook])
def test_a_store_is_filled_and_folders_are_compared(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    run: Callable[[Path, str], list[str]],
) -> None:
    for variable in ("JUPYTER_RUNTIME_DIR", "IPYTHONDIR", "OPTBENCH_CACHE"):
        monkeypatch.setenv(variable, str(folder / variable))
    assert run(folder, FILL_AND_COMPARE) == SAID


def test_processes_of_the_fork_server_do_not_run_it_again_either(folder: Path) -> None:
    assert as_a_script(folder, DISTRIBUTED) == ["2 processes, 12 steps"]
