"""When what is seen is kept."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from optbench.engine.schedule import PER_DECADE, log_schedule


@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(budget=st.integers(1, 10**7), every=st.integers(1, 1000))
@example(budget=1, every=1)
@example(budget=1, every=25)
@example(budget=10, every=10)
@example(budget=9, every=10)
@example(budget=750, every=25)
def test_it_starts_at_0_ends_at_the_budget_rises_and_keeps_to_multiples(
    budget: int, every: int
) -> None:
    steps = log_schedule(budget, every)
    assert np.issubdtype(steps.dtype, np.integer)
    assert steps[0] == 0
    assert steps[-1] == budget
    assert (np.diff(steps) > 0).all()
    assert (steps[:-1] % every == 0).all()
    assert len(steps) <= 2 + PER_DECADE * max(1, np.ceil(np.log10(budget)) + 1)


def test_there_are_as_many_a_decade_as_is_said() -> None:
    assert len(log_schedule(2000)) == 58
    steps = log_schedule(10**6)
    for decade in (10**3, 10**4, 10**5):
        inside = (steps >= decade) & (steps < 10 * decade)
        assert inside.sum() == PER_DECADE


@pytest.mark.parametrize(
    ("budget", "every", "expected"),
    [
        (1, 1, [0, 1]),
        (5, 1, [0, 1, 2, 3, 4, 5]),
        (30, 10, [0, 10, 20, 30]),
        (25, 10, [0, 10, 20, 25]),
        (5, 10, [0, 5]),
    ],
)
def test_short_budgets_are_logged_wherever_they_are_seen(
    budget: int, every: int, expected: list[int]
) -> None:
    assert log_schedule(budget, every).tolist() == expected
