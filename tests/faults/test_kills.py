"""Kill -9, at random moments, of everything that can be killed: nothing is lost, nothing twice."""

from __future__ import annotations

import pytest

from faults.campaign import (
    Campaign,
    assert_as_if_nothing_had_happened,
    coordinator_killed,
    others_killed,
    workers_of,
)

FEW, MANY = 2, 12


def kills(few: int = FEW, many: int = MANY) -> pytest.MarkDecorator:
    """A few in `make test`, many in `make faults`."""
    return pytest.mark.parametrize(
        "count",
        [
            pytest.param(few, marks=pytest.mark.slow, id="few"),
            pytest.param(many, marks=pytest.mark.faults, id="many"),
        ],
    )


@kills()
def test_the_coordinator(here: Campaign, undisturbed: str, count: int) -> None:
    coordinator_killed(here, count)
    here.until_it_ends_well()
    assert_as_if_nothing_had_happened(here.options[-1], undisturbed)


@kills()
def test_workers(here: Campaign, undisturbed: str, count: int) -> None:
    others_killed(here, count, workers_of)
    here.until_it_ends_well()
    assert_as_if_nothing_had_happened(here.options[-1], undisturbed)
