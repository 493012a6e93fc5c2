"""The cloud at the end of a noisy run: means, intervals and drift."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from optbench.analysis import stationary_gap

NAN = np.nan
STEPS = [0, 500, 750, 800, 870, 880, 950, 1000]
LATE = np.array(STEPS) > 750


def made(
    gaps: dict[float, list[list[float]]], status: str = "ok", budget: int = 1000
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Runs and traces on one problem: by lr, the gaps of each seed at `STEPS`."""
    runs, traces = [], []
    for lr, seeds in gaps.items():
        for seed, values in enumerate(seeds):
            run = len(runs)
            runs.append((run, "sgd", "noisy", lr, "{}", seed, budget, status))
            traces += [(run, "gap", s, v) for s, v in zip(STEPS, values, strict=False)]
            traces += [(run, "x0", s, 99.0) for s in STEPS]
    names = ["run", "optimizer", "problem", "lr", "hyperparameters", "seed", "budget", "status"]
    frame = pd.DataFrame(traces, columns=["run", "metric", "step", "value"])
    return pd.DataFrame(runs, columns=names), frame


def test_the_mean_and_interval_of_the_last_quarter() -> None:
    values = np.random.default_rng(0).gamma(2.0, size=(6, len(STEPS)))
    row = stationary_gap(*made({0.1: values.tolist()}), "noisy").iloc[0]
    each = values[:, LATE].mean(axis=1)
    low, high = stats.t.interval(0.95, 5, each.mean(), stats.sem(each))
    assert row["gap"] == pytest.approx(each.mean())
    assert (row["low"], row["high"]) == (pytest.approx(low), pytest.approx(high))
    assert row["runs"] == 6
    # Eighths: 800 and 870 against 880, 950 and 1000.
    assert row["drift"] == pytest.approx(values[:, 5:].mean() / values[:, 3:5].mean())


def test_a_cloud_that_stands_has_no_drift_and_one_that_shrinks_has() -> None:
    still = [[9, 5, 2, 2, 2, 2, 2, 2]] * 3
    shrinks = [[9, 5, 4, 4, 4, 1, 1, 1]] * 3
    found = stationary_gap(*made({0.1: still, 0.2: shrinks}), "noisy").set_index("lr")
    assert found.loc[0.1, ["gap", "low", "high", "drift"]].tolist() == [2, 2, 2, 1]
    assert found.loc[0.2, "drift"] == 0.25


def test_divergence_is_not_averaged_away() -> None:
    runs, traces = made({0.1: [[1.0] * 8] * 3, 0.2: [[1.0] * 8] * 3})
    runs.loc[1, "status"] = "diverged"
    found = stationary_gap(runs, traces, "noisy").set_index("lr")
    assert found.loc[0.1, "gap"] == np.inf
    assert found.loc[0.1, ["low", "high", "drift"]].isna().all()
    assert found.loc[0.1, "runs"] == 3
    assert found.loc[0.2, "gap"] == 1


def test_one_that_ended_before_keeps_its_last_value() -> None:
    row = stationary_gap(*made({0.1: [[9.0, 4.0], [9.0] * 7 + [2.0]]}), "noisy").iloc[0]
    assert row["gap"] == pytest.approx((4 + (4 * 9 + 2) / 5) / 2)


def test_a_single_run_has_no_interval() -> None:
    row = stationary_gap(*made({0.1: [[1.0] * 8]}), "noisy").iloc[0]
    assert row["gap"] == 1
    assert np.isnan(row["low"])
    assert np.isnan(row["high"])


def test_other_problems_and_the_order_of_rows_do_not_matter() -> None:
    values = np.random.default_rng(1).gamma(2.0, size=(2, 4, len(STEPS)))
    runs, traces = made({0.1: values[0].tolist(), 0.2: values[1].tolist()})
    alone = stationary_gap(runs, traces, "noisy")
    other = runs.assign(problem="other", run=runs["run"] + 100)
    runs = pd.concat([other, runs], ignore_index=True).sample(frac=1, random_state=1)
    traces = pd.concat([traces.assign(run=traces["run"] + 100, value=7.0), traces])
    mixed = stationary_gap(runs, traces.sample(frac=1, random_state=2), "noisy")
    pd.testing.assert_frame_equal(mixed, alone, check_exact=True)
    assert stationary_gap(runs, traces, "none").columns.tolist() == alone.columns.tolist()


def test_an_optimizer_without_a_rate_has_its_row() -> None:
    runs, traces = made({0.1: [[1.0] * 8] * 2})
    assert len(stationary_gap(runs.assign(lr=NAN), traces, "noisy")) == 1
