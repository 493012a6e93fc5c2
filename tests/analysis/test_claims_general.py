"""Claims about an optimizer in general: made-up runs whose truth is known."""

from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest
from made_evidence import evidence, judge, noisy, ran

from optbench.analysis.claims import Verdict
from optbench.analysis.claims.general import HARDLY, at_common_rates
from optbench.analysis.claims.needed import GENERAL, TRAINED
from optbench.analysis.claims.ratios import by_problem, over_problems

OTHERS = tuple(name for name in GENERAL if name not in TRAINED)


def pair(
    optimizer: str,
    baseline: str,
    ratio: dict[str, float] | float,
    problems: tuple[str, ...] = GENERAL,
    seeds: int = 10,
) -> list[pd.DataFrame]:
    """Steps of one at such a ratio to the other's, on each problem, with 2 % of noise."""
    frames = []
    for salt, problem in enumerate(problems):
        r = ratio[problem] if isinstance(ratio, dict) else ratio
        frames += [
            ran(baseline, problem, noisy(200, seeds, salt=salt)),
            ran(optimizer, problem, noisy(200 * r, seeds, salt=1000 + salt)),
        ]
    return frames


def split(trained: float, others: float) -> dict[str, float]:
    return {**dict.fromkeys(TRAINED, trained), **dict.fromkeys(OTHERS, others)}


@pytest.mark.parametrize(
    ("ratio", "verdict"),
    [
        (0.6, Verdict.SUPPORTED),
        (1.5, Verdict.REFUTED),
        (1.0, Verdict.REFUTED),  # as fast is not faster
        # A claim about training is decided where something is trained.
        (split(0.6, 3.0), Verdict.SUPPORTED),
        (split(1.7, 0.2), Verdict.REFUTED),
    ],
)
def test_faster_is_decided_over_the_problems_that_train(
    ratio: dict[str, float] | float, verdict: Verdict
) -> None:
    found = judge("adam-faster-than-sgd", pair("adam", "sgd", ratio))
    assert found.verdict is verdict, found.text
    expected = ratio["mnist-mlp"] if isinstance(ratio, dict) else ratio
    assert found.effect == pytest.approx(expected, rel=0.03)
    low, effect, high = (each or 0.0 for each in (found.low, found.effect, found.high))
    assert 0 < low <= effect <= high
    assert found.runs == 2 * 10 * len(GENERAL)
    assert " / " in found.unit


@pytest.mark.parametrize(
    ("ratio", "verdict"),
    [(1.5, Verdict.SUPPORTED), (0.6, Verdict.REFUTED), (1.0, Verdict.REFUTED)],
)
def test_slower_is_the_same_turned(ratio: float, verdict: Verdict) -> None:
    assert judge("rmsprop-behind-adam", pair("rmsprop", "adam", ratio)).verdict is verdict


def test_problems_that_disagree_leave_it_open_however_sure_each_is() -> None:
    ratio = {name: 0.5 if i % 2 else 2.0 for i, name in enumerate(GENERAL)}
    found = judge("adam-faster-than-sgd", pair("adam", "sgd", ratio))
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "fewer on 4, more on 4" in found.text


def test_few_problems_settle_nothing_and_say_what_would() -> None:
    found = judge("adam-faster-than-sgd", pair("adam", "sgd", 0.5, TRAINED[:4]))
    assert found.verdict is Verdict.INCONCLUSIVE
    assert (found.low, found.high) == (0.0, math.inf)
    assert "optbench run" in found.text


def test_a_side_that_never_arrives_is_behind() -> None:
    frames = pair("adam", "sgd", 1.0)
    for frame in frames:
        if frame["optimizer"].iloc[0] == "sgd":
            frame["steps_to_target"] = np.nan
    found = judge("adam-faster-than-sgd", frames)
    assert found.verdict is Verdict.SUPPORTED
    assert found.effect == 0


