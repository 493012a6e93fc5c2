"""Two stores: what became of the same optimizers."""

from dataclasses import replace

import numpy as np
from synthetic import synthetic_results

from optbench.analysis import default_league
from optbench.analysis.compare_stores import identical, in_both, newer_by_older

RUNS = default_league(synthetic_results(seeds=8).runs).runs


def slowed(factor: float):
    steps = np.round(RUNS["steps_to_target"] * factor)
    return RUNS.assign(
        steps_to_target=steps.where(RUNS["optimizer"] == "sgd", RUNS["steps_to_target"])
    )


def test_an_optimizer_is_compared_with_itself_alone():
    found = newer_by_older(RUNS, slowed(1.5)).set_index(["optimizer", "problem"])
    overall = found.xs("", level="problem")
    assert overall.loc["sgd", "word"] == "slower"
    assert overall.loc["sgd", "low"] > 1.45
    assert overall.loc["sgd", "high"] < 1.55
    assert set(overall["word"].drop("sgd")) == {"equivalent"}
    assert set(overall["ratio"].drop("sgd")) == {1.0}


def test_who_is_in_one_store_alone_is_not_compared():
    newer = RUNS[RUNS["optimizer"] != "lion"]
    assert set(newer_by_older(RUNS, newer)["optimizer"]) == {"adam", "sgd", "momentum"}
    assert newer_by_older(RUNS, RUNS.iloc[:0]).empty


def test_only_runs_that_both_stores_have_are_compared():
    every = synthetic_results(seeds=4)
    runs = every.runs
    fewer = replace(every, runs=runs[(runs["seed"] < 2) & (runs["lr"] < 0.1)])
    other = replace(every, runs=runs.assign(budget=runs["budget"].where(runs["seed"] > 0, 7)))
    for one, two, left in ((every, fewer, fewer.runs["run"]), (fewer, every, fewer.runs["run"])):
        for side in in_both(one, two):
            assert sorted(side.runs["run"]) == sorted(left)
    for side in in_both(every, other):
        assert set(side.runs["seed"]) == {1, 2, 3}


def test_identical_runs_are_counted_to_the_last_bit():
    newer = RUNS.copy()
    touched = newer.index[newer["optimizer"] == "adam"][0]
    newer.loc[touched, "final_gap"] *= 1 + 1e-15
    counts = identical(RUNS, newer).set_index("optimizer")
    assert counts.loc["adam", "runs"] - counts.loc["adam", "identical"] == 1
    rest = counts.drop("adam")
    assert (rest["runs"] == rest["identical"]).all()


def test_runs_at_other_settings_are_no_runs_in_both():
    assert identical(RUNS, RUNS.assign(lr=0.5)).empty
    other = identical(RUNS, RUNS.assign(problem_version=2))
    assert other.empty
