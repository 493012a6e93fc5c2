"""The planted commit is found among sixty-four, also where some of them do not import."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from conftest import Command
from repositories import Repository

pytestmark = pytest.mark.proof

BROKEN_AT = range(30, 34)
PLANTED_AT = 41


@pytest.fixture(scope="module")
def history(make_repository: Callable[[], Repository]) -> Iterator[tuple[Repository, list[str]]]:
    """65 commits; the 41st after the first leaves out Adam's second correction."""
    with pytest.MonkeyPatch.context() as environment:
        # Where a commit is skipped, git goes on by the hashes of those beside it: with the time of
        # day in them, now and then by one comparison more.
        for who in ("AUTHOR", "COMMITTER"):
            environment.setenv(f"GIT_{who}_DATE", "2026-01-01T12:00:00+00:00")
        yield _with_commits(make_repository())


def _with_commits(repository: Repository) -> tuple[Repository, list[str]]:
    commits = [repository.git("rev-parse", "HEAD")]
    for number in range(1, 65):
        readme = repository.root / "README.md"
        readme.write_text(f"{number}\n")
        init = repository.file("__init__")
        if number == BROKEN_AT[0]:
            init.write_text("import nothing_of_that_name\n" + init.read_text("utf-8"), "utf-8")
        if number == BROKEN_AT[-1] + 1:
            init.write_text(init.read_text("utf-8").partition("\n")[2], "utf-8")
        if number == PLANTED_AT:
            repository.change(
                "adam",
                ('        correction2 = 1 - beta2 ** state["step"]', "        correction2 = 1.0"),
            )
        commits.append(repository.commit(f"commit {number}"))
    return repository, commits


def test_it_is_found_with_its_subject_and_evidence_in_seven_comparisons(
    history: tuple[Repository, list[str]], optbench: Command
) -> None:
    repository, commits = history
    before = repository.git("for-each-ref"), repository.git("status", "--porcelain")
    said = optbench("bisect", commits[0], "HEAD", "-o", "Adam", folder=repository.root)
    assert said.content["first_bad"] == commits[PLANTED_AT]
    assert f"commit {PLANTED_AT} (T, " in said.content["described"]
    assert f"first bad commit: {said.content['described']}" in said.out
    compared = [t for t in said.content["tried"] if t["judgement"] != "skip"]
    skipped = [t for t in said.content["tried"] if t["judgement"] == "skip"]
    assert len(compared) <= 7
    assert f"{len(compared)} comparisons" in said.errors
    assert all("nothing_of_that_name" in t["text"] for t in skipped)
    (evidence,) = (t for t in compared if t["commit"] == commits[PLANTED_AT])
    assert evidence["optimizers"][0]["maths"] == "changed"
    assert "differs from step 1 on" in said.out
    assert (repository.git("for-each-ref"), repository.git("status", "--porcelain")) == before
    assert said.code == 0


def test_commits_that_do_not_import_may_stand_in_the_way(
    history: tuple[Repository, list[str]], optbench: Command
) -> None:
    repository, commits = history
    # What is between two that import does not: the change may have come with any of them.
    repository.git("checkout", "--quiet", "-b", "hidden", commits[BROKEN_AT[1]])
    repository.change("sgd", ("        buffer.mul_", "        buffer.mul_(0.5).mul_"))
    culprit = repository.commit("SGD, while nothing imports")
    init = repository.file("__init__")
    init.write_text(init.read_text("utf-8").partition("\n")[2], "utf-8")
    repository.commit("imports again")
    said = optbench(
        "bisect", commits[BROKEN_AT[0] - 1], "hidden", "-o", "SGD", folder=repository.root
    )
    assert said.code == 1
    assert said.content["first_bad"] is None
    assert culprit in said.content["suspects"]
    assert "the first bad commit is one of these" in said.errors


def test_without_a_difference_there_is_nothing_to_find(
    history: tuple[Repository, list[str]], optbench: Command
) -> None:
    repository, commits = history
    said = optbench("bisect", commits[0], commits[20], "-o", "Adam", folder=repository.root)
    assert said.code == 2
    assert "does not differ" in said.errors
    said = optbench("bisect", commits[20], commits[0], "-o", "Adam", folder=repository.root)
    assert said.code == 2
    assert "is not an ancestor of" in said.errors