def test_diverged_and_failed_runs_are_misses_and_stay() -> None:
    frames = pair("adam", "sgd", 1.0)
    for i, frame in enumerate(frames):
        if frame["optimizer"].iloc[0] == "adam":
            frame[["steps_to_target", "final_gap"]] = np.nan
            frame["status"] = "failed" if i % 4 else "diverged"
    found = judge("adam-faster-than-sgd", frames)
    assert found.verdict is Verdict.REFUTED
    assert found.effect == math.inf


def test_a_problem_where_most_pairs_miss_on_both_sides_does_not_count() -> None:
    steps = np.where(np.arange(10) < 4, 50.0, np.nan)
    frames = [ran("adam", "mnist-mlp", steps), ran("sgd", "mnist-mlp", 2 * steps)]
    found = over_problems(evidence(frames).tuned.runs, "adam", "sgd")
    assert found.found.pairs == 0
    assert not found.rows["counts"].any()


def test_the_medians_of_the_problems_decide_and_not_their_number_of_pairs() -> None:
    """One problem with a hundred seeds is one problem."""
    frames = pair("adam", "sgd", 0.5, TRAINED[:7])
    frames += pair("adam", "sgd", 3.0, TRAINED[7:], seeds=100)
    found = over_problems(evidence(frames).tuned.runs, "adam", "sgd")
    assert found.found.ratio == pytest.approx(0.5, rel=0.05)
    assert found.found.pairs == 8


def test_the_swarm_and_adam_choose_among_the_same_rates() -> None:
    """Adam's own, finer grid has a rate that is twice as good; the swarm was not given it."""
    frames = []
    for salt, problem in enumerate(GENERAL):
        for lr, adam in ((0.01, 400), (0.032, 200), (0.1, 500)):
            frames.append(ran("adam", problem, noisy(adam, salt=salt), lr=lr, default=lr == 0.01))
            if lr != 0.032:
                steps = noisy(0.8 * adam, salt=99 + salt)
                frames.append(ran("adam-swarm", problem, steps, lr=lr, default=lr == 0.01))
    found = judge("swarm-trains-better", frames, tune=True)
    assert found.verdict is Verdict.SUPPORTED, found.text
    assert found.effect == pytest.approx(0.8, rel=0.03)


def test_common_rates_are_those_of_each_problem() -> None:
    frames = [
        *(ran("a", "p", [1.0], lr=lr) for lr in (0.1, 0.2)),
        *(ran("b", "p", [1.0], lr=lr) for lr in (0.2, 0.3)),
        *(ran("a", "q", [1.0], lr=lr) for lr in (0.1, 0.3)),
        *(ran("b", "q", [1.0], lr=lr) for lr in (0.1, 0.3)),
    ]
    kept = at_common_rates(evidence(frames).results.runs)
    rates = {name: sorted(set(rows["lr"])) for name, rows in kept.groupby("problem")}
    assert rates == {"p": [0.2], "q": [0.1, 0.3]}


# Hardly matters.


def test_equal_optimizers_hardly_differ() -> None:
    found = judge("amsgrad-hardly-matters", pair("amsgrad", "adam", 1.0))
    assert found.verdict is Verdict.SUPPORTED


@pytest.mark.parametrize("ratio", [0.8, 1.3])
def test_a_general_difference_matters_either_way(ratio: float) -> None:
    found = judge("amsgrad-hardly-matters", pair("amsgrad", "adam", ratio))
    assert found.verdict is Verdict.REFUTED


@pytest.mark.parametrize(
    ("share", "verdict"),
    [
        (0.8 * HARDLY, Verdict.SUPPORTED),
        (1.4 * HARDLY, Verdict.INCONCLUSIVE),
        (2.2 * HARDLY, Verdict.REFUTED),
    ],
)
def test_how_many_problems_may_differ(share: float, verdict: Verdict) -> None:
    differ = int(share * len(GENERAL))
    # Half of them up and half of them down, so that the typical problem is the same.
    ratio = {
        name: (1.0 if i >= differ else 2.0 if i % 2 else 0.5) for i, name in enumerate(GENERAL)
    }
    found = judge("amsgrad-hardly-matters", pair("amsgrad", "adam", ratio, seeds=20))
    assert found.verdict is verdict, found.text
    assert f"on {differ} the two differ" in found.text


