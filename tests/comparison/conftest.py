"""What the tests of compare share: repositories, the command, a cache of their own."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from repositories import Repository

from optbench.cli import main

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
    """Run the command line in a folder; ``json_file`` reads what it writes.

    In this process, which has imported torch, and whose sides are forked from one server;
    ``process`` begins one as a shell does.
    """

    def run(*arguments: str, folder: Path, json_file: bool = True, process: bool = False) -> Said:
        file = tmp_path_factory.mktemp("said") / "said.json"
        given = [*arguments, *(("--json", str(file)) if json_file else ())]
        code, out, errors = (_begun if process else _called)(given, folder, environment)
        content = json.loads(file.read_text("utf-8")) if file.exists() else {}
        assert "Traceback" not in errors, errors
        return Said(code, out, errors, content)

    return run


def _begun(given: list[str], folder: Path, environment: dict[str, str]) -> tuple[int, str, str]:
    answer = subprocess.run(
        [*OPTBENCH, *given], cwd=folder, env=environment, capture_output=True, text=True,
        check=False, timeout=600,
    )  # fmt: skip
    return answer.returncode, answer.stdout, answer.stderr


def _called(given: list[str], folder: Path, environment: dict[str, str]) -> tuple[int, str, str]:
    out, errors = io.StringIO(), io.StringIO()
    terminated = signal.getsignal(signal.SIGTERM)
    with pytest.MonkeyPatch.context() as here, redirect_stdout(out), redirect_stderr(errors):
        here.chdir(folder)
        here.setattr(sys, "path", list(sys.path))
        here.setattr(sys, "argv", ["optbench", *given])
        for name, value in environment.items():
            here.setenv(name, value)
        with pytest.raises(SystemExit) as ended:
            main()
    signal.signal(signal.SIGTERM, terminated)
    return int(ended.value.code or 0), out.getvalue(), errors.getvalue()


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository.make(tmp_path / "tinyopt")


@pytest.fixture(scope="session")
def make_repository(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Repository]:
    return lambda: Repository.make(tmp_path_factory.mktemp("repository") / "tinyopt")
