"""Prodigy's estimate and SAM's ascent: by hand, and by their laws."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest

from optbench.optimizers.textbook import Array, Memory
from optbench.optimizers.textbook_whole_model import prodigy, sam_ascent


def exactly(value: Any) -> Any:
    return pytest.approx(value, rel=1e-9)


def led(
    gradients: Any, start: Any = (1.0,), sizes: tuple[int, ...] = (), **settings: Any
) -> tuple[Array, Memory]:
    """Where Prodigy ends, with the elements in one tensor or in tensors of these sizes."""
    cuts = np.cumsum(sizes)[:-1] if sizes else []
    xs = np.split(np.array(start, dtype=float), cuts)
    memories, shared = [Memory() for _ in xs], Memory()
    for gradient in gradients:
        gs = np.split(np.array(gradient, dtype=float), cuts)
        xs = prodigy(xs, gs, memories, shared, **settings)
    return np.concatenate(xs), shared


HAND = {"d0": 1e-2, "betas": (0.5, 0.75), "beta3": 0.5, "eps": 0.0}


def test_the_first_two_steps_are_those_of_hand_and_pencil() -> None:
    # m = 0.5 d, v = 0.25 d^2: a step of d; the estimate is 0, at the start.
    x, shared = led([[1.0]], **HAND)
    assert (x[0], shared.d) == (exactly(0.99), 0.01)
    # r = 0.5 d^2 * 3 * 0.01; s = 0.25 d^2 + 0.5 d^2 * 3: d = 0.015 / 1.75 is less than before.
    x, shared = led([[1.0], [3.0]], **HAND)
    assert shared.d == 0.01
    step = 0.01 * (0.25 + 1.5) / math.sqrt(0.75 * 0.25 + 0.25 * 9)
    assert x[0] == exactly(0.99 - step)
    # With twice that coefficient it is more, and d grows once the step is taken.
    x, shared = led([[1.0], [3.0]], **HAND, d_coef=2.0)
    assert shared.d == exactly(2 * 0.015 / 1.75)
    assert x[0] == exactly(0.99 - step)


def test_what_switches_change_is_that_of_hand_and_pencil() -> None:
    # The rate takes the bias correction: sqrt(0.25) / 0.5 at step 1, sqrt(0.4375) / 0.75 at 2.
    x, _ = led([[1.0]], **{**HAND, "betas": (0.75, 0.75)}, use_bias_correction=True)
    assert x[0] == exactly(1 - 0.01 * math.sqrt(0.25) / 0.25 * 0.25 / 0.5)
    # r has the rate twice, s once or, with the safeguard, never.
    gradients = [[1.0], [3.0]]
    for settings, estimate in (
        ({"lr": 3.0}, 0.5 * 3 * 0.03 * 3 / (1.75 * 3)),
        ({"lr": 3.0, "safeguard_warmup": True}, 0.5 * 3 * 0.03 * 3 / 1.75),
        # The first growth, from d0, is free.
        (
            {"lr": 3.0, "safeguard_warmup": True, "growth_rate": 1.5},
            0.5 * 3 * 0.03 * 3 / 1.75,
        ),
    ):
        _, shared = led(gradients, **HAND, **settings)
        assert shared.d == exactly(estimate if estimate > 0.01 else 0.01)
    # Decoupled: 0.5 of the rate; coupled: a gradient of 1.5, which leaves the first step alone.
    assert led([[1.0]], **HAND, weight_decay=0.5)[0][0] == exactly(0.995 - 0.01)
    coupled, _ = led([[1.0], [3.0]], **HAND, weight_decay=0.5, decouple=False)
    second = 3 + 0.5 * 0.99
    step = 0.01 * (0.25 * 1.5 + 0.5 * second) / math.sqrt(0.75 * 0.25 * 2.25 + 0.25 * second**2)
    assert coupled[0] == exactly(0.99 - step)


@pytest.mark.parametrize("convention", ["code", "paper"])
def test_eps_is_of_the_new_estimate_in_the_code_and_of_the_old_in_the_paper(
    convention: str,
) -> None:
    settings = {**HAND, "eps": 0.5, "d_coef": 100.0, "convention": convention}
    (first,), shared = led([[1.0]], **settings)
    assert first == exactly(1 - 0.01 * 0.5 / (0.5 + 0.5))
    # It moved by half as much: d = 100 * 0.5 * 3 * 0.005 / 1.75.
    (second,), shared = led([[1.0], [3.0]], **settings)
    assert shared.d == exactly(0.75 / 1.75)
    multiple = shared.d / 0.01 if convention == "code" else 1.0
    root = math.sqrt(0.75 * 0.25 + 0.25 * 9)
    assert second == exactly(first - 0.01 * 1.75 / (root + 0.5 * multiple))
    with pytest.raises(ValueError, match="convention must be 'code' or 'paper', not 'torch'"):
        led([[1.0]], convention="torch")


def test_the_estimate_is_of_all_tensors_however_they_are_cut() -> None:
    rng = np.random.default_rng(0)
    start, gradients = rng.standard_normal(6), rng.standard_normal((40, 6)) + 1
    whole, one = led(gradients, start, d0=1e-3)
    for sizes in ((2, 4), (1, 1, 1, 3)):
        cut, other = led(gradients, start, sizes, d0=1e-3)
        assert cut == exactly(whole)
        assert other.d == exactly(one.d)
    assert one.d > 2e-3


def test_the_estimate_is_blind_to_the_scale_of_gradients_and_no_more_than_the_distance() -> None:
    """On the sum of |x - 1| from 0: the distance is 1 in every coordinate."""
    ends = []
    for scale in (1.0, 1e6):
        x, memory, shared, estimates = np.zeros(3), Memory(), Memory(), []
        for _ in range(200):
            (x,) = prodigy([x], [scale * np.sign(x - 1)], [memory], shared, eps=0.0)
            estimates.append(shared.d)
        assert estimates == sorted(estimates)
        assert 0.05 < estimates[-1] <= 1
        ends.append(estimates[-1])
    assert ends[0] == exactly(ends[1])


def test_once_it_left_its_start_the_estimate_grows_by_no_more_than_the_growth_rate() -> None:
    x, memory, shared, estimates = np.zeros(3), Memory(), Memory(), []
    for _ in range(30):
        (x,) = prodigy([x], [np.sign(x - 1)], [memory], shared, growth_rate=1.1)
        estimates.append(shared.d)
    ratios = [b / a for a, b in itertools.pairwise(estimates) if a > 1e-6]
    assert max(ratios) == exactly(1.1)
    _, free = led([-np.ones(3)] * 30, np.zeros(3))
    assert free.d > 2 * estimates[-1]


def test_without_any_gradient_nothing_moves() -> None:
    x, shared = led([[0.0]], weight_decay=0.5)
    assert (x[0], shared.d) == (1.0, 1e-6)


def test_the_ascent_is_along_the_gradient_of_all_tensors() -> None:
    xs, gs = [np.array([1.0]), np.array([2.0, 0.0])], [np.array([3.0]), np.array([4.0, 0.0])]
    first, second = sam_ascent(xs, gs, rho=0.5)
    assert (first, second[0]) == (exactly(1.3), exactly(2.4))
    assert second[1] == 0
    # x^2 g = 3 and 16; |x| g = 3 and 8.
    first, second = sam_ascent(xs, gs, rho=0.5, adaptive=True)
    norm = math.sqrt(73)
    assert (first, second[0]) == (exactly(1 + 1.5 / norm), exactly(2 + 8 / norm))
    for x, moved in zip(xs, sam_ascent(xs, [0 * g for g in gs]), strict=True):
        assert np.array_equal(x, moved)
    first, _ = sam_ascent(xs, gs, rho=0.5, perturb_eps=5.0)
    assert first == exactly(1.15)