def test_what_differs_by_chance_on_one_of_many_problems_is_not_counted() -> None:
    """Eight of eight seeds slower settle it on one problem, and not on one of 26."""
    ratio = {**dict.fromkeys(GENERAL, 1.0), "cliff": 1.4}
    frames = pair("amsgrad", "adam", ratio, seeds=8)
    alone = by_problem(evidence(frames).tuned.runs, "amsgrad", "adam").set_index("problem")
    assert alone.loc["cliff", "word"] == "slower"
    assert "on 0 the two differ" in judge("amsgrad-hardly-matters", frames).text


# Never worse.


def searched(frames: list[pd.DataFrame], values: tuple[float, ...]) -> list[pd.DataFrame]:
    """The same with a search: a rate that never arrives, and Adam at other eps, as slow as ever."""
    rates = [
        frame.assign(lr=1.0, steps_to_target=np.nan, final_gap=0.5, default=False)
        for frame in frames
    ]
    eps = [
        frame.assign(hyperparameters=json.dumps({"eps": eps}), default=False)
        for frame in frames
        if frame["optimizer"].iloc[0] == "adam"
        for eps in values
    ]
    return [*frames, *rates, *eps]


NEVER = "adam-never-worse-than-momentum"
ONCE = {**dict.fromkeys(GENERAL, 0.8), "cliff": 1.4}


def test_never_worse_needs_every_problem() -> None:
    assert judge(NEVER, pair("adam", "momentum", 0.8)).verdict is Verdict.SUPPORTED
    assert judge(NEVER, pair("adam", "momentum", ONCE)).verdict is not Verdict.SUPPORTED


def test_one_problem_refutes_where_the_claim_had_its_tuning() -> None:
    frames = searched(pair("adam", "momentum", ONCE), (1e-4, 1e-1))
    found = judge(NEVER, frames, tune=True)
    assert found.verdict is Verdict.REFUTED, found.text
    assert found.effect == pytest.approx(1.4, rel=0.05)
    assert "cliff" in found.unit


@pytest.mark.parametrize("values", [(), (1e-4,)])
def test_a_smaller_search_than_the_claim_asks_for_does_not_refute(
    values: tuple[float, ...],
) -> None:
    found = judge(NEVER, searched(pair("adam", "momentum", ONCE), values), tune=True)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "eps" in found.text
    assert "--set eps" in found.text


def test_a_chance_of_one_in_a_hundred_on_each_problem_does_not_refute() -> None:
    """All eight of eight seeds slower: sure of one problem, and nothing among 26."""
    frames = searched(pair("adam", "momentum", ONCE, seeds=8), (1e-4, 1e-1))
    here = [f for f in frames if f["problem"].iloc[0] == "cliff"]
    alone = by_problem(evidence(here[:2]).tuned.runs, "adam", "momentum")
    assert alone["word"].tolist() == ["slower"]
    assert judge(NEVER, frames, tune=True).verdict is Verdict.INCONCLUSIVE


def test_a_diverged_adam_is_worse_than_momentum() -> None:
    frames = searched(pair("adam", "momentum", 0.8), (1e-4, 1e-1))
    for frame in frames:
        if frame["optimizer"].iloc[0] == "adam" and frame["problem"].iloc[0] == "l1":
            frame[["steps_to_target", "final_gap"]] = np.nan
            frame["status"] = "diverged"
    found = judge(NEVER, frames, tune=True)
    assert found.verdict is Verdict.REFUTED
    assert found.effect == math.inf
