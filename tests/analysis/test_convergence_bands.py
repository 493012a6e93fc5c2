"""Bands over seeds: what has diverged stays in, what is logged stays as it is."""

import numpy as np
import pandas as pd
import pytest
from synthetic import synthetic_results

from optbench.analysis import bands, default_league, sensitivity, trajectories

GRID = [0, 1, 10, 100]


def crafted(
    values: list[list[float]], status: list[str], initial: float = 1.0
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Runs of one pair and their traces, which may end early."""
    template = synthetic_results(["adam"], ["quadratic"], [1e-2], seeds=1).runs
    count = len(values)
    runs = pd.concat([template] * count, ignore_index=True).assign(
        run=range(1, count + 1), seed=range(count), status=status, initial_gap=initial
    )
    rows = [
        (run, "gap", GRID[place], value)
        for run, trace in enumerate(values, start=1)
        for place, value in enumerate(trace)
    ]
    return runs, pd.DataFrame(rows, columns=["run", "metric", "step", "value"])


def test_quartiles_are_those_of_numpy() -> None:
    values = np.random.default_rng(4).random((7, 4))
    runs, traces = crafted(values.tolist(), ["ok"] * 7, initial=2.0)
    found = bands(runs, traces, relative=True)
    assert found["step"].tolist() == GRID
    for column, q in (("low", 0.25), ("median", 0.5), ("high", 0.75)):
        expected = np.quantile(values / 2.0, q, axis=0, method="inverted_cdf")
        np.testing.assert_allclose(found[column], expected)


def test_a_run_that_diverged_is_infinitely_far_after_its_end() -> None:
    good, bad = [1.0, 0.1, 0.01, 0.001], [1.0, 50.0]
    runs, traces = crafted([good, bad, bad], ["ok", "diverged", "diverged"])
    found = bands(runs, traces)
    assert found["median"].tolist() == [1.0, 50.0, np.inf, np.inf]
    assert set(found["seeds"]) == {3}


def test_a_run_without_any_trace_still_counts() -> None:
    runs, traces = crafted([[1.0, 0.1, 0.1, 0.1], [], []], ["ok", "failed", "failed"])
    assert np.isinf(bands(runs, traces)["median"]).all()


def test_a_value_that_is_no_number_is_infinite_and_not_missing() -> None:
    runs, traces = crafted([[1.0, np.nan, np.nan, np.nan]], ["diverged"])
    assert bands(runs, traces)["median"].tolist() == [1.0, np.inf, np.inf, np.inf]


def test_a_run_that_ended_well_keeps_its_last_value() -> None:
    runs, traces = crafted([[1.0, 0.5], [1.0, 0.9, 0.8, 0.7]], ["ok", "ok"])
    assert bands(runs, traces)["median"].tolist() == [1.0, 0.5, 0.5, 0.5]


def test_runs_outside_the_league_do_not_enter() -> None:
    runs, traces = crafted([[1.0] * 4, [5.0] * 4], ["ok", "ok"])
    assert set(bands(runs.iloc[:1], traces)["high"]) == {1.0}


def test_no_traces_give_an_empty_frame_with_the_same_columns() -> None:
    runs, traces = crafted([[1.0]], ["ok"])
    full, empty = bands(runs, traces), bands(runs, traces, "error_rate")
    assert not len(empty)
    assert list(empty.columns) == list(full.columns)


def test_sensitivity_holds_the_other_hyperparameters_at_their_defaults() -> None:
    results = synthetic_results(["adam"], ["quadratic"], [1e-3, 1e-2])
    other = results.runs.assign(
        run=results.runs["run"] + 1000,
        hyperparameters='{"betas": [0, 0]}',
        default=False,
        steps_to_target=1.0,
    )
    table = sensitivity(pd.concat([results.runs, other], ignore_index=True))
    assert table["lr"].tolist() == [1e-3, 1e-2]
    assert table["default"].tolist() == [False, True]
    assert not (table["median_steps"] == 1.0).any()


def test_sensitivity_needs_two_rates() -> None:
    assert not len(sensitivity(synthetic_results(["adam"], ["quadratic"], [1e-2]).runs))
    assert not len(sensitivity(synthetic_results(["adam"]).runs.assign(lr=np.nan)))


def test_a_trajectory_is_one_seed_of_each_optimizer() -> None:
    results = synthetic_results()
    league = default_league(results.runs)
    path = trajectories(league.runs, results.traces, "rosenbrock-2d", 2)
    assert set(path["optimizer"]) == set(results.runs["optimizer"])
    assert not path.duplicated(["optimizer", "step"]).any()
    start = path[path["step"] == 0]
    assert start["x0"].tolist() == pytest.approx([-1.2] * len(start))
    assert not len(trajectories(league.runs, results.traces, "quadratic", 2))
