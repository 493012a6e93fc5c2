"""What is registered, as frames."""

from __future__ import annotations

import optbench
from optbench.optimizers import OPTIMIZERS, SCHEDULES
from optbench.problems import PROBLEMS


def test_each_entry_is_a_row() -> None:
    for frame, entries in (
        (optbench.list_optimizers(), OPTIMIZERS),
        (optbench.list_problems(), PROBLEMS),
        (optbench.list_schedules(), SCHEDULES),
    ):
        assert frame["name"].tolist() == [each.name for each in entries]


def test_a_suite_says_how_many_runs_it_takes() -> None:
    from optbench.api.run import configure

    runs = optbench.list_suites().set_index("name")["runs"]
    assert runs["smoke"] == len(configure(suite="smoke").plan().runs) > 0
