"""Quantiles of censored values, against NumPy's definition and by hand."""

import numpy as np
import pandas as pd
import pytest

from optbench.analysis.quantiles import lower_quantile, lower_quantiles_by_row_group


@pytest.mark.parametrize("q", [0.25, 0.5, 0.75])
def test_agrees_with_numpy_inverted_cdf(q: float) -> None:
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"group": rng.integers(0, 5, 60), "value": rng.normal(size=60)})
    found = lower_quantile(frame, ["group"], "value", q)
    for group, part in frame.groupby("group"):
        assert found[group] == np.quantile(part["value"], q, method="inverted_cdf")


@pytest.mark.parametrize(
    ("steps", "median"),
    [
        ([10.0, 20.0, np.nan, np.nan], 20.0),  # half have reached by 20
        ([10.0, np.nan, np.nan, np.nan], np.inf),  # fewer than half ever do
        ([10.0, 20.0, np.nan], 20.0),
        ([np.nan], np.inf),
        ([30.0, 10.0, 20.0, 40.0], 20.0),
    ],
)
def test_a_miss_counts_as_infinite(steps: list[float], median: float) -> None:
    frame = pd.DataFrame({"group": "a", "value": steps})
    assert lower_quantile(frame, ["group"], "value")["a"] == median


def test_row_groups_agree_with_numpy_column_by_column() -> None:
    rng = np.random.default_rng(2)
    values = rng.normal(size=(17, 6))
    values[rng.random(values.shape) < 0.3] = np.nan
    group = np.array([0, 1, 2, 1, 0] * 3 + [2, 2], dtype=np.intp)
    found = lower_quantiles_by_row_group(values, group, [0.25, 0.5, 0.75])
    censored = np.where(np.isnan(values), np.inf, values)
    for index, q in enumerate([0.25, 0.5, 0.75]):
        for one in range(3):
            expected = np.quantile(censored[group == one], q, axis=0, method="inverted_cdf")
            np.testing.assert_array_equal(found[index, one], expected)


def test_a_missing_key_is_a_group_of_its_own() -> None:
    frame = pd.DataFrame({"lr": [np.nan, np.nan, 0.1], "value": [3.0, 4.0, 5.0]})
    assert lower_quantile(frame, ["lr"], "value").tolist() == [5.0, 3.0]
