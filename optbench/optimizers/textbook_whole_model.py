"""Rules that look at all tensors of a model at once, as their papers print them: NumPy, float64.

Their shape is their own: they take lists, an array for each tensor.
"""

# What a memory holds is an array or a number, as in the papers: its type is Any.
# mypy: disable-error-code="no-any-return"

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from optbench.optimizers.textbook import Array, Memory, follows_paper


def prodigy(
    xs: Sequence[Array],
    gs: Sequence[Array],
    memories: Sequence[Memory],
    shared: Memory,
    *,
    lr: float = 1.0,
    betas: tuple[float, float] = (0.9, 0.999),
    beta3: float | None = None,
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    decouple: bool = True,
    use_bias_correction: bool = False,
    safeguard_warmup: bool = False,
    d0: float = 1e-6,
    d_coef: float = 1.0,
    growth_rate: float = math.inf,
    convention: str = "code",
) -> list[Array]:
    """Adam whose rate is an estimate of the distance from the start to the solution.

    Mishchenko and Defazio 2023, *Prodigy: An Expeditiously Adaptive Parameter-Free Learner* (arXiv
    2306.06101), Algorithm 4; ``beta3`` is its sqrt(beta_2). The estimate d is ``shared.d``; r and
    the norm of s are sums over all tensors. ``use_bias_correction`` makes the rate Adam's;
    ``safeguard_warmup`` keeps a rate out of s; ``d_coef``, ``growth_rate`` scale and bound d.

    The code departs: eps is multiplied by the new estimate where the paper has the old one.
    """
    b1, b2 = betas
    b3 = math.sqrt(b2) if beta3 is None else beta3
    shared.t += 1
    if shared.t == 1:
        shared.d = shared.d_max = d0
    d = shared.d
    rate = lr * d
    if use_bias_correction:
        rate *= math.sqrt(1 - b2**shared.t) / (1 - b1**shared.t)
    r, norm = b3 * shared.r, 0.0
    for x, gradient, s in zip(xs, gs, memories, strict=True):
        g = gradient if decouple else gradient + weight_decay * x
        s.t += 1
        if s.t == 1:
            s.x0 = x
        s.m = b1 * s.m + (1 - b1) * d * g
        s.v = b2 * s.v + (1 - b2) * (d * g) ** 2
        s.s = b3 * s.s + (1 - b3) * d * (d if safeguard_warmup else rate) * g
        r += (1 - b3) * d * rate * float(np.sum(g * (s.x0 - x)))
        norm += float(np.sum(abs(s.s)))
    if norm == 0:
        return list(xs)
    shared.r = r
    estimate = d_coef * r / norm
    shared.d_max = max(shared.d_max, estimate)
    first = max(d, estimate) if d == d0 else d
    shared.d = min(shared.d_max, first * growth_rate)
    eps *= d if follows_paper(convention, "code") else shared.d
    shrink = 1 - rate * weight_decay if decouple else 1.0
    return [
        shrink * x - rate * s.m / (np.sqrt(s.v) + eps) for x, s in zip(xs, memories, strict=True)
    ]


def sam_ascent(
    xs: Sequence[Array],
    gs: Sequence[Array],
    *,
    rho: float = 0.05,
    adaptive: bool = False,
    perturb_eps: float = 1e-12,
) -> list[Array]:
    """Return the point within ``rho`` where the linearized loss is highest.

    Foret et al. 2021, *Sharpness-Aware Minimization for Efficiently Improving Generalization*
    (arXiv 2010.01412), eq. 2 with p = 2: x + rho g / |g|, the norm being that of all tensors.
    ``adaptive``: Kwon et al. 2021, *ASAM* (arXiv 2102.11600), eq. 3-5: x + rho x^2 g / ||x| g|.
    """
    scales = [abs(x) if adaptive else np.ones_like(x) for x in xs]
    squares = [np.sum((t * g) ** 2) for t, g in zip(scales, gs, strict=True)]
    norm = math.sqrt(sum(squares)) + perturb_eps
    return [x + rho * t**2 * g / norm for x, t, g in zip(xs, scales, gs, strict=True)]
