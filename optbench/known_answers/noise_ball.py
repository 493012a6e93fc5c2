"""Where a fixed rate ends on a noisy quadratic: the expected gap, exactly."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from optbench.optimizers import OPTIMIZERS
from optbench.problems import Problem
from optbench.problems.convex import Quadratic
from optbench.problems.noisy import AdditiveNoise

REST, LONGEST = 0.01, 1e7

LINEAR = ("sgd", "momentum")
"""Optimizers whose steps are linear in the gradient, so that the variance follows a recursion."""


def stationary_gaps(problem: Problem, rates: Iterable[float]) -> pd.DataFrame:
    r"""Compute the stationary gap of SGD and heavy ball on a quadratic with normal gradient noise.

    Coordinates of curvature l are independent recursions of first and second order. With noise of
    standard deviation s, momentum m (0 for SGD) and rate r the variance of each is

    .. math:: v = \frac{r s^2}{l} \cdot \frac{1 + m}{(1 - m) (2 (1 + m) - r l)}

    (of an AR(1) process for m = 0, Mandt et al. 2017; of an AR(2) process else, Box and Jenkins
    1976, section 3.2, with coefficients 1 + m - r l and -m), and the gap is the sum of l v / 2.

    Returns
    -------
    DataFrame
        ``problem``, ``optimizer``, ``lr``, ``gap``: absolute, finite rates only (below
        2 (1 + m) / l for the largest l); ``settles``: steps after which what is left of the start
        is below a hundredth of that. Empty where the problem is no such quadratic.
    """
    rows = []
    if isinstance(problem, AdditiveNoise) and isinstance(problem.base, Quadratic):
        curvature = np.asarray(problem.base.eigenvalues)
        for name in LINEAR if problem.degrees is None else ():
            m = float(OPTIMIZERS[name].defaults.get("momentum", 0.0))
            for lr in sorted(set(rates)):
                room = 2 * (1 + m) - lr * curvature
                if np.all(room > 0) and lr > 0:
                    gap = np.sum(lr * problem.scale**2 * (1 + m) / (2 * (1 - m) * room))
                    settles = _settles(curvature, lr, m, REST * float(gap))
                    rows.append((problem.name, name, lr, float(gap), settles))
    return pd.DataFrame(rows, columns=["problem", "optimizer", "lr", "gap", "settles"])


def _settles(curvature: np.ndarray, lr: float, momentum: float, rest: float) -> float:
    """Compute steps until a start of unit variance in each coordinate leaves a gap below ``rest``.

    A coordinate shrinks by the spectral radius of its recursion in each step.
    """
    b = 1 + momentum - lr * curvature
    root = np.sqrt((b**2 - 4 * momentum).astype(complex))
    radius = np.maximum(np.abs(b + root), np.abs(b - root)) / 2
    steps = np.geomspace(1, LONGEST, 600)
    left = (0.5 * curvature * radius ** (2 * steps[:, None])).sum(1)
    below = np.flatnonzero(left <= rest)
    return float(steps[below[0]]) if len(below) else float("inf")
