"""Refactors and rewrites: the same bits, the same rule, and nobody accused."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from benign import HANDLING, REFACTORS, REWRITES, STATE, Benign
from conftest import Command, Said
from repositories import Repository

pytestmark = pytest.mark.proof


CORPORA = {"refactors": REFACTORS, "rewrites": REWRITES, "state": STATE, "handling": HANDLING}


@pytest.fixture(scope="module", params=CORPORA.values(), ids=CORPORA)
def compared(
    request: pytest.FixtureRequest,
    optbench: Command,
    make_repository: Callable[[], Repository],
) -> tuple[tuple[Benign, ...], Said]:
    """Each commit changes another optimizer, so that one comparison judges all of them."""
    corpus: tuple[Benign, ...] = request.param
    repository = make_repository()
    for each in corpus:
        repository.changed(each.subject, each.module, *each.edits)
    said = optbench(
        "compare", f"HEAD~{len(corpus)}", "HEAD", "--rung", "maths", "--rung", "convergence",
        folder=repository.root,
    )  # fmt: skip
    return corpus, said


def test_every_one_is_what_it_is_and_no_other_is_accused(
    compared: tuple[tuple[Benign, ...], Said],
) -> None:
    corpus, said = compared
    expected = dict.fromkeys(said.verdicts, "identical")
    expected |= {each.optimizer: each.verdict for each in corpus}
    assert len(said.verdicts) == 10
    assert said.verdicts == expected
    assert said.code == 0


def test_convergence_is_not_asked_where_the_maths_is_the_same(
    compared: tuple[tuple[Benign, ...], Said],
) -> None:
    _, said = compared
    assert {row["convergence"] for row in said.content["optimizers"]} == {None}


def test_a_corpus_of_at_least_thirty() -> None:
    assert sum(map(len, CORPORA.values())) >= 30
