"""What the fault suite compares with: the same runs where nobody disturbs them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from faults.campaign import ASKED, PATIENCE_S, Campaign


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The store of a suite that ran to its end, in one process."""
    store = tmp_path_factory.mktemp("undisturbed") / "results.sqlite"
    subprocess.run(
        [sys.executable, "-m", "optbench", "run", *ASKED, "--jobs", "0", "--store", str(store)],
        check=True,
        timeout=PATIENCE_S,
        capture_output=True,
    )
    return str(store)


@pytest.fixture
def here(tmp_path: Path, request: pytest.FixtureRequest) -> Campaign:
    """A campaign on a SQLite file, seeded by the name of its test."""
    seed = sum(map(ord, request.node.name))
    return Campaign(tmp_path, ("--jobs", "2", "--store", str(tmp_path / "results.sqlite")), seed)
