"""What the tests of compare share: repositories, the command, a cache of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from repositories import Repository

OPTBENCH = (sys.executable, "-m", "optbench")


@dataclass(frozen=True)
class Said:
    """What a command came to: its status, what it printed, and its JSON."""

    code: int
    out: str
    errors: str
    content: dict[str, Any]

    def of(self, name: str) -> dict[str, Any]:
        """The row of an optimizer."""
        (row,) = [r for r in self.content["optimizers"] if r["name"].endswith(f":{name}")]
        return dict(row)

    @property
    def verdicts(self) -> dict[str, str]:
        """Class to what became of its maths."""
        return {r["name"].partition(":")[2]: r["maths"] for r in self.content.get("optimizers", ())}


Command = Callable[..., Said]


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def environment(cache: Path) -> dict[str, str]:
    # A user's own git settings and hooks are none of a test's matter.
    nobody = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    return {**os.environ, **nobody, "OPTBENCH_CACHE": str(cache)}


@pytest.fixture(scope="session")
def optbench(environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Command:
    """Run the command line in a folder; ``json=True`` reads what it writes."""

    def run(*arguments: str, folder: Path, json_file: bool = True) -> Said:
        file = tmp_path_factory.mktemp("said") / "said.json"
        given = (*arguments, "--json", str(file)) if json_file else arguments
        answer = subprocess.run(
            [*OPTBENCH, *given], cwd=folder, env=environment, capture_output=True, text=True,
            check=False, timeout=600,
        )  # fmt: skip
        content = json.loads(file.read_text("utf-8")) if file.exists() else {}
        assert "Traceback" not in answer.stderr, answer.stderr
        return Said(answer.returncode, answer.stdout, answer.stderr, content)

    return run


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository.make(tmp_path / "tinyopt")


@pytest.fixture(scope="session")
def make_repository(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Repository]:
    return lambda: Repository.make(tmp_path_factory.mktemp("repository") / "tinyopt")
