"""What is said of an optimizer is about it alone, and the verdict says what the tables do."""

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from synthetic import OPTIMIZERS, synthetic_results

from optbench.analysis import Results
from optbench.analysis.claims import Evidence, judged
from optbench.reporting.headline import verdict
from optbench.reporting.material import Material, ReportInputs
from optbench.reporting.page import gather
from optbench.reporting.sections import SECTIONS


def only(results: Results, optimizers: set[str]) -> Results:
    runs = results.runs[results.runs["optimizer"].isin(optimizers)]
    kept = set(runs["run"])
    return replace(
        results,
        runs=runs,
        targets=results.targets[results.targets["run"].isin(kept)],
        traces=results.traces[results.traces["run"].isin(kept)],
    )


# Names that stand before, between and after the others in any order by name.
EVERY = synthetic_results([*OPTIMIZERS, "aaa", "mmm", "zzz"], seeds=6)


def gathered(results: Results) -> Material:
    return gather(results, "adam", ReportInputs())


@pytest.fixture(scope="module")
def with_more() -> Material:
    return gathered(EVERY)


@pytest.fixture(scope="module")
def without() -> Material:
    return gathered(only(EVERY, set(OPTIMIZERS)))


@pytest.mark.parametrize("frame", ["scores", "areas", "curves", "pairs", "improvement", "bands"])
@pytest.mark.parametrize("league", [0, 1])
def test_another_optimizer_changes_no_bit_of_what_is_said_of_the_others(
    with_more: Material, without: Material, frame: str, league: int
) -> None:
    one, other = (
        getattr(m.standings[league], frame).query("optimizer in @OPTIMIZERS")
        for m in (without, with_more)
    )
    order = [c for c in ("optimizer", "problem", "share", "step") if c in one]
    one, other = (each.sort_values(order).reset_index(drop=True) for each in (one, other))
    assert len(one)
    pd.testing.assert_frame_equal(one, other, check_exact=True)


def test_another_optimizer_changes_no_claim() -> None:
    # Under the names that claims are about, so that there is something to be changed.
    every = synthetic_results(
        ["adam", "sgd", "momentum", "nadam", "rmsprop", "adagrad", "zzz"],
        ["quadratic", "rosenbrock-2d", "mnist-mlp", "beale", "l1", "himmelblau", "noisy-quadratic"],
        seeds=6,
    )
    found = []
    for results in (every, only(every, set(every.runs["optimizer"]) - {"zzz"})):
        material = gathered(results)
        leagues = [one.league for one in material.standings]
        found.append(judged(Evidence(material.results, *leagues, pd.DataFrame())))
    decided = 0
    for (claim, one), (_, other) in zip(*found, strict=True):
        decided += one.effect is not None
        assert (claim.name, one.verdict, one.text) == (claim.name, other.verdict, other.text)
        assert (one.effect, one.low, one.high) == (other.effect, other.low, other.high)
    assert decided >= 4


def test_the_verdict_names_the_first_with_the_interval_of_the_table(with_more: Material) -> None:
    which, for_what, cost = verdict(with_more)
    first = with_more.main.areas.iloc[0]
    assert f"{first['optimizer']} reaches targets soonest" in which
    assert f"{first['area']:.2f} [{first['low']:.2f}, {first['high']:.2f}]" in which
    for family in ("convex", "landscape", "network"):
        assert f"on {family} problems" in for_what
    assert re.search(r"tuning .* takes the median optimizer's area from 0\.\d\d to 0\.\d\d", cost)


def test_the_verdict_counts_the_words_of_the_pairs(with_more: Material) -> None:
    which = verdict(with_more)[0]
    words = with_more.main.overall["word"].value_counts()
    told = re.search(
        r"(\d+) are faster, (\d+) slower, (\d+) equivalent and (\d+) inconclusive", which
    )
    assert told is not None
    order = ("faster", "slower", "equivalent", "inconclusive")
    assert [int(n) for n in told.groups()] == [int(words.get(word, 0)) for word in order]


def test_who_ran_on_fewer_problems_cannot_be_first_of_all() -> None:
    results = synthetic_results(seeds=6)
    runs = results.runs
    easy = (runs["optimizer"] == "lion") & (runs["problem"] == "quadratic")
    kept = runs[(runs["optimizer"] != "lion") | easy]
    quick = kept.assign(
        steps_to_target=np.where(kept["optimizer"] == "lion", 1.0, kept["steps_to_target"])
    )
    targets = results.targets.copy()
    of_lion = targets["run"].isin(quick.loc[quick["optimizer"] == "lion", "run"])
    targets.loc[of_lion, "step"] = 1.0
    material = gathered(replace(results, runs=quick, targets=targets))
    assert material.main.areas["optimizer"].iloc[0] == "lion"
    assert "lion reaches targets soonest" not in verdict(material)[0]


def test_without_a_league_the_verdict_says_so() -> None:
    material = gathered(synthetic_results(["adam"], rates=[1e-3], seeds=1))
    assert len(verdict(material)) == 1
    assert "No run can be scored" in verdict(material)[0]


def test_who_ran_elsewhere_takes_nothing_from_the_others() -> None:
    results = synthetic_results([*OPTIMIZERS, "hermit"], seeds=6)
    runs = results.runs
    apart = (runs["optimizer"] == "hermit") == (runs["problem"] == "mnist-mlp")
    material = gathered(replace(results, runs=runs[apart]))
    names = [section.name for make in SECTIONS if (section := make(material)) is not None]
    assert {"by-rank", "profile", "ranking"} <= set(names)
    assert set(material.main.alike) == set(OPTIMIZERS)
    assert set(material.main.ranked["optimizer"]) == set(OPTIMIZERS)
    assert "hermit" in material.main.order
    assert "hermit" not in " ".join(verdict(material))


def test_what_tuning_brings_is_of_problems_that_were_tuned() -> None:
    results = synthetic_results(seeds=6)
    runs = results.runs
    easy_alone = runs[runs["default"] | (runs["problem"] == "quadratic")]
    material = gathered(replace(results, runs=easy_alone))
    told = re.search(r"that of adam from (\d\.\d\d) to (\d\.\d\d)", verdict(material)[2])
    assert told is not None
    on_quadratic = gathered(replace(results, runs=runs[runs["problem"] == "quadratic"]))
    default, tuned = (
        one.areas.set_index("optimizer").loc["adam", "area"] for one in on_quadratic.standings
    )
    assert told.groups() == (f"{default:.2f}", f"{tuned:.2f}")


def test_a_target_reached_with_the_last_step_is_reached() -> None:
    results = synthetic_results(seeds=6)
    targets = results.targets.assign(step=1000.0)
    sentences = verdict(gathered(replace(results, targets=targets)))
    assert "no optimizer reaches a target" not in sentences[0]
