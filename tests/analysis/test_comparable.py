"""Nothing is mixed that must not be, and what was left out is said."""

from dataclasses import replace

import pandas as pd
import pytest
from synthetic import synthetic_results

from optbench.analysis import Results, comparable


def with_more(results: Results, **changed: object) -> Results:
    """The results, and once more the sgd runs on the quadratic with something changed."""
    runs = results.runs
    some = runs[(runs["optimizer"] == "sgd") & (runs["problem"] == "quadratic")]
    more = some.assign(run=some["run"] + 100_000, **changed)
    return replace(results, runs=pd.concat([runs, more], ignore_index=True))


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"dtype": "float64"}, "dtype or device"),
        ({"dtype": "bfloat16"}, "dtype or device"),
        ({"device": "cuda:0"}, "dtype or device"),
        ({"hyperparameters": '{"ddp":2}'}, "data-parallel"),
        ({"problem_version": 0}, "other version"),
        ({"data": "mnist"}, "other data"),
        ({"budget": 50}, "other budget"),
    ],
)
def test_the_odd_ones_are_left_out_and_counted(changed: dict[str, object], reason: str) -> None:
    results = synthetic_results()
    found = comparable(with_more(results, **changed))
    assert sorted(found.results.runs["run"]) == sorted(results.runs["run"])
    assert len(found.left_out) == 1
    assert reason in found.left_out["reason"].iloc[0]
    assert found.left_out["runs"].iloc[0] == 12  # 3 rates, 4 seeds


def test_data_parallel_runs_decide_nothing_however_many() -> None:
    results = synthetic_results()
    divided = results.runs.assign(hyperparameters='{"ddp":4}', dtype="float64", budget=9)
    many = [results.runs, *(divided.assign(run=divided["run"] + 10_000 * n) for n in (1, 2))]
    found = comparable(replace(results, runs=pd.concat(many, ignore_index=True)))
    assert sorted(found.results.runs["run"]) == sorted(results.runs["run"])
    assert set(found.left_out["reason"]) == {"data-parallel, which stands in no league"}
    assert found.left_out["runs"].sum() == 2 * len(divided)


def test_a_newer_version_wins_however_few_its_runs() -> None:
    results = synthetic_results()
    found = comparable(with_more(results, problem_version=2))
    kept = found.results.runs
    assert set(kept.loc[kept["problem"] == "quadratic", "problem_version"]) == {2}
    assert set(kept.loc[kept["problem"] == "mnist-mlp", "problem_version"]) == {1}


@pytest.mark.parametrize(
    ("column", "value"), [("dtype", "float64"), ("device", "cuda"), ("data", "m"), ("budget", 9)]
)
def test_the_baseline_decides_what_is_compared_not_the_crowd(column: str, value: object) -> None:
    results = synthetic_results()
    crowd = [
        results.runs.assign(
            optimizer=f"new-{n}", base=f"new-{n}", run=results.runs["run"] + n * 10_000,
            **{column: value},
        )
        for n in range(1, 4)
    ]  # fmt: skip
    crowded = replace(results, runs=pd.concat([results.runs, *crowd], ignore_index=True))
    assert comparable(crowded, "adam").results.runs["run"].max() < 10_000
    assert comparable(crowded).results.runs["run"].min() > 10_000


def test_a_newer_version_that_the_baseline_has_not_does_not_remove_it() -> None:
    results = synthetic_results()
    newer = with_more(results, problem_version=2, optimizer="new")
    kept = comparable(newer, "adam").results.runs
    assert sorted(kept["run"]) == sorted(results.runs["run"])
    of_both = with_more(newer, problem_version=2, optimizer="adam")
    kept = comparable(of_both, "adam").results.runs
    assert set(kept.loc[kept["problem"] == "quadratic", "problem_version"]) == {2}


def test_of_equal_runs_the_latest_counts() -> None:
    results = synthetic_results()
    found = comparable(with_more(results, environment=2, steps_to_target=7.0))
    kept = found.results.runs
    again = kept[(kept["optimizer"] == "sgd") & (kept["problem"] == "quadratic")]
    assert len(kept) == len(results.runs)
    assert (again["steps_to_target"] == 7.0).all()
    assert "run again later" in found.left_out["reason"].iloc[0]


def test_the_order_of_rows_changes_nothing() -> None:
    results = with_more(synthetic_results(), dtype="float64")
    shuffled = replace(results, runs=results.runs.sample(frac=1, random_state=3))
    one, other = comparable(results), comparable(shuffled)
    pd.testing.assert_frame_equal(one.results.runs, other.results.runs)
    pd.testing.assert_frame_equal(one.left_out, other.left_out)


def test_problems_without_a_description_stay() -> None:
    results = synthetic_results()
    unknown = replace(results, problems=results.problems.iloc[:1])
    found = comparable(unknown).results.problems
    assert set(found["problem"]) == set(results.runs["problem"])
    assert found["problem"].iloc[0] == results.problems["problem"].iloc[0]
