"""What a repository is like is read from its files, and what is wrong with it is said."""

from __future__ import annotations

from pathlib import Path

import pytest
from libraries import Library

from optbench.scaffold import ScaffoldError
from optbench.scaffold.optimizers import find_optimizers
from optbench.scaffold.repository import look
from optbench.sources import SourceError

ODD = """
import os, time, torch
from tinyopt.base import Base

class NeedsMore(Base):
    def __init__(self, params, total_steps):
        super().__init__(params, lr=1.0)

class NoRate(Base):
    def __init__(self, params):
        super().__init__(params, lr=1e-3)

    def update(self, p, grad, state, group):
        p.sub_(grad, alpha=1e-3)

class Exits(Base):
    def __init__(self, params, lr=1e-3):
        os._exit(3)
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Library:
    return Library.make(tmp_path_factory.mktemp("libraries") / "Mein Rép o", "flat")


def test_a_folder_that_is_no_library_is_told_why(tmp_path: Path, library: Library) -> None:
    with pytest.raises(ScaffoldError, match="no such folder"):
        look(tmp_path / "none")
    with pytest.raises(ScaffoldError, match="is in no git repository: git init makes one"):
        look(tmp_path)
    mono = Library.make(tmp_path / "mono")
    (mono.root / "part").mkdir()
    (mono.root / "pyproject.toml").rename(mono.root / "part" / "pyproject.toml")
    with pytest.raises(ScaffoldError, match="is built from one"):
        look(mono.root)
    with pytest.raises(ScaffoldError, match=r"part has one, but asv"):
        look(mono.root / "part")
    (mono.root / "pyproject.toml").write_text("[tool.optbench\n")
    with pytest.raises(SourceError, match=r"pyproject\.toml: Expected"):
        look(mono.root)
    (mono.root / "pyproject.toml").write_bytes(b"# \xff\n")
    with pytest.raises(SourceError, match="utf-8"):
        look(mono.root)
    assert look(library.package).root == library.root


def test_tests_and_benchmarks_stay_where_they_are(tmp_path: Path) -> None:
    made = Library.make(tmp_path / "library")
    assert [str(look(made.root).tests), str(look(made.root).benchmarks)] == ["tests", "benchmarks"]
    (made.root / "test").mkdir()
    assert str(look(made.root).tests) == "test"
    (made.root / "checks").mkdir()
    with (made.root / "pyproject.toml").open("a") as file:
        file.write('[tool.pytest.ini_options]\ntestpaths = ["../out", "gone", "checks"]\n')
    assert str(look(made.root).tests) == "checks"
    for said, wanted in (
        ('{\n  // "benchmark_dir": "no",\n  "benchmark_dir": "perf",\n}', "perf"),
        ('{"benchmark_dir": "../out"}', "benchmarks"),
        ('{\n "benchmark_dir": "/out"}', "benchmarks"),
        ("{}", "benchmarks"),
    ):
        (made.root / "asv.conf.json").write_text(said)
        assert str(look(made.root).benchmarks) == wanted


def test_an_optimizer_that_cannot_be_tracked_is_left_out_with_the_reason(library: Library) -> None:
    library.file("odd").write_text(ODD)
    found = find_optimizers(look(library.root), ["tinyopt:*", "tinyopt.odd:*"])
    assert found.patterns == ("tinyopt:*", "tinyopt.odd:*")
    assert found.trained == ("tinyopt:Adam", "tinyopt:SGD")
    assert found.targets == ("tinyopt.odd:NoRate", *found.trained)
    assert found.untrained == {"tinyopt.odd:NoRate": "its constructor takes no lr"}
    assert "its constructor needs total_steps" in found.left_out["tinyopt.odd:NeedsMore"]
    assert "ended with status 3" in found.left_out["tinyopt.odd:Exits"]
    # Nothing is left behind by it all.
    assert library.git("status", "--porcelain") == "?? tinyopt/odd.py"
    library.file("odd").unlink()


def test_where_there_is_no_optimizer_it_says_what_was_looked_at(library: Library) -> None:
    library.file("broken").write_text("import nothing_of_that_name\n")
    init = library.file("__init__").read_text("utf-8")
    library.file("__init__").write_text("")
    for module in ("adam", "sgd", "base"):
        library.file(module).rename(library.file(module).with_suffix(".txt"))
    with pytest.raises(ScaffoldError) as caught:
        find_optimizers(look(library.root))
    assert "no optimizer class was found in" in str(caught.value)
    assert "tinyopt.broken: ModuleNotFoundError: No module named" in str(caught.value)
    assert "-o package.module:Class names one" in str(caught.value)
    library.file("broken").unlink()
    for module in ("adam", "sgd", "base"):
        library.file(module).with_suffix(".txt").rename(library.file(module))
    library.file("__init__").write_text(init, "utf-8")
    with pytest.raises(ScaffoldError, match=r"(?s)not every.*'Adan' here; did you mean Adam"):
        find_optimizers(look(library.root), ["Adan", "SGD"])


def test_a_repository_without_a_package_is_told_so(tmp_path: Path) -> None:
    made = Library.make(tmp_path / "library")
    (made.root / "src").rename(made.root / "docs")
    with pytest.raises(ScaffoldError, match=r"(?s)no package in.*path and install in \[tool"):
        find_optimizers(look(made.root))
