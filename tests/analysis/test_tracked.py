"""Tracked values: positive and finite, whatever the runs came to."""

import math

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optbench.analysis.tracked import PENALTY, WORST_GAP, tracked

GAPS = st.one_of(
    st.floats(min_value=0, max_value=1e300), st.sampled_from([math.inf, math.nan, 0.0, 5e-324])
)


def frame(rows, *, rates=(0.1,), budget=100):
    made = [
        {
            "optimizer": "adam", "problem": "beale", "lr": lr, "hyperparameters": "{}",
            "lr_schedule": "", "default": lr == rates[0], "seed": seed, "status": status,
            "budget": budget, "initial_gap": initial, "final_gap": final, "steps_to_target": steps,
        }
        for lr in rates
        for seed, (status, initial, final, steps) in enumerate(rows)
    ]  # fmt: skip
    made = pd.DataFrame(made).astype({"steps_to_target": "float64"})
    return made.assign(run=range(len(made)))


ROW = st.tuples(
    st.sampled_from(["ok", "diverged", "failed"]),
    st.floats(min_value=1e-300, max_value=1e300),
    GAPS,
    st.one_of(st.none(), st.integers(min_value=0, max_value=100)),
)


@pytest.mark.proof
@settings(deadline=None, max_examples=60)
@given(rows=st.lists(ROW, min_size=8, max_size=8), more=st.booleans())
def test_every_sample_is_positive_and_finite(rows, more):
    found = list(tracked(frame(rows, rates=(0.1, 0.2) if more else (0.1,)), "float64"))
    assert {each.metric for each in found} == {"steps_to_target", "failed_seeds", "final_gap"}
    for each in found:
        assert each.samples
        assert all(math.isfinite(value) and value > 0 for value in each.samples)


def by_metric(rows, **more):
    return {each.metric: each.samples for each in tracked(frame(rows, **more), "float64")}


def test_a_miss_is_worse_than_any_arrival_and_counted():
    found = by_metric([("ok", 1.0, 0.5, 100)] * 7 + [("ok", 1.0, 0.5, None)])
    assert found["steps_to_target"] == (100.0,) * 7 + (PENALTY * 100.0,)
    assert found["failed_seeds"] == (1.0,) * 7 + (2.0,)


@pytest.mark.parametrize("status", ["diverged", "failed"])
def test_what_did_not_end_well_has_the_worst_gap(status):
    found = by_metric([(status, 1.0, 1e-9, None)] * 8)
    assert found["final_gap"] == (WORST_GAP,) * 8


def test_gaps_are_relative_and_rounding_is_cut_off():
    assert by_metric([("ok", 4.0, 1.0, 1)] * 8)["final_gap"] == (0.25,) * 8
    assert by_metric([("ok", 1.0, 1e-30, 1)] * 8)["final_gap"] == (1e-12,) * 8


def test_every_seed_is_scored_at_a_rate_that_the_other_half_chose():
    rows = [("ok", 1.0, 0.5, 10)] * 8 + [("ok", 1.0, 0.5, 20)] * 8
    runs = frame(rows, rates=(0.1, 0.2))
    # The second half of the seeds is quicker at the other rate: that is where the first is scored.
    runs.loc[(runs["lr"] == 0.2) & (runs["seed"] >= 8), "steps_to_target"] = 5.0
    runs.loc[(runs["lr"] == 0.2) & (runs["seed"] < 8), "steps_to_target"] = 90.0
    found = {each.metric: each.samples for each in tracked(runs, "float64")}
    assert found["steps_to_target"] == (90.0,) * 8 + (20.0,) * 8
    assert len(found["final_gap"]) == 16
