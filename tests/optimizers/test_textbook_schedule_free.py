"""The schedule-free rules: by hand, and by the law of their average."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from optbench.optimizers.textbook import Array, Memory
from optbench.optimizers.textbook_schedule_free import schedule_free_adamw, schedule_free_sgd

Rule = Callable[..., Array]
BOTH = [schedule_free_sgd, schedule_free_adamw]


def exactly(value: Any) -> Any:
    return pytest.approx(value, rel=1e-12, abs=1e-15)


def path(rule: Rule, rates: Any, gradients: Any, **settings: Any) -> tuple[list[Array], Memory]:
    y, s, points = np.ones(1), Memory(), []
    for rate, gradient in zip(rates, gradients, strict=True):
        y = rule(y, np.array([gradient], dtype=float), s, lr=rate, **settings)
        points.append(y)
    return points, s


@pytest.mark.parametrize("rule", BOTH)
def test_two_steps_are_those_of_hand_and_pencil(rule: Rule) -> None:
    """z: 0.9, 0.8; x: 0.9, 0.85; y = 0.1 z + 0.9 x. Of AdamW a gradient has the size 1."""
    size = 7.0 if rule is schedule_free_adamw else 1.0
    settings = {"eps": 0.0} if rule is schedule_free_adamw else {}
    points, s = path(rule, [0.1, 0.1], [size, size], **settings)
    assert points == [exactly(0.9), exactly(0.08 + 0.9 * 0.85)]
    assert (s.z, s.x) == (exactly(0.8), exactly(0.85))


@pytest.mark.parametrize("rule", BOTH)
@pytest.mark.parametrize(
    ("settings", "weights"),
    [
        ({}, [0.01, 0.01, 0.04, 0.09, 0.09]),  # the square of the largest rate so far
        ({"weight_lr_power": 0.0}, [1, 1, 1, 1, 1]),
        ({"weight_lr_power": 0.0, "r": 2.0}, [1, 4, 9, 16, 25]),
        ({"weight_lr_power": 1.0, "warmup_steps": 4}, [0.025, 0.05, 0.15, 0.3, 0.3]),
    ],
    ids=str,
)
def test_the_average_is_that_of_the_points_by_their_weights(
    rule: Rule, settings: dict[str, Any], weights: list[float]
) -> None:
    rates, gradients = (0.1, 0.1, 0.2, 0.3, 0.1), np.random.default_rng(0).standard_normal(5)
    points: list[Array] = []
    for taken in range(1, 6):
        _, s = path(rule, rates[:taken], gradients[:taken], **settings)
        points.append(s.z)
        average = np.average(points, axis=0, weights=weights[:taken])
        assert s.x == exactly(average)


@pytest.mark.parametrize("rule", BOTH)
def test_a_rate_grows_linearly_while_warm_up_lasts(rule: Rule) -> None:
    settings = {"eps": 0.0} if rule is schedule_free_adamw else {}
    for taken, z in ((1, 0.98), (2, 0.94), (5, 0.7), (6, 0.6)):
        _, s = path(rule, [0.1] * taken, [1.0] * taken, warmup_steps=5, **settings)
        assert s.z == exactly(z)


@pytest.mark.parametrize("rule", BOTH)
def test_while_the_rate_is_zero_nothing_moves_and_nothing_is_divided_by_zero(rule: Rule) -> None:
    points, s = path(rule, [0.0, 0.0, 0.1], [1.0, 1.0, 1.0])
    assert points[:2] == [exactly(1), exactly(1)]
    assert s.x == exactly(s.z)
    assert s.z < 1


@pytest.mark.parametrize("rule", BOTH)
def test_the_decay_is_that_of_the_point_of_the_gradient(rule: Rule) -> None:
    settings = {"momentum": 0.5} if rule is schedule_free_sgd else {"betas": (0.5, 0.9), "eps": 0.0}
    _, s = path(rule, [0.1, 0.1], [1.0, 1.0], weight_decay=2.0, **settings)
    # z: 1 - 0.3 = 0.7, and so are x and y; then z: 0.7 - 0.1 (1 + 1.4), x halfway to it.
    assert (s.z, s.x) == (exactly(0.46), exactly(0.58))
    points, s = path(rule, [0.1] * 3, [1.0] * 3, weight_decay=2.0, **settings)
    # y = 0.52, between 0.46 and 0.58.
    assert s.z == exactly(0.46 - 0.1 * (1 + 1.04))
    assert points[1] == exactly(0.52)


def test_the_correction_is_part_of_the_rate_in_the_paper_alone() -> None:
    settings = {"betas": (0.9, 0.75), "eps": 0.5}
    # v = 0.25, corrected 1: g / (1 + 0.5); in the paper half the rate by g / (0.5 + 0.5).
    _, code = path(schedule_free_adamw, [0.1], [1.0], **settings)
    _, paper = path(schedule_free_adamw, [0.1], [1.0], **settings, convention="paper")
    assert (code.z, paper.z) == (exactly(1 - 0.1 / 1.5), exactly(0.95))
    # And the squares of the rates, 0.25 and 0.4375 of 0.01, are the weights.
    _, s = path(schedule_free_adamw, [0.1] * 2, [1.0] * 2, **settings, convention="paper")
    rate = 0.1 * math.sqrt(0.4375)
    z = 0.95 - rate / (math.sqrt(0.4375) + 0.5)
    assert s.z == exactly(z)
    assert s.x == exactly((0.25 * 0.95 + 0.4375 * z) / 0.6875)
    with pytest.raises(ValueError, match="convention must be 'code' or 'paper', not 'torch'"):
        path(schedule_free_adamw, [0.1], [1.0], convention="torch")
