"""Scores a pair and the summary of a league, by hand."""

import numpy as np
import pandas as pd
import pytest
from synthetic import ENVIRONMENT, synthetic_results

from optbench.analysis import default_league, scores, summary

NAN = np.nan


def crafted(steps: dict[tuple[str, str], list[float]]) -> pd.DataFrame:
    """Runs by optimizer and problem from their steps to target, a seed each."""
    template = synthetic_results(["adam"], ["quadratic"], [1e-2], seeds=1).runs
    rows = [
        template.assign(optimizer=o, base=o, problem=p, seed=seed, steps_to_target=step)
        for (o, p), values in steps.items()
        for seed, step in enumerate(values)
    ]
    runs = pd.concat(rows, ignore_index=True)
    return runs.assign(run=range(1, len(runs) + 1), status="ok", final_gap=0.5, initial_gap=1.0)


def one(table: pd.DataFrame, optimizer: str) -> pd.Series:
    return table.set_index("optimizer").loc[optimizer]


def summarized(runs: pd.DataFrame, baseline: str = "adam") -> pd.DataFrame:
    return summary(scores(runs), runs, pd.DataFrame([ENVIRONMENT]), baseline)


def test_a_median_that_fewer_than_half_reach_stays_censored() -> None:
    table = scores(crafted({("adam", "a"): [10.0, NAN, NAN], ("adam", "b"): [10.0, 30.0, NAN]}))
    a, b = table.set_index("problem").loc["a"], table.set_index("problem").loc["b"]
    assert np.isnan(a["median_steps"])
    assert not a["solved"]
    assert (b["median_steps"], b["solved"], b["reached"], b["seeds"]) == (30.0, True, 2, 3)


def test_divergence_is_not_averaged_away() -> None:
    runs = crafted({("adam", "a"): [10.0, NAN, NAN, NAN]})
    runs["status"] = ["ok", "diverged", "diverged", "failed"]
    runs["final_gap"] = [1e-9, 1e-9, NAN, NAN]  # a recorded gap does not save a diverged run
    row = scores(runs).iloc[0]
    assert (row["diverged"], row["failed"], row["seeds"]) == (2, 1, 4)
    assert np.isinf(row["median_gap"])


def test_the_ratio_is_over_problems_that_both_solve() -> None:
    table = summarized(
        crafted(
            {
                ("adam", "a"): [100.0],
                ("adam", "b"): [100.0],
                ("adam", "c"): [NAN],
                ("adam", "d"): [100.0],
                ("sgd", "a"): [200.0],
                ("sgd", "b"): [400.0],
                ("sgd", "c"): [1.0],
                ("sgd", "d"): [NAN],
            }
        )
    )
    row = one(table, "sgd")
    assert (row["steps_ratio"], row["steps_problems"]) == (3.0, 2)
    assert (row["solved"], row["problems"], row["share"]) == (3, 4, 0.75)
    assert one(table, "adam")["steps_ratio"] == 1.0


def test_without_a_common_problem_there_is_no_ratio() -> None:
    row = one(summarized(crafted({("adam", "a"): [10.0], ("sgd", "b"): [10.0]})), "sgd")
    assert np.isnan(row["steps_ratio"])
    assert (row["steps_problems"], row["seconds_problems"]) == (0, 0)
    assert np.isnan(row["seconds_ratio"])


def test_seconds_are_a_geometric_mean_within_one_machine() -> None:
    runs = crafted({(o, p): [10.0] for o in ("adam", "sgd") for p in "abc"})
    runs["seconds_per_step"] = [1e-5, 1e-5, NAN, 2e-5, 8e-5, 1e-5]
    assert one(summarized(runs), "sgd")["seconds_ratio"] == pytest.approx(4.0)
    assert one(summarized(runs), "sgd")["seconds_problems"] == 2

    other = pd.DataFrame([ENVIRONMENT, {**ENVIRONMENT, "environment": 2, "cpu": "Another"}])
    elsewhere = runs.assign(environment=[1, 1, 1, 2, 2, 2])
    row = one(summary(scores(elsewhere), elsewhere, other, "adam"), "sgd")
    assert np.isnan(row["seconds_ratio"])

    same = other.assign(cpu="Some CPU")  # two commits on one machine
    row = one(summary(scores(elsewhere), elsewhere, same, "adam"), "sgd")
    assert row["seconds_ratio"] == pytest.approx(4.0)


def test_state_is_that_of_the_largest_problem() -> None:
    runs = crafted({("adam", "small"): [10.0], ("adam", "large"): [10.0]})
    runs["dimension"] = [2, 1000]
    runs["state_bytes"] = [400.0, 8000.0]
    assert one(summarized(runs), "adam")["state_bytes"] == 8.0


def test_the_best_stands_first_and_ties_are_broken_by_name() -> None:
    table = summarized(
        crafted(
            {
                ("adam", "a"): [10.0],
                ("zeta", "a"): [5.0],
                ("beta", "a"): [10.0],
                ("none", "a"): [NAN],
            }
        )
    )
    assert table["optimizer"].tolist() == ["zeta", "adam", "beta", "none"]


def test_only_failures_give_a_summary_of_zeros() -> None:
    results = synthetic_results()
    nothing = {"steps_to_target": NAN, "final_gap": NAN, "initial_gap": NAN}
    runs = results.runs.assign(status="failed", seconds_per_step=NAN, state_bytes=NAN, **nothing)
    scored = default_league(runs).runs
    table = summary(scores(scored), scored, results.environments, "adam")
    assert table["solved"].sum() == 0
    assert (table["failed"] == table["runs"]).all()
