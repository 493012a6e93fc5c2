"""Claims that compare one place with another: noise, depth, rotation, size."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest
from made_evidence import judge, noisy, ran
from scipy.stats import kendalltau

from optbench.analysis.claims import Verdict
from optbench.analysis.claims.growth import SIZES, _ordered_pairs, trend
from optbench.analysis.claims.places import WITHOUT_NOISE

NOISY = tuple(WITHOUT_NOISE)
QUIET = ("quadratic", "rosenbrock-2d")


def steps(table: dict[tuple[str, str], float], seeds: int = 10) -> list[pd.DataFrame]:
    """Runs with these medians by optimizer and problem, and 0.5 %; infinite ones miss."""
    return [
        ran(o, p, [np.nan] * seeds if math.isinf(m) else noisy(m, seeds, 0.005, salt=i))
        for i, ((o, p), m) in enumerate(table.items())
    ]


# Depth.


def depth(sgd: float, adam: float, seeds: int = 10) -> list[pd.DataFrame]:
    table = {("sgd", "shallow-tanh"): 100.0, ("adam", "shallow-tanh"): 100.0}
    return steps(table | {("sgd", "deep-tanh"): sgd, ("adam", "deep-tanh"): adam}, seeds)


@pytest.mark.parametrize(
    ("sgd", "adam", "verdict"),
    [
        (50.0, 60.0, Verdict.SUPPORTED),
        (300.0, 200.0, Verdict.REFUTED),
        (100.0, 200.0, Verdict.REFUTED),  # as many is no cure
        (math.inf, math.inf, Verdict.REFUTED),  # gradients that vanish
        (50.0, 300.0, Verdict.INCONCLUSIVE),  # the two disagree
    ],
)
def test_depth_is_decided_by_both_optimizers(sgd: float, adam: float, verdict: Verdict) -> None:
    found = judge("depth-cures-gradients", depth(sgd, adam))
    assert found.verdict is verdict, found.text


def test_the_milder_of_the_two_stands_for_depth() -> None:
    found = judge("depth-cures-gradients", depth(math.inf, 300.0))
    assert found.effect == pytest.approx(3.0, rel=0.05)
    assert "0 of 10 runs with ten hidden layers" in found.text


def test_few_seeds_leave_depth_open() -> None:
    assert judge("depth-cures-gradients", depth(300, 300, 5)).verdict is Verdict.INCONCLUSIVE


# Noise.


def noise(with_noise: Sequence[float], sparse: float, without: float) -> list[pd.DataFrame]:
    """Ratios of adam to sgd on the four noisy problems, on the sparse one, and without noise."""
    ratios = dict(zip(NOISY, with_noise, strict=True)) | {"sparse-logistic": sparse}
    ratios |= dict.fromkeys(QUIET, without)
    return steps(
        {("adam", p): 200 * r for p, r in ratios.items()} | {("sgd", p): 200.0 for p in ratios}
    )


@pytest.mark.parametrize(
    ("frames", "verdict"),
    [
        (noise([0.5] * 4, 0.5, 1.0), Verdict.SUPPORTED),
        (noise([0.5, 0.5, 1.0, 1.0], 0.5, 1.0), Verdict.SUPPORTED),
        (noise([2.0] * 4, 2.0, 1.0), Verdict.REFUTED),
        (noise([1.0] * 4, 1.0, 1.0), None),
        # Ahead with noise, and further ahead without: it is not the noise.
        (noise([0.5] * 4, 0.5, 0.2), Verdict.INCONCLUSIVE),
        # Behind with noise, and further behind without: the noise is not to blame.
        (noise([2.0] * 4, 2.0, 4.0), Verdict.INCONCLUSIVE),
        (noise([0.5, 0.5, 0.5, 2.0], 0.5, 1.0), Verdict.INCONCLUSIVE),
    ],
)
def test_noise_is_told_from_what_holds_without_it(
    frames: list[pd.DataFrame], verdict: Verdict | None
) -> None:
    found = judge("adam-handles-noise", frames)
    if verdict is None:
        assert found.verdict is not Verdict.SUPPORTED
    else:
        assert found.verdict is verdict, found.text


def test_the_change_by_noise_is_a_ratio_of_ratios() -> None:
    found = judge("adam-handles-noise", noise([0.5] * 4, 0.5, 2.0))
    change = found.detail.set_index("problem")["change"]
    assert change[list(NOISY)].to_numpy() == pytest.approx(0.25, rel=0.05)
    assert np.isnan(change["sparse-logistic"])


def test_noise_without_the_quiet_problems_is_missing() -> None:
    frames = [f for f in noise([0.5] * 4, 0.5, 1.0) if f["problem"].iloc[0] != "rosenbrock-2d"]
    found = judge("adam-handles-noise", frames)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "-p rosenbrock-2d" in found.text


# Signs.


def signs(lion: float, signum: float, momentum: float = 100.0) -> list[pd.DataFrame]:
    at = {"lion": lion, "signum": signum, "sgd": 100.0, "momentum": momentum}
    heavy = {(o, "heavy-tailed-quadratic"): m for o, m in at.items()}
    return steps(heavy | {(o, "noisy-quadratic"): 100.0 for o in at})


@pytest.mark.parametrize(
    ("frames", "verdict"),
    [
        (signs(50.0, 60.0), Verdict.SUPPORTED),
        (signs(200.0, 300.0), Verdict.REFUTED),
        # Each of them loses to one.
        (signs(80.0, 80.0, momentum=50.0), Verdict.REFUTED),
        (signs(100.0, 100.0), Verdict.REFUTED),
        (signs(50.0, 200.0), Verdict.INCONCLUSIVE),
        (signs(50.0, 60.0, momentum=math.inf), Verdict.SUPPORTED),
    ],
)
def test_sign_like_methods_have_to_beat_both(frames: list[pd.DataFrame], verdict: Verdict) -> None:
    found = judge("signs-win-heavy-tails", frames)
    assert found.verdict is verdict, found.text


def test_the_effect_of_signs_is_the_pair_that_the_claim_hangs_on() -> None:
    found = judge("signs-win-heavy-tails", signs(50.0, 80.0))
    assert found.effect == pytest.approx(0.8, rel=0.05)
    assert "signum" in found.unit


# Rotation.


def rotated(adam: float, sgd: float = 100.0, seeds: int = 10) -> list[pd.DataFrame]:
    table = {("adam", "quadratic-ill"): 100.0, ("sgd", "quadratic-ill"): 100.0}
    rest = {("adam", "quadratic-ill-rotated"): adam, ("sgd", "quadratic-ill-rotated"): sgd}
    return steps(table | rest, seeds)


@pytest.mark.parametrize(
    ("adam", "seeds", "verdict"),
    [
        (150.0, 10, Verdict.SUPPORTED),
        (math.inf, 10, Verdict.SUPPORTED),
        (70.0, 10, Verdict.REFUTED),
        (100.0, 10, Verdict.REFUTED),
        (150.0, 5, Verdict.INCONCLUSIVE),
    ],
)
def test_rotation(adam: float, seeds: int, verdict: Verdict) -> None:
    found = judge("rotation-hurts-adam", rotated(adam, seeds=seeds))
    assert found.verdict is verdict, found.text


def test_rotation_shows_the_control_and_does_not_need_it() -> None:
    assert "sgd" in judge("rotation-hurts-adam", rotated(150.0)).text
    alone = [f for f in rotated(150.0) if f["optimizer"].iloc[0] == "adam"]
    found = judge("rotation-hurts-adam", alone)
    assert found.verdict is Verdict.SUPPORTED
    assert "sgd" not in found.text


def test_rotation_says_nothing_where_adam_never_arrives() -> None:
    found = judge("rotation-hurts-adam", steps({("adam", p): math.inf for p in (
        "quadratic-ill", "quadratic-ill-rotated")}))  # fmt: skip
    assert found.verdict is Verdict.INCONCLUSIVE


# Size.


def sizes(ratios: Sequence[float], seeds: int = 6) -> list[pd.DataFrame]:
    frames = []
    for i, (size, ratio, dimension) in enumerate(
        zip(SIZES, ratios, (1_000, 10_000, 100_000), strict=True)
    ):
        frames += [
            ran("sgd", size, noisy(200, seeds, salt=i), dimension=dimension),
            ran("adam", size, noisy(200 * ratio, seeds, salt=9 + i), dimension=dimension),
        ]
    return frames


@pytest.mark.parametrize(
    ("ratios", "verdict", "factor"),
    [
        ((1.0, 0.5, 0.25), Verdict.SUPPORTED, 0.5),
        ((0.25, 0.5, 1.0), Verdict.REFUTED, 2.0),
        ((0.5, 0.5, 0.5), Verdict.REFUTED, 1.0),  # an advantage that does not grow
    ],
)
def test_the_trend_with_size(ratios: Sequence[float], verdict: Verdict, factor: float) -> None:
    found = judge("adam-gains-with-size", sizes(ratios))
    assert found.verdict is verdict, found.text
    assert found.effect == pytest.approx(factor, rel=0.05)


def test_sizes_stand_where_their_logarithms_do() -> None:
    """A ratio that halves with each tenfold, at sizes that are not tenfold."""
    dimensions = dict(zip(SIZES, (1_000, 3_000, 300_000), strict=True))
    frames = []
    for i, (size, dimension) in enumerate(dimensions.items()):
        ratio = 0.5 ** np.log10(dimension / 1_000)
        frames += [
            ran("sgd", size, noisy(200, 6, salt=i), dimension=dimension),
            ran("adam", size, noisy(200 * ratio, 6, salt=9 + i), dimension=dimension),
        ]
    found = judge("adam-gains-with-size", frames)
    assert found.effect == pytest.approx(0.5, rel=0.05)


def test_two_censored_values_are_in_no_order() -> None:
    inf = np.full(3, np.inf)
    found = trend((0.0, 1.0), (inf, inf))
    assert found.ratio == 1.0
    assert trend((0.0, 1.0), (inf, np.ones(3))).ratio == 0.0


def test_a_size_that_sgd_never_trains_counts_as_gained() -> None:
    frames = sizes((1.0, 0.7, 1.0))
    last = next(f for f in frames if (f["optimizer"] + f["problem"]).iloc[0] == "sgdmnist-mlp")
    last["steps_to_target"] = np.nan
    found = judge("adam-gains-with-size", frames)
    assert found.verdict is Verdict.SUPPORTED
    assert found.high is not None
    assert found.high < 1


def test_too_few_values_for_the_level_leave_the_trend_open() -> None:
    """Two and two fall in this order one time in six, with three threes it is one in 1,680."""
    found = trend((0.0, 1.0), (np.array([1.0, 1.1]), np.array([3.0, 3.1])))
    assert (found.low, found.high) == (0.0, math.inf)
    rows = [np.array([1.0, 1.1, 1.2]) * 3.0**x for x in range(3)]
    assert trend((0.0, 1.0, 2.0), rows).low > 1


def test_a_missing_size_is_named() -> None:
    frames = [f for f in sizes((1.0, 0.5, 0.25)) if f["problem"].iloc[0] != "mnist-mlp-8"]
    found = judge("adam-gains-with-size", frames)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "-p mnist-mlp-8" in found.text
    assert "mnist-mlp-32" not in found.text


@pytest.mark.parametrize("counts", [(2, 2), (1, 2, 3), (3, 2, 2), (4, 4)])
def test_the_distribution_of_rising_pairs_by_counting_all_orders(counts: tuple[int, ...]) -> None:
    group = [g for g, n in enumerate(counts) for _ in range(n)]
    pairs = [(i, j) for i, j in itertools.combinations(range(len(group)), 2) if group[i] < group[j]]
    seen = np.zeros(len(pairs) + 1)
    for order in itertools.permutations(range(len(group))):
        seen[sum(order[i] < order[j] for i, j in pairs)] += 1
    assert _ordered_pairs(counts) == pytest.approx(seen / seen.sum(), abs=1e-12)


def test_the_distribution_of_singles_is_that_of_kendalls_tau() -> None:
    shares = _ordered_pairs([1] * 7)
    x = np.arange(7.0)
    y = np.array([0.0, 2, 1, 3, 4, 6, 5])
    rising = sum(y[i] < y[j] for i, j in itertools.combinations(range(7), 2))
    p = min(1.0, 2 * shares[rising:].sum())
    assert p == pytest.approx(kendalltau(x, y, method="exact").pvalue, rel=1e-9)


def test_the_trend_interval_covers_the_truth() -> None:
    """In 19 of 20; with heavy tails, for it assumes none."""
    rng = np.random.default_rng(5)
    places, factor, held = (0.0, 0.5, 1.2), 0.6, 0
    for _ in range(400):
        groups = [factor**x * np.exp(0.3 * rng.standard_t(2, 5)) for x in places]
        found = trend(places, groups)
        held += found.low <= factor <= found.high
    assert 0.94 * 400 <= held < 400
