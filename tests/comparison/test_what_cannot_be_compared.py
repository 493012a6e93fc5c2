"""Bad input: a clear message or row for each, and never a success that compared nothing."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from conftest import Command
from repositories import Repository

pytestmark = pytest.mark.proof


def refused(optbench: Command, *arguments: str, folder: Path) -> str:
    """What is said when the exit status is 2."""
    said = optbench("compare", *arguments, folder=folder)
    assert said.code == 2, (said.out, said.errors)
    assert said.errors.startswith("error: ")
    assert said.content == {}
    return said.errors


def test_an_unknown_revision_is_met_with_the_nearest_name(
    repository: Repository, optbench: Command
) -> None:
    said = refused(optbench, "mian", folder=repository.root)
    assert "'mian' is not a commit" in said
    assert "did you mean main?" in said


def test_a_shallow_clone_is_told_how_to_deepen(repository: Repository, optbench: Command) -> None:
    repository.commit("second")
    shallow = repository.root.parent / "shallow"
    url = repository.root.as_uri()
    subprocess.run(["git", "clone", "--quiet", "--depth=1", url, str(shallow)], check=True)
    said = refused(optbench, "HEAD~1", folder=shallow)
    assert "shallow clone" in said
    assert "git fetch --unshallow" in said


def test_outside_a_repository_other_sources_are_named(tmp_path: Path, optbench: Command) -> None:
    said = refused(optbench, "main", folder=tmp_path)
    assert "is in no git repository" in said
    assert "dir:PATH" in said


def test_a_package_that_cannot_be_installed(tmp_path: Path, optbench: Command) -> None:
    wheel = tmp_path / "broken-1.0-py3-none-any.whl"
    wheel.write_bytes(b"no archive")
    said = refused(optbench, f"pip:{wheel}", "dir:.", folder=tmp_path)
    assert "pip cannot install" in said


def test_where_there_is_no_optimizer_nothing_was_compared(
    tmp_path: Path, optbench: Command
) -> None:
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "plain.py").write_text("VALUE = 1\n")
    said = refused(optbench, "dir:one", "dir:other", folder=tmp_path)
    assert "nothing was compared" in said
    said = refused(optbench, "dir:one", "dir:other", "-o", "plain:Adam", folder=tmp_path)
    assert "has no 'Adam'" in said


def twins(folder: Path, files: dict[str, str]) -> None:
    """Two folders with the same package."""
    for side in ("one", "other"):
        package = folder / side / "mine"
        package.mkdir(parents=True)
        for name, text in files.items():
            (package / name).write_text(text)


DEEPER = "import torch\nclass Mine(torch.optim.SGD):\n    pass\n"
NEEDS = f"{DEEPER}    def __init__(self, params, horizon): super().__init__(params)\n"


def test_a_package_whose_optimizers_are_deeper_down_is_told_where(
    tmp_path: Path, optbench: Command
) -> None:
    twins(tmp_path, {"__init__.py": "", "mod.py": DEEPER})
    said = refused(optbench, "dir:one", "dir:other", "-o", "mine:*", folder=tmp_path)
    assert "no optimizer in 'mine' fits '*'; there are some in mine.mod:*" in said


def test_what_stands_on_both_sides_and_cannot_be_made_is_not_said_to_be_missing(
    tmp_path: Path, optbench: Command
) -> None:
    twins(tmp_path, {"__init__.py": "", "mod.py": NEEDS})
    said = refused(optbench, "dir:one", "dir:other", "-o", "mine.mod:Mine", folder=tmp_path)
    assert "no optimizer that is on both sides can be stepped on the base" in said
    assert "its constructor needs horizon" in said
    assert "no optimizer is on both sides" not in said


CHANGED_BY_LOADING = f"""{DEEPER}
    changed = False

    def load_state_dict(self, state_dict):
        super().load_state_dict(state_dict)
        type(self).changed = True

    def step(self, closure=None):
        if self.changed:
            BROKEN
        return super().step(closure)
