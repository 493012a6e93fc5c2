"""`Results`: parts of them, and how they show themselves."""

from __future__ import annotations

import pytest
from synthetic import synthetic_results

RESULTS = synthetic_results(("adam", "adam[fused]", "sgd"), ("quadratic", "beale"))


def test_a_filter_keeps_the_rows_of_what_fits_and_what_they_refer_to() -> None:
    some = RESULTS.filter(optimizers=["adam[fused]", "s*"], problems="beale")
    assert set(some.runs["optimizer"]) == {"adam[fused]", "sgd"}
    assert some.problems["problem"].tolist() == ["beale"]
    ids = set(some.runs["run"])
    assert set(some.targets["run"]) == ids
    assert set(some.traces["run"]) == ids
    assert set(some.environments["environment"]) == set(some.runs["environment"])


def test_what_fits_nothing_is_empty_and_still_shows_itself() -> None:
    none = RESULTS.filter("adamw")
    assert repr(none) == "<Results: 0 runs of 0 optimizers on 0 problems>"
    assert "0 runs" in none._repr_html_()


def test_they_say_how_many_runs_they_hold() -> None:
    counts = RESULTS.runs["status"].value_counts()
    said = ", ".join(f"{count:,} {status}" for status, count in counts.items())
    text = f"{len(RESULTS.runs):,} runs of 3 optimizers on 2 problems ({said})"
    assert repr(RESULTS) == f"<Results: {text}>"


@pytest.mark.parametrize("name", ["quadratic", "adam[fused]", "median_steps_to_target"])
def test_a_notebook_shows_a_table(name: str) -> None:
    assert name in RESULTS._repr_html_()
