"""``optbench init`` adds, shows what differs, and replaces nothing unless it is told to."""

from __future__ import annotations

import ast
import json
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Optbench

sys.path.insert(0, str(Path(__file__).parents[1] / "scaffold"))
from libraries import Library

from optbench.scaffold import drafts
from optbench.scaffold.optimizers import Optimizers
from optbench.sources.configuration import read_configuration

WRITTEN = {
    *(".gitignore", "asv.conf.json", "pyproject.toml", "benchmarks/__init__.py"),
    *("benchmarks/optimizers.py", "tests/test_optimizer_contract.py"),
    ".github/workflows/optbench-nightly.yml",
    ".github/workflows/optbench-pull-request.yml",
    ".github/workflows/optbench-pull-request-comment.yml",
}


@pytest.fixture(autouse=True)
def found(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """What would be found; how it is found is for tests/scaffold/test_looking.py."""

    def give(*targets: str, left_out: dict[str, str] | None = None) -> None:
        one = Optimizers(("tinyopt:*",), targets, targets, {}, left_out or {}, {})
        monkeypatch.setattr(drafts, "find_optimizers", lambda *_: one)

    give("tinyopt:Adam", "tinyopt:SGD")
    return give


@pytest.fixture
def library(workplace: Path) -> Library:
    return Library.make(workplace / "Mein Rép o")


def test_it_writes_what_is_missing_and_then_has_nothing_to_do(
    optbench: Optbench, library: Library
) -> None:
    before = library.contents()
    dry = optbench("init", library.root, "--dry-run")
    assert library.contents() == before
    assert "9 files would be written" in dry.err
    first = optbench("init", library.root)
    assert (first.code, first.out) == (0, dry.out)
    changed = {name for name, content in library.contents().items() if before.get(name) != content}
    assert changed == WRITTEN
    assert "new: benchmarks/optimizers.py (" in first.out
    assert "added to: pyproject.toml\n--- a/pyproject.toml\n+++ b/pyproject.toml\n" in first.out
    after = library.contents()
    again = optbench("init", library.package)
    assert (again.code, again.out) == (0, "")
    assert "nothing to do" in again.err
    assert library.contents() == after


def test_what_it_writes_can_be_read(
    optbench: Optbench, library: Library, found: Callable[..., None]
) -> None:
    odd = "a\nreason: \"\"\" \\ '''"
    found("tinyopt:Adam", "tinyopt.ё:Ад", left_out={"tinyopt:Odd": odd})
    assert optbench("init", library.root).code == 0
    names = set()
    for file in ("benchmarks/optimizers.py", "tests/test_optimizer_contract.py"):
        body = ast.parse((library.root / file).read_text("utf-8"))
        (listed,) = (n.value for n in body.body if isinstance(n, ast.Assign))
        assert list(ast.literal_eval(listed)) == ["tinyopt:Adam", "tinyopt.ё:Ад"]
        names |= {node.name for node in ast.walk(body) if isinstance(node, ast.ClassDef)}
        text = (library.root / file).read_text("utf-8")
        assert "# Not tinyopt:Odd: a reason: " in text
        assert '"tinyopt.ё:Ад",' in text
    assert names == {"Convergence", "Step", "RelativeStep", "Memory"}
    asv = json.loads((library.root / "asv.conf.json").read_text("utf-8"))
    assert asv["branches"] == ["HEAD"]
    assert {asv[key].partition("/")[0] for key in ("env_dir", "results_dir", "html_dir")} == {
        ".asv"
    }
    assert all("--no-deps" in asv[key][0] for key in ("build_command", "install_command"))
    assert asv["matrix"]["env_nobuild"] == {"OMP_NUM_THREADS": ["1"], "MKL_NUM_THREADS": ["1"]}
    assert read_configuration(library.root).optimizers == ("tinyopt:*",)


def test_what_differs_is_left_alone_until_it_is_told_otherwise(
    optbench: Optbench, library: Library
) -> None:
    optbench("init", library.root)
    nightly = library.root / ".github/workflows/optbench-nightly.yml"
    theirs = nightly.read_text("utf-8").replace('"23 2 * * *"', '"0 5 * * 1"')
    nightly.write_text(theirs, "utf-8")
    (library.root / "benchmarks/optimizers.py").unlink()
    said = optbench("init", library.root)
    assert said.code == 1
    assert '-    - cron: "0 5 * * 1"\n+    - cron: "23 2 * * *"\n' in said.out
    assert "left as they are: .github/workflows/optbench-nightly.yml; --force would" in said.err
    assert nightly.read_text("utf-8") == theirs
    assert (library.root / "benchmarks/optimizers.py").exists()
    forced = optbench("init", library.root, "--force", "--dry-run")
    assert (forced.code, nightly.read_text("utf-8")) == (0, theirs)
    forced = optbench("init", library.root, "--force")
    assert forced.code == 0
    assert "replaced: .github/workflows/optbench-nightly.yml" in forced.out
    assert '"23 2 * * *"' in nightly.read_text("utf-8")
    assert optbench("init", library.root).out == ""


def test_a_table_that_is_there_stays(optbench: Optbench, library: Library) -> None:
    pyproject = library.root / "pyproject.toml"
    table = '\n[tool.optbench]\noptimizers = ["Adam"]  # mine\nfail-on = ["changed"]\n'
    with pyproject.open("a", encoding="utf-8") as file:
        file.write(table)
    text = pyproject.read_text("utf-8")
    said = optbench("init", library.root)
    assert said.code == 0
    assert pyproject.read_text("utf-8") == text
    assert "[tool.optbench] stays as it is; it would say\n" in said.err
    assert '"tinyopt:*",' in said.err


def test_what_is_there_keeps_its_comments_and_its_line_ends(
    optbench: Optbench, library: Library
) -> None:
    pyproject, ignored = library.root / "pyproject.toml", library.root / ".gitignore"
    theirs = pyproject.read_bytes().rstrip().replace(b"\n", b"\r\n")
    pyproject.write_bytes(theirs)
    ignored.write_bytes(b"*.pyc\n.asv\n/.optbench")
    assert optbench("init", library.root).code == 0
    assert pyproject.read_bytes().startswith(theirs)
    assert b"\n" not in pyproject.read_bytes().replace(b"\r\n", b"")
    assert tomllib.loads(pyproject.read_text("utf-8"))["tool"]["optbench"]
    assert ignored.read_bytes() == b"*.pyc\n.asv\n/.optbench\n/reports/nightly/\n"
    assert optbench("init", library.root).out == ""


def test_a_table_that_cannot_be_added_is_shown(optbench: Optbench, library: Library) -> None:
    pyproject = library.root / "pyproject.toml"
    text = 'tool = {ruff = {line-length = 100}}\n[project]\nname = "tinyopt"\n'
    pyproject.write_text(text)
    said = optbench("init", library.root)
    assert said.code == 2
    assert "no table can be added at its end" in said.err
    assert "[tool.optbench]" in said.err
    assert library.git("status", "--porcelain") == "M pyproject.toml"


def test_nothing_is_written_where_one_file_leads_out(
    optbench: Optbench, library: Library, tmp_path: Path
) -> None:
    (tmp_path / "outside").mkdir()
    (library.root / ".github").symlink_to(tmp_path / "outside")
    before = library.contents()
    said = optbench("init", library.root, "--force")
    assert said.code == 2
    assert "leads out of the repository" in said.err
    assert library.contents() == before
    assert list((tmp_path / "outside").iterdir()) == []


def test_wrong_use_is_answered(optbench: Optbench, workplace: Path, library: Library) -> None:
    assert "is in no git repository" in optbench("init").err
    assert "no such folder" in optbench("init", "nowhere").err
    said = optbench("init", library.root, "--optbench", "./optbench")
    assert said.code == 2
    assert "is nothing that asv could install" in said.err
    assert library.git("status", "--porcelain") == ""