"""


def test_one_scenario_does_not_bring_about_the_difference_of_the_next(
    tmp_path: Path, optbench: Command
) -> None:
    twins(tmp_path, {"__init__.py": "", "mod.py": CHANGED_BY_LOADING.replace("BROKEN", "pass")})
    head = tmp_path / "other" / "mine" / "mod.py"
    head.write_text(CHANGED_BY_LOADING.replace("BROKEN", "raise KeyError('changed')"))
    asked = ("dir:one", "dir:other", "-o", "mine.mod:Mine", "--rung", "maths")
    said = optbench("compare", *asked, folder=tmp_path).of("Mine")
    assert said["maths"] == "broken"
    # Each of them loads a state, and no other one.
    differing = said["differing_scenarios"]
    assert all("load" in name or "checkpoint" in name for name in differing), differing


def test_a_changed_file_that_no_optimizer_imports_is_named(
    tmp_path: Path, optbench: Command
) -> None:
    files = {"__init__.py": "from . import sched\n", "mod.py": DEEPER, "sched.py": "STEPS = 1\n"}
    twins(tmp_path, files)
    asked = ("dir:one", "dir:other", "-o", "mine.mod:Mine", "--rung", "maths")
    assert optbench("compare", *asked, folder=tmp_path).content["notes"] == []
    (tmp_path / "other" / "mine" / "sched.py").write_text("STEPS = 2\n")
    said = optbench("compare", *asked, folder=tmp_path)
    assert (said.code, said.verdicts) == (0, {"Mine": "identical"})
    assert "changed, and not looked at, for nothing that was compared imports it: " in said.out
    assert said.content["notes"][0].endswith(": mine/sched.py")


def test_what_comes_from_elsewhere_is_not_taken_for_the_tree_s(
    repository: Repository, optbench: Command
) -> None:
    said = refused(optbench, "HEAD", "-o", "torch.optim:Adam", folder=repository.root)
    assert "torch.optim is not in" in said


def test_a_side_that_does_not_import_says_why(repository: Repository, optbench: Command) -> None:
    init = repository.file("__init__")
    init.write_text("import nothing_of_that_name\n", "utf-8")
    said = optbench("compare", "HEAD", "-o", "tinyopt:Adam", folder=repository.root)
    assert said.of("Adam")["maths"] == "broken"
    assert "No module named 'nothing_of_that_name'" in said.out
    assert said.code == 1
    repository.commit("imports nothing")
    said_of_the_base = refused(optbench, "HEAD", "-o", "tinyopt:Adam", folder=repository.root)
    assert "No module named 'nothing_of_that_name'" in said_of_the_base


def test_a_wrong_key_in_the_table_is_named_by_its_path(
    repository: Repository, optbench: Command
) -> None:
    pyproject = repository.root / "pyproject.toml"
    text = pyproject.read_text("utf-8")
    pyproject.write_text(text + "\n[tool.optbench]\noptimisers = ['tinyopt:Adam']\n", "utf-8")
    said = refused(optbench, "HEAD", folder=repository.root)
    assert "tool.optbench.optimisers" in said
    assert "known are optimizers" in said


def test_the_table_says_which_are_compared_and_what_fails(
    repository: Repository, optbench: Command
) -> None:
    pyproject = repository.root / "pyproject.toml"
    table = "\n[tool.optbench]\noptimizers = ['tinyopt:Adam*']\nfail-on = ['changed']\n"
    pyproject.write_text(pyproject.read_text("utf-8") + table, "utf-8")
    repository.change("adam", ("eps=1e-8", "eps=1e-7"))
    said = optbench("compare", "HEAD", "--rung", "maths", folder=repository.root)
    assert set(said.verdicts) == {"Adam", "AdamW", "Adamax"}
    assert said.code == 1
    assert "found: changed" in said.errors


def test_one_that_cannot_be_constructed_is_listed_with_the_reason(
    repository: Repository, optbench: Command
) -> None:
    repository.change("lion", ("lr=1e-4", "horizon, lr=1e-4"))
    repository.commit("needs a horizon")
    said = optbench(
        "compare", "HEAD", "-o", "Lion", "-o", "Adam", "--rung", "maths", folder=repository.root
    )
    (refusal,) = said.content["not_constructible"]
    assert refusal["name"] == "tinyopt:Lion"
    assert "its constructor needs horizon" in refusal["reason"]
    assert said.verdicts == {"Adam": "identical"}
    said = optbench(
        "compare", "HEAD", "-o", "Lion", "--set", "horizon=3", "--rung", "maths",
        folder=repository.root,
    )  # fmt: skip
    assert said.verdicts == {"Lion": "identical"}
