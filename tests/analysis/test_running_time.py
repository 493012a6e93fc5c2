"""Expected running time: by hand, and what it is the expectation of."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from optbench.analysis import expected_running_time

NAN = np.nan


def made(pairs: dict[tuple[str, str], list[tuple[float, float]]]) -> pd.DataFrame:
    """Runs from steps to target and steps used, by optimizer and problem."""
    rows = [(o, p, hit, used) for (o, p), seeds in pairs.items() for hit, used in seeds]
    return pd.DataFrame(rows, columns=["optimizer", "problem", "steps_to_target", "steps"])


def test_by_hand() -> None:
    found = expected_running_time(
        made(
            {
                ("sgd", "b"): [(10, 1000), (30, 1000)],
                ("adam", "b"): [(10, 1000), (NAN, 1000), (NAN, 50), (NAN, NAN)],
                ("adam", "a"): [(NAN, 1000)],
            }
        )
    )
    assert found[["optimizer", "problem"]].to_numpy().tolist() == [
        ["adam", "a"],
        ["adam", "b"],
        ["sgd", "b"],
    ]
    # One that diverged is charged what it used, one that failed nothing.
    assert found["ert"].tolist() == [np.inf, 1060.0, 20.0]
    assert found["reached"].tolist() == [0, 1, 2]
    assert found["runs"].tolist() == [1, 4, 2]


def test_it_is_what_restarts_cost_on_average() -> None:
    rng = np.random.default_rng(3)
    success, cost, budget = 0.3, 200.0, 1000.0
    runs = made(
        {
            ("adam", "a"): [
                (cost, budget) if rng.random() < success else (NAN, budget) for _ in range(20_000)
            ]
        }
    )
    failures = rng.geometric(success, 20_000) - 1
    expected = np.mean(failures * budget + cost)
    assert expected_running_time(runs)["ert"].item() == pytest.approx(expected, rel=0.05)
