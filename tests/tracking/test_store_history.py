"""A store's metrics by commit: of which code, at which commits."""

import dataclasses

import pandas as pd
import pytest
from synthetic import synthetic_results

from optbench.tracking.history import Kind, history
from optbench.tracking.store_history import store_values

A, B, C = "a" * 40, "b" * 40, "c" * 40


def results(commit=A, code="one", slower=1.0, dirty=False, environment=1, first=0):
    made = synthetic_results(optimizers=("adam",), problems=("quadratic",), seeds=16)
    runs = made.runs.assign(code=code, environment=environment)
    runs["steps_to_target"] = runs["steps_to_target"] * slower
    runs["run"] += first
    where = made.environments.assign(commit=commit, dirty=dirty, environment=environment)
    return dataclasses.replace(made, runs=runs, environments=where)


def joined(*several):
    return dataclasses.replace(
        several[0],
        runs=pd.concat([each.runs for each in several], ignore_index=True),
        environments=pd.concat([each.environments for each in several], ignore_index=True),
    )


def test_metrics_of_a_commit():
    frame = store_values(results())
    assert set(frame["metric"]) == {"steps_to_target", "failed_seeds", "final_gap"}
    assert set(frame["commit"]) == {A}
    assert (frame["value"] > 0).all()
    assert frame["exact"].all()
    assert frame["samples"].map(len).min() >= 8


def test_another_code_is_another_commit_of_the_same_series():
    both = joined(results(), results(B, "two", 1.5, environment=2, first=10_000))
    changes = history(store_values(both), [A, B]).changes
    regressed = [change for change in changes if change.metric == "steps_to_target"]
    assert [change.kind for change in regressed] == [Kind.REGRESSED]
    assert regressed[0].likely == B
    assert regressed[0].ratio == pytest.approx(1.5, rel=0.05)


def test_a_revert_is_seen_where_nights_say_which_code_they_found():
    both = joined(results(), results(B, "two", 1.5, environment=2, first=10_000))
    nights = pd.DataFrame(
        [(A, "adam", "one"), (B, "adam", "two"), (C, "adam", "one")],
        columns=["commit", "optimizer", "code"],
    )
    found = history(store_values(both, nights), [A, B, C])
    assert found.regressions == ()
    assert {change.likely for change in found.changes} == {B, C}


def test_runs_of_changes_that_were_not_committed_belong_to_no_commit():
    assert store_values(results(dirty=True)).empty
    assert store_values(results(commit=None)).empty


def test_a_change_that_was_measured_before_it_was_committed_is_seen():
    tried = results(B, "two", 1.5, dirty=True, environment=2, first=10_000)
    nights = pd.DataFrame(
        [(A, "adam", "one"), (C, "adam", "two")], columns=["commit", "optimizer", "code"]
    )
    found = history(store_values(joined(results(), tried), nights), [A, B, C])
    assert {change.likely for change in found.regressions} == {C}


def test_a_new_kernel_begins_no_new_series():
    later = results(B, "two", 1.5, environment=2, first=10_000)
    kernel = later.environments.assign(os="Linux 6.9.1-newer x86_64")
    older = results()
    older = dataclasses.replace(
        older, environments=older.environments.assign(os="Linux 6.0.0-older x86_64")
    )
    frame = store_values(joined(older, dataclasses.replace(later, environments=kernel)))
    assert len(set(frame["machine"])) == 1
    assert history(frame, [A, B]).regressions


@pytest.mark.parametrize("other", [{"dtype": "bfloat16"}, {"device": "cuda:0"}])
def test_another_dtype_or_device_is_another_series(other):
    """They are scored apart, so that one which is worse changes nothing of the first."""
    first, second = results(), results(slower=2.0, first=10_000).runs.assign(**other)
    runs = pd.concat([first.runs, second], ignore_index=True)
    both = store_values(dataclasses.replace(first, runs=runs))
    (name,) = other.values()
    apart = both["parameters"].str.contains(name)
    columns = ["metric", "value"]
    alone = store_values(first)
    assert both[~apart][columns].values.tolist() == alone[columns].values.tolist()
    assert apart.sum() == len(alone)


def test_data_parallel_runs_are_not_tracked():
    first, second = results(), results(slower=2.0, first=10_000)
    runs = second.runs.assign(hyperparameters='{"ddp":2}')
    both = dataclasses.replace(first, runs=pd.concat([first.runs, runs], ignore_index=True))
    pd.testing.assert_frame_equal(store_values(both), store_values(first))


def test_another_machine_is_another_series():
    there = results(B, "two", 1.5, environment=2, first=10_000)
    there = dataclasses.replace(there, environments=there.environments.assign(cpu="Other CPU"))
    frame = store_values(joined(results(), there))
    assert frame["machine"].nunique() == 2
    assert history(frame, [A, B]).changes == ()
