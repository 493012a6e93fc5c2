"""What the tests of store, command line and end to end share: a place, and a command to call."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from postgres_server import postgres  # noqa: F401 - a fixture

VARIABLES = ("OPTBENCH_STORE", "OPTBENCH_DATA", "OPTBENCH_MIRROR")

LONGEST = ("conformance", "end_to_end", "mutants", "scaffold", "workflows")
"""Folders of the proofs that take minutes a file."""


class Outcome(NamedTuple):
    """What a command left: exit status, standard output, standard error."""

    code: int
    out: str
    err: str


Optbench = Callable[..., Outcome]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with proofs first, of these the longest: none ends a run, alone on its core."""
    long = {item.path for item in items if item.get_closest_marker("proof")}
    items.sort(key=lambda item: (item.path not in long, item.path.parent.name not in LONGEST))


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty current folder, none of our variables set; modules made there are forgotten."""
    monkeypatch.chdir(tmp_path)
    for variable in VARIABLES:
        # Set and taken away, so that what a command sets is taken away at the end, too.
        monkeypatch.setenv(variable, "")
        monkeypatch.delenv(variable)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield tmp_path
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None) or "").startswith(f"{tmp_path}/"):
            del sys.modules[name]


@pytest.fixture
def optbench(
    workplace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Optbench:
    """``optbench`` as a function, in this process: torch is imported once for all tests."""
    from optbench.cli import main

    def call(*arguments: object) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["optbench", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        return Outcome(int(ended.value.code or 0), out, err)

    return call


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of a few real runs."""
    from optbench.engine.plan import Selection, plan
    from optbench.runner import fill
    from optbench.store import Store

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
