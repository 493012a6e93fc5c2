"""A store of a few real runs, for the commands that read one."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from optbench.engine.plan import Selection, plan
from optbench.store import Store, fill


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("filled") / "results.sqlite"
    selection = Selection(
        optimizers=("sgd", "adam", "adam[fused]"),
        problems=("quadratic", "rosenbrock-2d"),
        rates=(1e-3, 0.1, 1e6),
        seeds=(0, 1, 2, 3),
        budget=60,
    )
    with Store(str(path), create=True) as store:
        fill(store, plan([selection]).runs)
    return path


@pytest.fixture
def store(filled: Path, workplace: Path) -> Path:
    """The store of the session, copied to the default place of an empty folder."""
    path = workplace / ".optbench" / "results.sqlite"
    path.parent.mkdir()
    shutil.copy(filled, path)
    return path
