"""The table of claims: its rows, what they name, and what else is in a store."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from made_evidence import ANSWER, evidence, noisy, ran

from optbench.analysis.claims import CLAIMS, Claim, Evidence, Finding, Verdict, judged
from optbench.analysis.claims import needed as lists
from optbench.analysis.claims.growth import SIZES
from optbench.analysis.claims.needed import command, needed
from optbench.analysis.claims.schedules import SCHEDULES
from optbench.analysis.claims.trying import TRIED
from optbench.analysis.leagues import default_league, tuned_league
from optbench.known_answers import KNOWN_ANSWERS
from optbench.optimizers import OPTIMIZERS
from optbench.optimizers.schedules import SCHEDULES as REGISTERED
from optbench.problems import PROBLEMS

PAGE = Path(__file__).parents[2] / "docs" / "claims.md"
NAMES = sorted({*TRIED, "lion", "signum", "adam-swarm"})
PLACES = sorted({*lists.GENERAL, *SIZES, "shallow-tanh", "wilson", "reddi"})


def store(optimizers: tuple[str, ...] = (), seeds: int = 4) -> Evidence:
    """Everything that the claims name, at two rates, with what else is asked for."""
    frames = [
        ran(
            name,
            place,
            noisy(100 + len(name), seeds, 0.3, salt=i),
            lr=lr,
            default=lr == 0.01,
            dimension=100 * (i + 1),
        )
        for i, place in enumerate(PLACES)
        for name in (*NAMES, *optimizers)
        for lr in (0.01, 0.1)
    ]
    frames += [
        ran(name, place, noisy(100, seeds), lr=lr, lr_schedule=schedule, default=False,
            hyperparameters=f'{{"lr_schedule":"{schedule}"}}')
        for name in (*("adam", "sgd"), *optimizers)
        for place in ("cliff", "deep-tanh")
        for lr in (0.01, 0.1)
        for schedule in SCHEDULES
    ]  # fmt: skip
    rows = [(row.name, "s", 1.0, 1.0, True, "so", "who") for row in KNOWN_ANSWERS]
    made = evidence(frames, tune=True, answers=pd.DataFrame(rows, columns=ANSWER))
    runs = made.results.runs
    at_end = pd.DataFrame({"run": runs["run"], "metric": "error_rate", "step": 1000, "value": 0.1})
    return replace(made, results=replace(made.results, traces=at_end))


@pytest.fixture(scope="module")
def full() -> Evidence:
    return store()


@pytest.fixture(scope="module")
def found(full: Evidence) -> list[tuple[Claim, Finding]]:
    return judged(full)


def shown(finding: Finding) -> tuple[object, ...]:
    numbers = tuple(repr(each) for each in (finding.effect, finding.low, finding.high))
    return (finding.verdict, finding.text, numbers, finding.unit, finding.runs)


def test_a_full_store_leaves_no_claim_without_its_runs(
    found: list[tuple[Claim, Finding]],
) -> None:
    for claim, finding in found:
        assert "missing" not in finding.text, (claim.name, finding.text)
        assert len(finding.detail), claim.name


def test_the_claims_are_judged_in_the_order_of_the_table(
    found: list[tuple[Claim, Finding]],
) -> None:
    assert [claim for claim, _ in found] == list(CLAIMS)


@pytest.mark.proof
def test_another_optimizer_changes_nothing(found: list[tuple[Claim, Finding]]) -> None:
    more = store(("rprop", "package.module:Class"))
    for (claim, before), (_, after) in zip(found, judged(more), strict=True):
        assert shown(before) == shown(after), claim.name


@pytest.mark.proof
def test_another_problem_changes_nothing(
    full: Evidence, found: list[tuple[Claim, Finding]]
) -> None:
    runs = full.results.runs
    quick = runs[(runs["problem"] == "quadratic").to_numpy()]
    other = quick.assign(
        problem="of-somebody-else",
        run=quick["run"] + runs["run"].max(),
        steps_to_target=np.where(quick["optimizer"] == "adam", 1.0, np.nan),
    )
    both = pd.concat([runs, other], ignore_index=True)
    more = replace(
        full,
        results=replace(full.results, runs=both),
        default=default_league(both),
        tuned=tuned_league(both),
    )
    for (claim, before), (_, after) in zip(found, judged(more), strict=True):
        assert shown(before) == shown(after), claim.name


@pytest.mark.proof
def test_the_order_of_the_rows_changes_nothing(
    full: Evidence, found: list[tuple[Claim, Finding]]
) -> None:
    runs = full.results.runs.sample(frac=1, random_state=1).reset_index(drop=True)
    mixed = replace(
        full,
        results=replace(full.results, runs=runs),
        default=default_league(runs),
        tuned=tuned_league(runs),
    )
    for (claim, before), (_, after) in zip(found, judged(mixed), strict=True):
        for one, other in zip(
            (before.effect, before.low, before.high), (after.effect, after.low, after.high),
            strict=True,
        ):  # fmt: skip
            assert one == other or one == pytest.approx(other, rel=1e-12), claim.name
        assert before.verdict is after.verdict, claim.name


def test_nothing_was_run(full: Evidence) -> None:
    none = full.results.runs.iloc[:0]
    empty = Evidence(
        replace(full.results, runs=none, targets=full.results.targets.iloc[:0]),
        default_league(none),
        tuned_league(none),
        pd.DataFrame(columns=ANSWER),
    )
    for claim, finding in judged(empty):
        assert finding.verdict is Verdict.INCONCLUSIVE, claim.name
        assert "To make them: optbench run" in finding.text or "known answer" in finding.text
        assert finding.effect is None


def test_what_the_claims_name_exists() -> None:
    for name in NAMES:
        assert name in OPTIMIZERS
    for place in PLACES:
        assert place in PROBLEMS
    for schedule in SCHEDULES:
        assert schedule in REGISTERED


def test_the_fitted_models_are_fitted_and_no_problem_stands_twice() -> None:
    assert len(set(lists.GENERAL)) == len(lists.GENERAL) == 26
    assert len(lists.TRAINED) == 8
    assert set(lists.TRAINED) < set(lists.GENERAL)
    assert {PROBLEMS[name].family for name in lists.NOISY} == {"noisy"}
    assert not {PROBLEMS[name].family for name in lists.GENERAL} & {"counterexample"}


def test_the_rows_are_whole() -> None:
    assert len({claim.name for claim in CLAIMS}) == len(CLAIMS) == 19
    for claim in CLAIMS:
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", claim.name)
        assert claim.group in ("folklore", "literature")
        for sentence in (claim.words, claim.needs, claim.statistic):
            assert sentence.endswith(".")
        assert "support" in claim.statistic or "refutes" in claim.statistic


def test_a_missing_pair_is_named_with_its_command() -> None:
    runs = evidence([ran("adam", "a", [1.0]), ran("sgd", "b", [1.0])]).results.runs
    assert len(needed(runs, ("adam", "sgd"), ("a", "b"))) == 2
    with pytest.raises(LookupError, match="-o sgd -p a") as raised:
        needed(runs, ("sgd",), ("a", "b"), each=True)
    assert "-p b" not in str(raised.value)


def test_commands_name_few_problems_and_else_the_suite() -> None:
    assert command(("adam",), ("a", "b")) == "optbench run -o adam -p a -p b --tune --seeds 10"
    assert command(("adam",), lists.GENERAL) == "optbench run --suite nightly"


def test_the_page_has_every_claim_with_what_decides_it() -> None:
    text = " ".join(PAGE.read_text(encoding="utf-8").split())
    for claim in CLAIMS:
        assert f"`{claim.name}`" in text, claim.name
        for sentence in (claim.words, claim.source, claim.statistic, claim.needs):
            assert sentence in text, (claim.name, sentence)
