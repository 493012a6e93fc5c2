"""Known answers on quadratics: linear recurrences, whose solutions are formulas."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from optbench.known_answers.answer import Case, Kind, Make, Tolerance, run
from optbench.problems.convex import Quadratic
from optbench.problems.noisy import AdditiveNoise

ROTATED = Quadratic("known-rotated", condition=100.0, rotated=True, dimension=20)
"""Eigenvalues 0.01 ... 1 along no axis, so that a coordinate is not an eigenvector."""


def _in_eigenvectors(x: np.ndarray) -> np.ndarray:
    assert ROTATED.rotation is not None
    shares: np.ndarray = x @ ROTATED.rotation
    return shares


def gradient_descent(make: Make) -> Sequence[Case]:
    """Every eigenvector's share after k steps, in both regimes of 1 - lr lambda."""
    tolerance = Tolerance(
        1e-12,
        Kind.ABSOLUTE,
        "of the start's length; 100 steps in 20 dimensions round by about 100 * 20 * 2^-53",
    )
    cases = []
    for lr in (0.3, 1.7):
        for steps in (1, 10, 100):
            start = ROTATED.start(ROTATED.generators(0)[0])["x"]
            end = run(make, ROTATED, {"lr": lr}, steps).params["x"][0].numpy()
            theory = (1 - lr * ROTATED.eigenvalues) ** steps * _in_eigenvectors(start)
            departure = np.abs(_in_eigenvectors(end) - theory).max() / np.linalg.norm(start)
            cases.append(Case(f"lr = {lr}, k = {steps}", 0.0, float(departure), tolerance))
    return cases


def divergence_threshold(make: Make) -> Sequence[Case]:
    """Growth a step of the steepest direction (L = 1) on either side of lr = 2/L."""
    tolerance = Tolerance(1e-12, Kind.RELATIVE, "rounding of 400 multiplications, a step's share")
    bowl = Quadratic("known-steep", condition=10.0, dimension=5)
    steepest, steps = int(bowl.eigenvalues.argmax()), 400
    start = bowl.start(bowl.generators(0)[0])["x"]
    cases = []
    for side, lr in (("below: converges", 2 * (1 - 1e-3)), ("above: diverges", 2 * (1 + 1e-3))):
        end = run(make, bowl, {"lr": lr}, steps).params["x"][0].numpy()
        factor = abs(end[steepest] / start[steepest]) ** (1 / steps)
        expected = abs(1 - lr * bowl.eigenvalues[steepest])
        cases.append(Case(f"lr = {lr:g}/L, {side}", float(expected), float(factor), tolerance))
    return cases


def companion_radius(eigenvalues: np.ndarray, lr: float, momentum: float) -> float:
    """Spectral radius of the heavy ball's companion matrices, the slowest eigenvalue's."""
    return max(
        float(np.abs(np.linalg.eigvals([[1 + momentum - lr * e, -momentum], [1.0, 0.0]])).max())
        for e in eigenvalues
    )


def heavy_ball(make: Make, seed: int = 0) -> Sequence[Case]:
    """Compute the rate -ln(rho) a step, from a line through the logarithm of the gap.

    The gap of a mode in the oscillating regime is rho^2k times a square of a cosine: a ratio of
    two gaps depends on where in a period they stand, a least-squares line over a thousand steps
    hardly does. Both regimes are measured: where all modes oscillate the radius is
    sqrt(momentum) and does not feel lr; where the slowest does not, it feels lr directly. There
    are few eigenvalues, far apart, so that the slowest is soon alone whatever the start.
    """
    tolerance = Tolerance(
        0.01,
        Kind.RELATIVE,
        "of the rate -ln(rho): what the oscillation leaves in the slope of a fitted line is "
        "below a tenth of it for 40 other starts",
    )
    bowl = Quadratic("known-bowl", condition=100.0, dimension=5)
    largest, least = 1.0, 0.01
    fastest = 4 / (math.sqrt(largest) + math.sqrt(least)) ** 2
    cases = []
    for regime, lr, momentum in (
        # Polyak's lr; his momentum is 0.6694, where the outermost modes are double roots, whose
        # factor k would bend the line. A little more lets every mode oscillate.
        ("Polyak's lr, all modes oscillate", fastest, 0.69),
        ("the slowest mode creeps", 1.0, 0.5),
    ):
        expected = -math.log(companion_radius(bowl.eigenvalues, lr, momentum))
        # So many steps that the gap falls by 1e-180 or less, far from underflow.
        steps = int(min(1500, 200 / expected))
        settings: dict[str, Any] = {"lr": lr, "momentum": momentum}
        gaps = run(make, bowl, settings, steps, seeds=(seed,)).gaps[:, 0]
        measured = math.nan
        if np.all(np.isfinite(gaps)) and np.all(gaps > 0):
            k = np.arange(len(gaps))
            tail = k >= len(k) // 4
            measured = -0.5 * float(np.polyfit(k[tail], np.log(gaps[tail]), 1)[0])
        cases.append(Case(f"{regime}: momentum = {momentum}", expected, measured, tolerance))
    return cases


SIGMAS = 5.0
"""Standard errors that a mean over random draws may miss its expectation by."""


def stationary_variance(make: Make, seed: int = 0) -> Sequence[Case]:
    r"""Compute the mean square of 500 coordinates over 2,000 steps, once the start is forgotten.

    Each coordinate is an autoregression x' = phi x - lr s xi with phi = 1 - lr l. For a normal
    one the squares at a distance of k steps correlate as phi^2k, so that N of them are worth
    N (1 - phi^2) / (1 + phi^2) independent ones, each of relative variance 2.
    """
    coordinates, forget, steps = 500, 200, 2000
    scale = 0.1
    cases = []
    for product in (0.1, 0.5, 1.5):
        bowl = Quadratic("known-noise-free", condition=1.0, dimension=coordinates)
        problem = AdditiveNoise(f"known-noisy-{product}", bowl, scale=scale)
        # l = 1 in every direction, so lr is lr l.
        gaps = run(make, problem, {"lr": product}, forget + steps, seeds=(seed,)).gaps[:, 0]
        measured = 2 * float(gaps[forget + 1 :].mean()) / coordinates
        squared = (1 - product) ** 2
        draws = steps * coordinates * (1 - squared) / (1 + squared)
        tolerance = Tolerance(
            SIGMAS * math.sqrt(2 / draws),
            Kind.STATISTICAL,
            f"{SIGMAS:g} standard errors of the mean of {draws:.0f} independent squares: "
            "missed by chance with probability 6e-7",
        )
        expected = product * scale**2 / (2 - product)
        cases.append(Case(f"lr l = {product}, s = {scale}", expected, measured, tolerance))
    return cases
