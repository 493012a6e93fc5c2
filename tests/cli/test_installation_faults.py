"""Workers that cannot begin: one error, exit status 2, and not a word about any optimizer."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from optbench.store import Store

pytestmark = pytest.mark.proof

WORKERS_LACK_TORCH = """
import sys

if any("--multiprocessing-fork" in word or "forkserver" in word for word in sys.orig_argv):
    sys.modules["torch"] = None
"""

PACKAGE = "import torch\n\nclass Descent(torch.optim.SGD): ...\n"


CANNOT = "error: no worker process can begin here: the process ended with status 1:"


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("run -o sgd -o adam -p quadratic --seeds 2 --jobs 2 --store runs.sqlite", CANNOT),
        (
            "run -o sgd -p quadratic --dask local:1 --store runs.sqlite",
            "refuses sgd on quadratic",
        ),
        ("check torch.optim:SGD --json verdicts.json", CANNOT),
        ("compare dir:A dir:B --json comparison.json", CANNOT),
    ],
    ids=["run", "dask", "check", "compare"],
)
def test_the_installation_is_accused_and_nobody_else(
    tmp_path: Path, command: str, words: str
) -> None:
    (tmp_path / "sitecustomize.py").write_text(WORKERS_LACK_TORCH, "utf-8")
    for name in ("A", "B"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "smallopt.py").write_text(PACKAGE, "utf-8")
    ended = subprocess.run(
        [sys.executable, "-m", "optbench", *command.split()],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert ended.returncode == 2, ended.stderr
    assert words in ended.stderr
    assert "ModuleNotFoundError: import of torch halted" in ended.stderr
    assert "Descent" not in ended.stdout + ended.stderr
    assert not [*tmp_path.glob("*.json")]
    if command.startswith("run"):
        with Store(str(tmp_path / "runs.sqlite"), create=True) as store:
            assert store.runs().empty
