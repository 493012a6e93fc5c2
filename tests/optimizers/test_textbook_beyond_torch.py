"""The elementwise and layerwise rules that torch has no class for: by hand, and by their laws."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from optbench.optimizers import textbook
from optbench.optimizers import textbook_beyond_torch as rules
from optbench.optimizers.textbook import Array, Memory

Rule = Callable[..., Array]


def path(rule: Rule, gradients: Any, start: Any = 1.0, **settings: Any) -> list[Array]:
    """Points after each step."""
    x, s, points = np.array(start, dtype=float), Memory(), []
    for gradient in gradients:
        x = rule(x, np.array(gradient, dtype=float), s, **settings)
        points.append(x)
    return points


def normal(steps: int = 30) -> tuple[Array, Array]:
    rng = np.random.default_rng(0)
    return rng.standard_normal((steps, 4, 3)), rng.standard_normal((4, 3))


def exactly(value: Any) -> Any:
    return pytest.approx(value, rel=1e-12, abs=1e-15)


@pytest.mark.parametrize(("convention", "factor"), [("code", 0.95), ("paper", 0.5)])
def test_without_a_gradient_sgdw_decays_geometrically(convention: str, factor: float) -> None:
    points = path(rules.sgdw, [0.0] * 9, lr=0.1, weight_decay=0.5, convention=convention)
    assert points == [exactly(factor ** (n + 1)) for n in range(9)]


def test_the_decay_of_sgdw_stays_out_of_the_momentum() -> None:
    # b = 1 and 1.9: 0.95 - 0.1, then 0.85 * 0.95 - 0.19. Nesterov: steps of 1.9 and 2.71.
    settings = {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.5}
    for convention in ("code", "paper"):
        decay = {"weight_decay": 0.05} if convention == "paper" else {}
        given = {**settings, **decay, "convention": convention}
        assert path(rules.sgdw, [1, 1], **given) == [exactly(0.85), exactly(0.6175)]
    nesterov = path(rules.sgdw, [1, 1], **settings, nesterov=True)
    assert nesterov == [exactly(0.76), exactly(0.76 * 0.95 - 0.271)]
    upwards = path(rules.sgdw, [1, 1], **settings, maximize=True, dampening=0.5)
    assert upwards == [exactly(1.05), exactly(1.05 * 0.95 + 0.14)]


def test_a_first_step_of_lamb_is_that_of_hand_and_pencil() -> None:
    x, g = np.array([3.0, 4.0]), np.array([0.5, -2.0])
    settings = {"start": x, "lr": 0.1, "eps": 0.0}
    # r = (1, -1), of norm sqrt(2); the weights have norm 5.
    step = 0.5 / math.sqrt(2)
    assert path(rules.lamb, [g], **settings)[0] == exactly([3 - step, 4 + step])
    # r + 0.5 x = (2.5, 1)
    step = 0.5 / math.sqrt(7.25)
    moved = path(rules.lamb, [g], **settings, weight_decay=0.5)[0]
    assert moved == exactly([3 - 2.5 * step, 4 - step])
    # phi(5) = 2
    step = 0.2 / math.sqrt(2)
    moved = path(rules.lamb, [g], **settings, clamp_value=2.0)[0]
    assert moved == exactly([3 - step, 4 + step])
    # No weights: a ratio of 1.
    assert path(rules.lamb, [g], start=0 * x, lr=0.1, eps=0.0)[0] == exactly([-0.1, 0.1])


def test_lamb_moves_by_the_rate_times_the_norm_of_the_weights() -> None:
    gradients, x = normal()
    points = [x, *path(rules.lamb, gradients, x, lr=0.1, weight_decay=0.3)]
    for before, after in itertools.pairwise(points):
        assert np.linalg.norm(after - before) == exactly(0.1 * np.linalg.norm(before))


def test_lamb_is_as_blind_to_the_scale_of_gradients_as_its_eps_is_small() -> None:
    """And to the bias correction, but for eps and the decay, beside which m is 3 times as large."""
    gradients, x = normal(3)
    settings = {"lr": 0.1, "eps": 0.0}
    corrected = path(rules.lamb, gradients, x, **settings)
    assert path(rules.lamb, 1e3 * gradients, x, **settings)[-1] == exactly(corrected[-1])
    raw = path(rules.lamb, gradients, x, **settings, bias_correction=False)
    assert raw[-1] == exactly(corrected[-1])
    # r is 0.1 / sqrt(0.001) = 3.16 and x = 1: 2 * 3.16 + 1 and -2 * 3.16 + 1 over their norm.
    step = np.array([math.sqrt(10) + 1, -math.sqrt(10) + 1])
    moved = path(
        *(rules.lamb, [[2.0, -2.0]], [1.0, 1.0]),
        **settings,
        weight_decay=1.0,
        bias_correction=False,
    )[0]
    assert moved == exactly(1 - 0.1 * math.sqrt(2) * step / math.sqrt(22))


def test_three_gradients_of_adopt_are_those_of_hand_and_pencil() -> None:
    settings = {"lr": 0.1, "betas": (0.9, 0.5)}
    # v_0 = 4; m_1 = 0.1 * 1 / 2, v_1 = (4 + 1) / 2; 10 / sqrt(2.5) is clipped to 2^0.25.
    m = 0.9 * 0.05 + 0.1 * 2**0.25
    expected = [exactly(1), exactly(0.995), exactly(0.995 - 0.1 * m)]
    assert path(rules.adopt, [2, 1, 10], **settings) == expected
    m = 0.9 * 0.05 + 0.1 * 10 / math.sqrt(2.5)
    assert path(rules.adopt, [2, 1, 10], **settings, clip_exp=None)[-1] == exactly(0.995 - 0.1 * m)
    # The floor of the root is 4; upwards the clip is at -1.
    assert path(rules.adopt, [2, 1], **settings, eps=4.0)[-1] == exactly(1 - 0.1 * 0.1 / 4)
    assert path(rules.adopt, [1, 3], **settings, maximize=True)[-1] == exactly(1.01)


def test_the_decay_of_adopt_is_where_it_is_said_to_be() -> None:
    settings = {"lr": 0.1, "weight_decay": 0.5, "clip_exp": None}
    # g + 0.5 x = 2.5 and 1.5: m = 0.1 * 1.5 / 2.5.
    assert path(rules.adopt, [2, 1], **settings) == [exactly(1), exactly(0.994)]
    decoupled = path(rules.adopt, [2, 1], **settings, decouple=True)
    assert decoupled == [exactly(1), exactly(0.95 - 0.005)]
    at_start = path(rules.adopt, [2, 1], **settings, decouple=True, decay_at_start=True)
    assert at_start == [exactly(0.95), exactly(0.95**2 - 0.005)]


def test_two_steps_of_adan_are_those_of_hand_and_pencil() -> None:
    settings = {"lr": 0.1, "betas": (0.5, 0.5, 0.5), "eps": 0.0}
    # m = 1.75, v = 0.5 * 2, n = 0.25 + 0.5 (3 + 0.5 * 2)^2 = 8.25, each over 0.75.
    second = (1.75 + 0.5) / 0.75 / math.sqrt(8.25 / 0.75)
    assert path(rules.adan, [1, 3], **settings) == [exactly(0.9), exactly(0.9 - 0.1 * second)]
    # m_0 = 1 and n_0 = 1: m = 2, n = 0.5 + 8, and v as before.
    paper = path(rules.adan, [1, 3], **settings, convention="paper")
    assert paper == [exactly(0.9), exactly(0.9 - 0.1 * 2.5 / math.sqrt(8.5))]
    decayed = path(rules.adan, [1], **settings, weight_decay=0.5)
    assert decayed == [exactly(0.9 / 1.05)]
    assert path(rules.adan, [1], **settings, weight_decay=0.5, no_prox=True) == [exactly(0.85)]
    upwards = path(rules.adan, [1, 3], **settings, maximize=True)
    assert upwards == [exactly(1.1), exactly(1.1 + 0.1 * second)]


def test_ademamix_without_the_slow_momentum_is_adamw() -> None:
    gradients, x = normal()
    for decay in (0.0, 0.3):
        ours = path(rules.ademamix, gradients, x, lr=0.1, alpha=0.0, weight_decay=decay)
        theirs = path(textbook.adamw, gradients, x, lr=0.1, weight_decay=decay)
        assert ours[-1] == exactly(theirs[-1])


def test_the_slow_momentum_of_ademamix_has_no_bias_correction() -> None:
    settings = {"lr": 0.1, "betas": (0.9, 0.999, 0.75), "alpha": 2.0, "eps": 0.0}
    # m2 = 0.25, then 0.4375, for gradients of 1.
    expected = [exactly(1 - 0.1 * 1.5), exactly(1 - 0.1 * (1.5 + 1.875))]
    assert path(rules.ademamix, [1, 1], **settings) == expected
    # alpha is 0.5, then 1.
    expected = [exactly(1 - 0.1 * 1.125), exactly(1 - 0.1 * (1.125 + 1.4375))]
    assert path(rules.ademamix, [1, 1], **settings, alpha_warmup=4) == expected
    upwards = path(rules.ademamix, [1], **settings, maximize=True)
    assert upwards == [exactly(1 + 0.1 * 1.5)]


def test_the_half_life_of_ademamix_grows_linearly() -> None:
    betas, half_lives = (0.9, 0.999, 0.9999), []
    for warmup in (1e9, 10, 5, 2, 1):
        s = Memory()
        rules.ademamix(np.ones(1), np.ones(1), s, betas=betas, beta3_warmup=warmup)
        half_lives.append(math.log(0.5) / math.log(1 - s.m2[0]))
    first, *between, last = half_lives
    assert first == pytest.approx(math.log(0.5) / math.log(0.9), rel=1e-4)
    assert last == pytest.approx(math.log(0.5) / math.log(0.9999))
    for part, half_life in zip((0.1, 0.2, 0.5), between, strict=True):
        assert half_life == pytest.approx((1 - part) * first + part * last, rel=1e-4)


def test_sophia_clips_at_the_rate_and_divides_by_the_curvature() -> None:
    settings = {"lr": 0.1, "betas": (0.5, 0.5), "rho": 0.1, "bs": 10, "weight_decay": 0.5}
    s, x = Memory(), np.ones(1)
    # No estimate yet: by the sign.
    assert rules.sophia(x, 2 * x, s, **settings) == exactly(0.95 - 0.1)
    rules.sophia_hessian(2 * x, s, betas=(0.5, 0.5))
    # h = 2, m = 1.5: three quarters of a step; down from m = -0.25, an eighth.
    assert rules.sophia(x, 2 * x, s, **settings) == exactly(0.95 - 0.075)
    assert rules.sophia(x, -2 * x, s, **settings) == exactly(0.95 + 0.0125)
    rules.sophia_hessian(0 * x, s, betas=(0.5, 0.5))
    assert s.h == exactly(1)
    # m = -0.125 - 1, clipped.
    assert rules.sophia(x, 2 * x, s, **settings, maximize=True) == exactly(0.95 + 0.1)


def test_sophia_adds_its_eps_in_the_code_and_takes_the_larger_in_the_paper() -> None:
    settings = {"lr": 0.1, "betas": (0.5, 0.5), "rho": 0.1, "bs": 10, "weight_decay": 0.0}
    for convention, eps, part in (
        *(("code", 1.0, 1 / 3), ("paper", 1.0, 1 / 2)),
        *(("code", 4.0, 1 / 6), ("paper", 4.0, 1 / 4)),
    ):
        s = Memory(h=np.full(1, 2.0))
        moved = rules.sophia(np.ones(1), np.full(1, 2.0), s, **settings, eps=eps,
                             convention=convention)  # fmt: skip
        assert moved == exactly(1 - 0.1 * part)


def test_lookahead_with_every_step_taken_over_whole_is_adam() -> None:
    gradients, x = normal()
    settings = {"lr": 0.1, "weight_decay": 0.1, "maximize": True}
    ours = path(rules.lookahead, gradients, x, **settings, k=1, alpha=1.0)
    theirs = path(textbook.adam, gradients, x, **settings)
    assert ours[-1] == exactly(theirs[-1])


def test_lookahead_goes_back_every_k_steps() -> None:
    """Along a gradient of 1 an Adam step is the rate."""
    points = path(rules.lookahead, [1] * 6, lr=0.1, eps=0.0, k=3, alpha=0.5)
    assert points == [exactly(p) for p in (0.9, 0.8, 0.85, 0.75, 0.65, 0.7)]
    points = path(rules.lookahead, [1] * 4, lr=0.1, eps=0.0, k=2, alpha=0.0)
    assert points == [exactly(p) for p in (0.9, 1, 0.9, 1)]


@pytest.mark.parametrize("rule", [rules.sgdw, rules.adan, rules.sophia])
def test_a_convention_that_is_none_is_refused(rule: Rule) -> None:
    with pytest.raises(ValueError, match="convention must be 'code' or 'paper', not 'torch'"):
        path(rule, [1.0], convention="torch")
