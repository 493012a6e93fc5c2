"""The constructor's check of its frames."""

from dataclasses import replace

import pytest
from synthetic import synthetic_results

from optbench.analysis import MissingColumns


def test_missing_columns_are_named_with_their_frame() -> None:
    results = synthetic_results(seeds=1)
    with pytest.raises(MissingColumns, match=r"'runs' lacks seed, lr|'runs' lacks lr, seed"):
        replace(results, runs=results.runs.drop(columns=["lr", "seed"]))


def test_more_columns_are_carried_along() -> None:
    results = synthetic_results(seeds=1)
    more = replace(results, runs=results.runs.assign(momentum=0.9))
    assert "momentum" in more.runs.columns
