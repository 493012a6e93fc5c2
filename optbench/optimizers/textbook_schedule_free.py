"""Schedule-free rules, as their paper prints them: NumPy, float64.

Of the same shape as the rules in `optbench.optimizers.textbook`; the parameter is y, the point of
the gradient, and the memory holds z, which takes the steps, and x, the average, which is scored.
"""

# What a memory holds is an array or a number, as in the papers: its type is Any.
# mypy: disable-error-code="no-any-return"

from __future__ import annotations

import math

import numpy as np

from optbench.optimizers.textbook import Array, Memory, follows_paper


def schedule_free_sgd(
    y: Array,
    g: Array,
    s: Memory,
    *,
    lr: float = 1.0,
    momentum: float = 0.9,
    weight_decay: float = 0.0,
    warmup_steps: int = 0,
    r: float = 0.0,
    weight_lr_power: float = 2.0,
) -> Array:
    """Gradient descent evaluated between its last point and the average of its points.

    Defazio et al. 2024, *The Road Less Scheduled* (arXiv 2405.15682), eq. 3-5: y = (1 - beta) z +
    beta x, z = z - gamma g(y), x = (1 - c) x + c z. beta is ``momentum``.
    """
    s.t += 1
    rate = _warmed(lr, s.t, warmup_steps)
    _average(y, g + weight_decay * y, s, rate, r, weight_lr_power)
    return interpolate(s.x, s.z, momentum)


def schedule_free_adamw(
    y: Array,
    g: Array,
    s: Memory,
    *,
    lr: float = 2.5e-3,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    warmup_steps: int = 0,
    r: float = 0.0,
    weight_lr_power: float = 2.0,
    convention: str = "code",
) -> Array:
    """AdamW without momentum, evaluated between its last point and the average of its points.

    Defazio et al. 2024, *The Road Less Scheduled* (arXiv 2405.15682), Algorithm 1, where the
    decay is that of y.

    The code departs: it corrects the bias of v under the root, as Adam does. In the paper the
    correction is part of the rate, and so of the weights of the average.
    """
    _, b2 = betas
    s.t += 1
    s.v = b2 * s.v + (1 - b2) * g**2
    correction = math.sqrt(1 - b2**s.t)
    rate = _warmed(lr, s.t, warmup_steps)
    if follows_paper(convention, "code"):
        rate, root = rate * correction, np.sqrt(s.v)
    else:
        root = np.sqrt(s.v) / correction
    _average(y, g / (root + eps) + weight_decay * y, s, rate, r, weight_lr_power)
    return interpolate(s.x, s.z, betas[0])


def interpolate(x: Array, z: Array, beta: float) -> Array:
    """Return the point y of the gradient; eq. 3."""
    return (1 - beta) * z + beta * x


def _average(
    y: Array, step: Array, s: Memory, rate: float, r: float, weight_lr_power: float
) -> None:
    """Take a step with z and average it into x with weight t^r (largest rate so far)^power.

    While every rate was zero, the average stays.
    """
    if s.t == 1:
        s.x = s.z = y
    s.largest = max(s.largest, rate)
    weight = s.t**r * s.largest**weight_lr_power
    s.weights += weight
    c = weight / s.weights if s.weights else 0.0
    s.z = s.z - rate * step
    s.x = (1 - c) * s.x + c * s.z


def _warmed(lr: float, t: float, warmup_steps: int) -> float:
    return lr * min(1.0, t / warmup_steps) if warmup_steps else lr
