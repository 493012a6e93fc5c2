"""The rule of `optbench.optimizers.swarm`, in NumPy and float64.

It moves several particles at once, so its shape is its own: positions and gradients have a
leading dimension of particles, and losses and random draws are handed in.
"""

# What a memory holds is an array or a number, as in the papers: its type is Any.
# mypy: disable-error-code="no-any-return"

from __future__ import annotations

import numpy as np

from optbench.optimizers.textbook import Array, Memory


def leader(losses: Array) -> int:
    """Compute the particle of the lowest loss; one whose loss is NaN never leads unless all are."""
    return int(np.argmin(np.where(np.isnan(losses), np.inf, losses)))


def adam_swarm(
    x: Array,
    g: Array,
    s: Memory,
    losses: Array,
    draws: Array,
    *,
    lr: float = 1e-3,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    social: float = 0.1,
) -> Array:
    """Compute an Adam for each particle, and a pull of each to the best.

    Kennedy and Eberhart 1995, *Particle Swarm Optimization* (the social term); Noel 2012, *A
    new gradient based particle swarm optimization algorithm* (a gradient step for the cognitive
    one); the gradient step is Kingma and Ba 2015, Algorithm 1.

    Parameters
    ----------
    x, g : (particles, ...)
        Positions, and the gradient at each.
    losses : (particles,)
        The objective at each.
    draws : (particles,)
        One number in [0, 1) for each.
    """
    b1, b2 = betas
    r = draws.reshape(-1, *(1,) * (x.ndim - 1))
    s.t += 1
    s.m = b1 * s.m + (1 - b1) * g
    s.v = b2 * s.v + (1 - b2) * g**2
    m_hat = s.m / (1 - b1**s.t)
    v_hat = s.v / (1 - b2**s.t)
    pull = social * r * (x[leader(losses)] - x)
    return x - lr * m_hat / (np.sqrt(v_hat) + eps) + pull
