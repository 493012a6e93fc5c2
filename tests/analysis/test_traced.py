"""Points of some runs: by bisection or by a look at all, they are those that a filter finds."""

from __future__ import annotations

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st
from synthetic import synthetic_results

from optbench.analysis.traced import points

LOGGED = st.lists(
    st.tuples(st.integers(0, 6), st.sampled_from(["gap", "x0"]), st.integers(0, 9)), max_size=30
)


def frame(logged: list[tuple[int, str, int]]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "run": np.array([run for run, _, _ in logged], dtype=np.int64),
            "metric": pd.Categorical([metric for _, metric, _ in logged], ["gap", "x0"]),
            "step": np.array([step for _, _, step in logged], dtype=np.int64),
            "value": np.arange(len(logged), dtype=float),
        }
    )


@given(LOGGED, st.lists(st.integers(0, 8), unique=True), st.booleans())
def test_they_are_those_of_a_filter(
    logged: list[tuple[int, str, int]], wanted: list[int], together: bool
) -> None:
    traces = frame(sorted(logged, key=lambda point: point[0]) if together else logged)
    found = points(pd.DataFrame({"run": np.array(wanted, np.int64)}), traces, ["gap"])
    expected = traces[traces["run"].isin(wanted) & (traces["metric"] == "gap")]
    # In the frame's own order within each run; a value says which point it is.
    got = pd.DataFrame({"run": np.array(wanted, np.int64)[found.row], "step": found.step})
    got = got.assign(value=found.value).sort_values("value", ignore_index=True)
    pd.testing.assert_frame_equal(got, expected[["run", "step", "value"]].reset_index(drop=True))
    for row in range(len(wanted)):
        assert np.all(np.diff(found.value[found.row == row]) > 0)


def test_several_metrics_are_told_apart() -> None:
    results = synthetic_results()
    flat = results.runs[(results.runs["problem"] == "rosenbrock-2d").to_numpy(dtype=bool)]
    found = points(flat, results.traces, ["x0", "x1"])
    assert set(found.metric) == {"x0", "x1"}
    assert len(found.row) == len(found.metric) == len(found.step) == len(found.value) > 0


def test_runs_without_a_point_have_none() -> None:
    results = synthetic_results()
    nobody = pd.DataFrame({"run": np.array([10**9], np.int64)})
    assert len(points(nobody, results.traces, ["gap"]).row) == 0
    assert len(points(results.runs, results.traces.iloc[:0], ["gap"]).row) == 0
