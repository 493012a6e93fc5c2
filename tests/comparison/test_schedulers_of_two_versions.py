"""Schedulers of changed files that no optimizer imports have rows of their own."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from conftest import Command

pytestmark = pytest.mark.proof

OPTIMIZER = """
from torch.optim import SGD

class Mine(SGD):
    pass
"""

SCHEDULES = """
from torch.optim.lr_scheduler import LRScheduler

class {name}(LRScheduler):
    def __init__(self, optimizer, factor, last_epoch=-1, floor=0.0):
        self.factor, self.floor = factor, floor
        super().__init__(optimizer, last_epoch)

    def get_lr(self):
        return [{rate} for base in self.base_lrs]
"""

POWERS = "base * self.factor ** self.last_epoch"

# The rule that the argument is for, and one that has forgotten it.
FORGETS = ("max(base * self.factor ** self.last_epoch, self.floor)", POWERS)

RULES = {
    "Same": (POWERS, POWERS),
    "Forgets": FORGETS,
    "Faster": (POWERS, "base * self.factor ** (2 * self.last_epoch)"),
    "Raises": (POWERS, "base.item() * self.factor"),
    "Rounds": (POWERS, "self.factor ** self.last_epoch * base * 3 / 3"),
}
"""Rates of each class on the base and on the head."""


def write(folder: Path) -> None:
    """Write both versions of a package with schedulers."""
    for side in (0, 1):
        package = folder / str(side) / "theirs"
        package.mkdir(parents=True)
        (package / "__init__.py").write_text(OPTIMIZER, "utf-8")
        text = "".join(SCHEDULES.format(name=n, rate=rule[side]) for n, rule in RULES.items())
        (package / "sched.py").write_text(f"{text}\nSIDE = {side}\n", "utf-8")
        (package / "notes.py").write_text(f"SIDE = {side}\n", "utf-8")


def test_each_class_is_stepped_on_both_sides(optbench: Command, tmp_path: Path) -> None:
    write(tmp_path)
    said = optbench("compare", "dir:0", "dir:1", "--rung", "maths", folder=tmp_path)
    assert said.verdicts == {
        "Mine": "identical", "Same": "identical", "Faster": "changed", "Raises": "broken",
        "Rounds": "rounding", "Forgets": "changed",
    }  # fmt: skip
    # In all but what becomes of a rate that is a tensor, which is changed in place.
    assert re.search(r"in (\d+) of (\d+) scenarios", said.of("Faster")["maths_text"])
    assert "differs in the learning rates; floor=" in said.of("Forgets")["maths_text"]
    # What was looked at is not said to be left out.
    (note,) = said.content["notes"]
    assert "theirs/notes.py" in note
    assert "sched.py" not in note


def test_one_that_is_named_is_compared_and_not_refused(optbench: Command, tmp_path: Path) -> None:
    write(tmp_path)
    given = ("dir:0", "dir:1", "--rung", "maths", "-o", "theirs.sched:Faster")
    said = optbench("compare", *given, folder=tmp_path)
    assert said.verdicts["Faster"] == "changed"
    assert "theirs.sched:Faster" not in [row["name"] for row in said.content["not_constructible"]]


def test_one_that_is_named_is_compared_alone(optbench: Command, tmp_path: Path) -> None:
    write(tmp_path)
    named = ("-o", "theirs.sched:Faster", "--rung", "maths")
    assert optbench("compare", "dir:0", "dir:1", *named, folder=tmp_path).verdicts == {
        "Faster": "changed"
    }
    # Whether its file changed or not.
    same = optbench("compare", "dir:1", "dir:1", *named, folder=tmp_path)
    assert same.verdicts == {"Faster": "identical"}
