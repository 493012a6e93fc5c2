"""How two trajectories are compared: what is let pass, what is not, and what is said."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from optbench.scenarios.agreement import (
    EXACT,
    allowance,
    departure,
    dtype_name,
    require_agreement,
    require_same_bits,
    shown,
)
from optbench.scenarios.outcomes import CheckFailed

STEPS, ELEMENTS = 20, 4

SEEDS = st.integers(0, 2**31 - 1)


def walk(seed: int = 0, size: float = 1.0, at: float = 0.0) -> tuple[Tensor, Tensor]:
    """A start and a trace [steps, elements] that leaves it, float64."""
    generator = torch.Generator().manual_seed(seed)
    moves = size * torch.randn(STEPS, ELEMENTS, generator=generator, dtype=torch.float64)
    start = torch.full((ELEMENTS,), at, dtype=torch.float64)
    return start, start + moves.cumsum(0)


def compare(ours: Tensor, theirs: Tensor, start: Tensor, relative: float = EXACT) -> float:
    return require_agreement(
        ours, theirs, start=start, relative=relative, who="the other", under="by daylight"
    )


def objection(ours: Tensor, theirs: Tensor, start: Tensor, relative: float = EXACT) -> CheckFailed:
    with pytest.raises(CheckFailed) as caught:
        compare(ours, theirs, start, relative)
    assert str(caught.value).startswith("differs from the other by daylight: ")
    return caught.value


def test_what_is_equal_agrees() -> None:
    start, trace = walk()
    assert compare(trace, trace.clone(), start) == 0.0


@pytest.mark.parametrize("step", [1, 7, STEPS])
@pytest.mark.parametrize("element", [0, 3])
def test_the_first_step_that_differs_is_named_with_both_values(step: int, element: int) -> None:
    start, theirs = walk()
    ours = theirs.clone()
    ours[step - 1 :, element] += 1e-3
    said = objection(ours, theirs, start)
    assert f"from step {step} on (" in str(said)
    values = f"({ours[step - 1, element]:.17g} here, {theirs[step - 1, element]:.17g} there)"
    assert values in str(said)
    assert f"after {STEPS} steps" in str(said)
    way = float((theirs - start).abs().max())
    assert said.measured == pytest.approx(1e-3 / way, rel=1e-9)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_side_that_is_not_finite_is_named(value: float) -> None:
    start, whole = walk()
    hurt = whole.clone()
    hurt[4:, 2] = value
    ours, theirs = objection(hurt, whole, start), objection(whole, hurt, start)
    assert "at step 5 it is not finite" in str(ours)
    assert "at step 5 the other is not finite" in str(theirs)
    assert ours.measured == theirs.measured == math.inf


def test_what_is_not_finite_on_both_sides_agrees() -> None:
    start, theirs = walk()
    theirs[4:, 2] = math.nan
    assert compare(theirs.clone(), theirs, start) == 0.0


def test_a_difference_before_both_are_lost_is_still_seen() -> None:
    start, theirs = walk()
    theirs[10:] = math.nan
    ours = theirs.clone()
    ours[3] += 1e-3
    assert "from step 4 on" in str(objection(ours, theirs, start))


@pytest.mark.parametrize("size", [1e-6, 1.0, 1e6])
def test_the_tolerance_is_a_part_of_the_way(size: float) -> None:
    start, theirs = walk(size=size)
    way = float((theirs[-1] - start).abs().max())
    for share, agrees in ((0.5e-3, True), (3e-3, False)):
        ours = theirs.clone()
        ours[-1] += share * way
        if agrees:
            assert compare(ours, theirs, start, relative=1e-3) == pytest.approx(
                share * way / float((theirs - start).abs().max()), rel=1e-6
            )
        else:
            objection(ours, theirs, start, relative=1e-3)


def test_the_way_is_that_so_far_and_not_that_to_come() -> None:
    start = torch.zeros(1, dtype=torch.float64)
    theirs = torch.tensor([[1e-6], [1.0]], dtype=torch.float64)
    ours = theirs.clone()
    # A small part of the last step, a large one of the first.
    ours[0] += 1e-7
    assert "from step 1 on" in str(objection(ours, theirs, start, relative=1e-3))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_rounding_of_the_parameter_a_step_is_allowed_and_no_more(dtype: torch.dtype) -> None:
    eps = torch.finfo(dtype).eps
    start = torch.full((1,), 8.0, dtype=torch.float64)
    # It stands still, so that the way allows nothing.
    theirs = start.expand(STEPS, 1).clone()
    one_each = torch.arange(1, STEPS + 1, dtype=torch.float64)[:, None] * 8 * eps

    def against(factor: float) -> float:
        return require_agreement(
            theirs + factor * one_each, theirs, start=start, dtype=dtype, who="it", under="still"
        )

    against(0.99)
    with pytest.raises(CheckFailed, match="from step 1 on"):
        against(3)  # the start's own rounding is allowed besides


def test_an_infinity_in_one_element_does_not_excuse_another() -> None:
    start, theirs = walk()
    theirs[10:, 0] = math.inf
    ours = theirs.clone()
    ours[10:, 1] += 1.0
    objection(ours, theirs, start)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(seed=SEEDS, size=st.floats(1e-8, 1e8), at=st.floats(-1e3, 1e3))
def test_every_walk_agrees_with_itself_and_with_its_roundings(
    seed: int, size: float, at: float
) -> None:
    start, trace = walk(seed, size, at)
    assert compare(trace, trace, start) == 0.0
    compare(trace * (1 + 2**-53), trace, start)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    seed=SEEDS,
    step=st.integers(0, STEPS - 1),
    element=st.integers(0, ELEMENTS - 1),
    sign=st.sampled_from([-1, 1]),
    factor=st.floats(1.5, 1e6),
)
def test_whatever_leaves_the_allowance_is_seen_on_either_side(
    seed: int, step: int, element: int, sign: int, factor: float
) -> None:
    start, theirs = walk(seed)
    allowed = allowance(torch.cat([start[None], theirs]), 1e-6, torch.float64)[1:]
    ours = theirs.clone()
    ours[step, element] += sign * factor * allowed[step, element]
    assert f"from step {step + 1} on" in str(objection(ours, theirs, start, relative=1e-6))
    ours[step, element] = theirs[step, element] + sign * 0.5 * allowed[step, element]
    compare(ours, theirs, start, relative=1e-6)


def test_a_departure_is_the_place_the_values_and_the_size() -> None:
    start, theirs = walk()
    assert departure(theirs.clone(), theirs, start=start) is None
    ours = theirs.clone()
    ours[6, 1] += 1e-3
    ours[6, 2] += 2e-3
    ours[9, 0] += 5e-3
    found = departure(ours, theirs, start=start)
    assert found is not None
    # Step 0 is the start; of two elements the farther one, and the size is that of all steps.
    assert (found.step, found.element, found.not_finite) == (7, 2, "")
    assert (found.ours, found.theirs) == (float(ours[6, 2]), float(theirs[6, 2]))
    assert found.difference == pytest.approx(5e-3, rel=1e-9)
    assert found.travelled == float((theirs - start).abs().max())
    assert found.worst == found.difference / found.travelled
    assert objection(ours, theirs, start).measured == found.worst
    assert departure(ours, theirs, start=start, relative=1.0) is None


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_departure_says_which_side_alone_is_not_finite(value: float) -> None:
    start, whole = walk()
    hurt = whole.clone()
    hurt[4:, 2] = value
    for ours, theirs, side in ((hurt, whole, "ours"), (whole, hurt, "theirs")):
        found = departure(ours, theirs, start=start)
        assert found is not None
        assert (found.step, found.element, found.not_finite) == (5, 2, side)
        assert (found.difference, found.worst) == (math.inf, math.inf)
        assert math.isfinite(found.ours) is (side == "theirs")
        assert math.isfinite(found.theirs) is (side == "ours")


def test_a_departure_from_one_that_rests_has_no_way_to_be_a_part_of() -> None:
    start = torch.zeros(2, dtype=torch.float64)
    theirs = start.expand(3, 2)
    found = departure(theirs + torch.tensor([0.0, 0.5]), theirs, start=start)
    assert found is not None
    assert (found.step, found.element, found.difference, found.travelled) == (1, 1, 0.5, 0.0)
    assert found.worst == math.inf


# ---------------------------------------------------------------------- bit for bit


def test_the_same_bits_pass_and_so_does_nan_against_nan() -> None:
    one = torch.tensor([1.0, math.nan, math.inf])
    require_same_bits(one, one.clone(), "it differs")
    require_same_bits([one, one], [one.clone(), one.clone()], "it differs")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_one_bit_is_noticed_with_its_size(dtype: torch.dtype) -> None:
    one = torch.tensor([1.0, 2.0], dtype=dtype)
    other = torch.nextafter(one, torch.full_like(one, 9.0))
    size = 2 * torch.finfo(dtype).eps
    with pytest.raises(CheckFailed) as caught:
        require_same_bits([one, one], [one, other], "it differs")
    assert str(caught.value) == f"it differs: by up to {size:.2g}"
    assert caught.value.measured == size


def test_another_type_is_a_difference() -> None:
    one = torch.tensor([1.0, 2.0])
    with pytest.raises(CheckFailed, match="it differs: by up to 0"):
        require_same_bits(one, one.double(), "it differs")


def test_another_number_of_tensors_is_no_comparison() -> None:
    with pytest.raises(ValueError, match="zip"):
        require_same_bits([torch.ones(1)], [], "it differs")


@pytest.mark.parametrize("value", [1.0, -3.0])
def test_nan_against_a_number_is_a_difference(value: float) -> None:
    with pytest.raises(CheckFailed, match="by up to inf"):
        require_same_bits(torch.tensor([math.nan]), torch.tensor([value]), "it differs")


@pytest.mark.parametrize(
    ("one", "other"),
    [(math.nan, 0.0), (0.0, math.nan), (math.inf, torch.finfo(torch.float32).max)],
)
def test_what_is_not_finite_is_not_taken_for_a_number(one: float, other: float) -> None:
    with pytest.raises(CheckFailed):
        require_same_bits(torch.tensor([one]), torch.tensor([other]), "it differs")


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    values=st.lists(st.floats(width=64, allow_nan=True), min_size=1, max_size=6),
    index=st.integers(0, 5),
)
def test_bits_that_differ_are_never_equal(values: list[float], index: int) -> None:
    one = torch.tensor(values, dtype=torch.float64)
    require_same_bits(one, one.clone(), "it differs")
    other, place = one.clone(), index % len(values)
    # Zero stands for NaN at present: the test above tells of it.
    other[place] = 1.0 if values[place] != 1.0 else 2.0
    with pytest.raises(CheckFailed, match="it differs: by up to "):
        require_same_bits(one, other, "it differs")


def test_settings_are_shown_as_they_are_written() -> None:
    assert shown({}) == "at its defaults"
    assert shown({"lr": 0.1, "mode": "a[b]"}) == "with lr=0.1, mode='a[b]'"


def test_a_dtype_is_named_without_its_package() -> None:
    assert [dtype_name(d) for d in (torch.float64, torch.bfloat16)] == ["float64", "bfloat16"]
