"""Every historical bug, put in by a commit, is seen, and the scenario that shows it is named."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import Command, Said
from mutants.catalogue import MUTANTS, Mutant
from repositories import Repository

pytestmark = pytest.mark.proof

HERE = Path(__file__).parents[1] / "mutants"

NAMED = {
    1: "only with foreach=True, amsgrad=True",
    2: "in every scenario but",
    3: "from step 2 on",
    4: "from step 1 on",
    5: "from step 1 on",
    6: "weight_decay",
    7: "weight_decay",
    8: "differs from step 1 on",
    9: "in every scenario but",
    10: "differs from step 1 on",
    11: "from step 1 on",
    12: "from step 1 on",
    13: "from step 2 on",
    14: "from step 1 on",
    15: "in every scenario but",
    16: "the defaults among them",
    17: "saves_and_loads_at_step_301",
    18: "only with foreach=True and sparse gradients",
    19: "only with fused=True and GradScaler, sometimes infinite",
    20: "raises with",
    22: "from step 3 on",
    23: "the defaults among them",
    24: "from step 2 on",
    28: "gradients of other strides",
    33: "only with uncoalesced sparse gradients",
    35: "only with complex parameters",
    36: "mean magnitude of the parameters",
    37: "only with a load in the same process",
    40: "the caller's parameter groups",
    43: "gradients after zero_grad()",
    44: "calls of step hooks",
    45: "another amsgrad from step 5 on",
    46: "gradients that come and go",
    47: "GradScaler, unscale_",
    48: "the derivative of a differentiable step",
    53: "a learning rate of zero",
    54: "eval() and back to train()",
}
"""What the verdict says of some."""

COSTS = frozenset((21, 52))
"""Bugs that compute the same, and cost more."""

SPARED = {15: "nesterov=False", 16: "a parameter without a gradient"}
"""A scenario that must not differ."""


def export(repository: Repository, which: str) -> None:
    """A package that exports a class a bug, broken or correct."""
    lines = []
    for each in MUTANTS:
        module, _, name = getattr(each, which).partition(":")
        lines.append(f"from {module} import {name} as Bug{each.number:02d}\n")
    names = ", ".join(f'"Bug{each.number:02d}"' for each in MUTANTS)
    folder = repository.root / "src" / "suspects"
    folder.mkdir(exist_ok=True)
    (folder / "__init__.py").write_text("".join(lines) + f"__all__ = [{names}]\n", "utf-8")


@pytest.fixture(scope="module")
def said(optbench: Command, make_repository: Callable[[], Repository]) -> Said:
    repository = make_repository()
    shutil.copytree(
        HERE, repository.root / "src" / "mutants",
        ignore=shutil.ignore_patterns("__pycache__", "test_*", "__main__.py", "proof.py"),
    )  # fmt: skip
    export(repository, "correct")
    repository.commit("correct")
    export(repository, "broken")
    repository.commit("broken")
    compared = ("compare", "HEAD~1", "HEAD", "--rung", "maths")
    said = optbench(*compared, "-o", "suspects:*", folder=repository.root)
    which = [argument for number in COSTS for argument in ("-o", f"suspects:Bug{number:02d}")]
    weighed = optbench(*compared, "--rung", "memory", *which, folder=repository.root)
    rows = {row["name"]: row for each in (said, weighed) for row in each.content["optimizers"]}
    return replace(said, content={**said.content, "optimizers": [*rows.values()]})


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda m: f"{m.number}-{m.broken}")
def test_a_bug_is_seen_and_the_scenario_named(said: Said, mutant: Mutant) -> None:
    row = said.of(f"Bug{mutant.number:02d}")
    if mutant.number not in COSTS:
        assert row["maths"] in ("changed", "broken")
        assert NAMED.get(mutant.number, "") in row["maths_text"]
        assert row["first_difference"]["scenario"] in row["differing_scenarios"]
        assert SPARED.get(mutant.number) not in row["differing_scenarios"]
    else:
        # A number that became a tensor is rounded otherwise in narrow types.
        assert row["maths"] in ("identical", "rounding")
    if mutant.number == 52:
        assert row["memory"] == "leak"
    if mutant.number == 21:
        # Counted, not timed: operations of a step before and after loading.
        assert row["speed"] == "slower"
        assert row["cost"]["operations_after_loading"][1] > 1.25


def test_nothing_was_left_out(said: Said) -> None:
    assert len(said.verdicts) == len(MUTANTS) == 54
    assert said.content["not_constructible"] == []
    assert said.code == 1
