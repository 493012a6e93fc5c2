"""Two records: what differs between them, and what does not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from optbench.scenarios.record import AS_GIVEN, IDEAL, Record, disagreements

FIXED = settings(deadline=None, derandomize=True, database=None)

PATH = np.zeros((2, 3))

ARRAYS = arrays(np.float64, array_shapes(min_dims=1, max_dims=2, min_side=0, max_side=4))
PLAIN = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
OBSERVATIONS = st.recursive(PLAIN, lambda inner: st.lists(inner, max_size=3).map(tuple)) | ARRAYS


def of(**observations: Any) -> Record:
    return Record(PATH, observations)


def differing(ours: Any, theirs: Any, relative: float = 1e-9) -> bool:
    return bool([*disagreements(of(x=ours), of(x=theirs), relative)])


@FIXED
@given(observations=st.dictionaries(st.text(max_size=3), OBSERVATIONS, max_size=4))
def test_a_record_does_not_differ_from_itself(observations: dict[str, Any]) -> None:
    copied = {
        name: value.copy() if isinstance(value, np.ndarray) else value
        for name, value in observations.items()
    }
    assert not [*disagreements(Record(PATH, copied), Record(PATH, observations), 0.0)]


@FIXED
@given(
    theirs=st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=5)
    .map(np.array)
    .filter(lambda a: np.abs(a).max() > 1e-6),
    place=st.integers(0, 4),
    bound=st.sampled_from([1e-9, 1e-3]),
    sign=st.sampled_from([-1.0, 1.0]),
)
def test_a_difference_counts_from_the_bound_on(
    theirs: np.ndarray, place: int, bound: float, sign: float
) -> None:
    """Of arrays it is a part of the largest number, of numbers of themselves."""
    scale, place = np.abs(theirs).max(), place % len(theirs)
    for part, counts in ((0.5, False), (2.0, True)):
        ours = theirs.copy()
        ours[place] += sign * part * bound * scale
        assert differing(ours, theirs, bound) is counts
    number = float(scale)
    for part, counts in ((0.5, False), (2.0, True)):
        ours_ = number * (1 + sign * part * bound)
        assert differing(ours_, number, bound) is counts
        assert differing(("a", (ours_,)), ("a", (number,)), bound) is counts


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (np.zeros(3), np.zeros(4)),
        (np.array([1.0, np.nan]), np.array([1.0, 2.0])),
        (np.array([np.inf]), np.array([2.0])),
        (1.0, np.nan),
        (np.nan, 1.0),
        (np.inf, 1.0),
        (1.0, np.inf),
        ("refused", "taken"),
        ((1, 2), (1, 2, 3)),
        (15, 16),
        (None, 0.5),
    ],
)
def test_what_is_not_rounding(ours: Any, theirs: Any) -> None:
    assert differing(ours, theirs, relative=1.0)


def test_what_the_base_did_not_observe_tells_nothing() -> None:
    # The loss of a step that returned none, and an observable that one side alone has.
    assert not differing(np.array([0.5, 0.5]), np.array([np.nan, np.nan]))
    assert not [*disagreements(of(x=1, y=2), of(x=1, z=3), 0.0)]
    assert not [*disagreements(replace(of(x=1), path=PATH + 1), of(x=1), 0.0)]


@pytest.mark.parametrize("name", IDEAL)
def test_a_version_that_comes_to_the_ideal_is_not_told_apart(name: str) -> None:
    """One that leaves it is."""
    right, wrong = Record(PATH, {name: IDEAL[name]}), Record(PATH, {name: "something else"})
    assert not [*disagreements(right, wrong, 0.0)]
    (found,) = disagreements(wrong, right, 0.0)
    assert str(found) == f"{name}: something else, {IDEAL[name]} in the base"


def test_a_disagreement_names_both_values_in_short() -> None:
    theirs = np.array([1.0, -2.0, 3.0])
    ours = theirs + np.array([0.1, 0.0, -0.5])
    (found,) = disagreements(of(loss=ours), of(loss=theirs), 1e-9)
    assert (found.ours, found.theirs) == ("2.5", "3")
    (found,) = disagreements(of(text="x" * 100), of(text=AS_GIVEN), 0.0)
    assert found.ours == "x" * 57 + "..."
