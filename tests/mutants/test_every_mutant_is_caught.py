"""The proof that the contract can fail: every bug is caught, and no correct twin is accused."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mutants import MUTANTS, Mutant
from mutants.__main__ import table
from mutants.proof import Proof, prove
from optbench.conformance.contract import CONTRACT

pytestmark = pytest.mark.proof


@pytest.fixture(scope="module")
def proofs() -> dict[int, Proof]:
    # Worker processes find the mutants as this one does.
    here = str(Path(__file__).parents[1])
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (here, before)))
    try:
        return {proof.mutant.number: proof for proof in prove(whole=False)}
    finally:
        os.environ.pop("PYTHONPATH")
        if before is not None:
            os.environ["PYTHONPATH"] = before


def named(target: str) -> str:
    return target.partition(":")[2]


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda m: f"{m.number}-{named(m.broken)}")
def test_a_bug_is_caught_by_a_check_that_ought_to(mutant: Mutant, proofs: dict[int, Proof]) -> None:
    if mutant.gpu:
        pytest.skip("it shows on a GPU only")
    proof = proofs[mutant.number]
    assert proof.caught, f"{mutant.title}: broken are {proof.caught_by}, not {mutant.caught_by}"


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda m: f"{m.number}-{named(m.correct)}")
def test_its_correct_twin_is_not_accused(mutant: Mutant, proofs: dict[int, Proof]) -> None:
    assert proofs[mutant.number].accused_of == ()


def test_the_table_names_every_bug_once(proofs: dict[int, Proof]) -> None:
    lines = table(list(proofs.values())).splitlines()[2:]
    assert [int(line.split("|")[1]) for line in lines] == [m.number for m in MUTANTS]
    assert [m.number for m in MUTANTS] == list(range(1, len(MUTANTS) + 1))
    assert not any("NOT CAUGHT" in line for line in lines)


def test_the_checks_that_ought_to_are_checks() -> None:
    names = {check.name for check in CONTRACT}
    assert all(set(mutant.caught_by) <= names and mutant.caught_by for mutant in MUTANTS)
