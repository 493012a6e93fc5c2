"""Scores by learning rate: what is held, and what stays out."""

from __future__ import annotations

import pandas as pd
from synthetic import synthetic_results

from optbench.analysis import sensitivity


def with_schedules(runs: pd.DataFrame) -> pd.DataFrame:
    """The same runs again with a schedule, twice as fast: a store's own way to write them."""
    scheduled = runs.assign(
        run=runs["run"] + len(runs),
        hyperparameters='{"lr_schedule":"cosine"}',
        lr_schedule="cosine",
        default=False,
        steps_to_target=runs["steps_to_target"] / 2,
    )
    return pd.concat([scheduled, runs], ignore_index=True)


def test_runs_with_a_schedule_do_not_enter() -> None:
    runs = synthetic_results().runs
    pd.testing.assert_frame_equal(sensitivity(with_schedules(runs)), sensitivity(runs))


def test_runs_with_a_schedule_do_not_enter_where_the_defaults_were_not_run() -> None:
    """Not even where most runs have one."""
    runs = synthetic_results().runs.assign(default=False)
    both = with_schedules(runs)
    few = both[(both["lr_schedule"] != "") | (both["seed"] < 2)]
    pd.testing.assert_frame_equal(sensitivity(few), sensitivity(runs[runs["seed"] < 2]))
