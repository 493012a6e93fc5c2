"""Elementwise and layerwise update rules that torch has no class for: NumPy, float64.

Of the same shape as the rules in `optbench.optimizers.textbook`. Where the authors' released code
departs from their paper, and implementations follow the code, ``convention`` is ``"code"`` (the
default) or ``"paper"``; what implementations do in several ways is an argument of its own.
"""

# What a memory holds is an array or a number, as in the papers: its type is Any.
# mypy: disable-error-code="no-any-return"

from __future__ import annotations

import math

import numpy as np

from optbench.optimizers.textbook import Array, Memory, adam, follows_paper, sgd


def sgdw(
    x: Array,
    g: Array,
    s: Memory,
    *,
    lr: float = 1e-3,
    momentum: float = 0.0,
    dampening: float = 0.0,
    weight_decay: float = 0.0,
    nesterov: bool = False,
    maximize: bool = False,
    convention: str = "code",
) -> Array:
    """Stochastic gradient descent whose weight decay never enters the momentum.

    Loshchilov and Hutter 2019, *Decoupled Weight Decay Regularization* (arXiv 1711.05101),
    Algorithm 1, line 9, with the schedule multiplier eta = 1. Nesterov's momentum and
    ``dampening`` are those of `optbench.optimizers.textbook.sgd`.

    The code departs: the paper decays by lambda x, whatever the rate; the code by lr lambda x.
    """
    paper = follows_paper(convention, "code")
    moved = sgd(
        x,
        g,
        s,
        lr=lr,
        momentum=momentum,
        dampening=dampening,
        nesterov=nesterov,
        maximize=maximize,
        convention="paper" if paper else "torch",
    )
    return moved - (1.0 if paper else lr) * weight_decay * x


def lamb(
    x: Array,
    g: Array,
    s: Memory,
    *,
    lr: float = 1e-3,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-6,
    weight_decay: float = 0.0,
    bias_correction: bool = True,
    clamp_value: float | None = None,
    maximize: bool = False,
) -> Array:
    """Adam's direction, decay included, made as long as the layer's weights and the rate say.

    You et al. 2020, *Large Batch Optimization for Deep Learning: Training BERT in 76 minutes*
    (arXiv 1904.00962), Algorithm 2: x = x - lr phi(|x|) / |r + lambda x| (r + lambda x), with
    r = m_hat / (sqrt(v_hat) + eps) and phi(z) = min(z, ``clamp_value``). Where either norm
    is zero their ratio is 1. An earlier version of the paper has no bias correction, as have many
    implementations, most of which clamp the norm of the weights at 10.
    """
    b1, b2 = betas
    g = -g if maximize else g
    s.t += 1
    s.m = b1 * s.m + (1 - b1) * g
    s.v = b2 * s.v + (1 - b2) * g**2
    m_hat = s.m / (1 - b1**s.t) if bias_correction else s.m
    v_hat = s.v / (1 - b2**s.t) if bias_correction else s.v
    update = m_hat / (np.sqrt(v_hat) + eps) + weight_decay * x
    phi = _norm(x) if clamp_value is None else min(_norm(x), clamp_value)
    norm = _norm(update)
    trust = phi / norm if phi > 0 and norm > 0 else 1.0
    return x - lr * trust * update


def adopt(
    x: Array,
    g: Array,
    s: Memory,
    *,
    lr: float = 1e-3,
    betas: tuple[float, float] = (0.9, 0.9999),
    eps: float = 1e-6,
    weight_decay: float = 0.0,
    decouple: bool = False,
    clip_exp: float | None = 0.25,
    decay_at_start: bool = False,
    maximize: bool = False,
) -> Array:
    """Adam whose gradient is divided by the second moment of the steps before it.

    Taniguchi et al. 2024, *ADOPT: Modified Adam Can Converge with Any beta_2 with the Optimal
    Rate* (arXiv 2411.02853), Algorithm 2: v_0 = g_0^2, and from t = 1 on m = beta_1 m + (1 -
    beta_1) clip(g / max(sqrt(v), eps), t^0.25), x = x - lr m, and only then v = beta_2 v + (1 -
    beta_2) g^2. The first gradient moves nothing. Without a ``clip_exp`` nothing is clipped,
    as in the paper's first version.

    The paper has no weight decay. With ``decouple`` the weights shrink before each step, with
    ``decay_at_start`` at the first gradient, too.
    """
    b1, b2 = betas
    g = -g if maximize else g
    if not decouple:
        g = g + weight_decay * x
    elif s.started or decay_at_start:
        x = x * (1 - lr * weight_decay)
    if not s.started:
        s.started, s.v = True, g**2
        return x
    s.t += 1
    update = g / np.maximum(np.sqrt(s.v), eps)
    if clip_exp is not None:
        update = np.clip(update, -(s.t**clip_exp), s.t**clip_exp)
    s.m = b1 * s.m + (1 - b1) * update
    s.v = b2 * s.v + (1 - b2) * g**2
    return x - lr * s.m


def adan(
    x: Array,
    g: Array,
    s: Memory,
    *,
    lr: float = 1e-3,
    betas: tuple[float, float, float] = (0.98, 0.92, 0.99),
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    no_prox: bool = False,
    maximize: bool = False,
    convention: str = "code",
) -> Array:
    """Adam with Nesterov's momentum, estimated from the difference of two gradients.

    Xie et al. 2022, *Adan: Adaptive Nesterov Momentum Algorithm for Faster Optimizing Deep Models*
    (arXiv 2208.06677), Algorithm 1, without restarts. A beta here is 1 - beta there. With
    ``no_prox`` the decay is AdamW's in place of the proximal x / (1 + lr lambda).

    The code departs: its averages start at zero and are corrected for it, where the paper starts m
    at g_1 and n at g_1^2. The first difference is 0 in both.
    """
    b1, b2, b3 = betas
    g = -g if maximize else g
    s.t += 1
    difference = g - s.g if s.t > 1 else 0.0 * g
    s.g = g
    correct = np.ones(3)
    if follows_paper(convention, "code"):
        if s.t == 1:
            s.m, s.n = g, g**2
    else:
        correct = 1 - np.array(betas) ** s.t
    s.m = b1 * s.m + (1 - b1) * g
    s.v = b2 * s.v + (1 - b2) * difference
    s.n = b3 * s.n + (1 - b3) * (g + b2 * difference) ** 2
    step = lr * (s.m / correct[0] + b2 * s.v / correct[1]) / (np.sqrt(s.n / correct[2]) + eps)
    if no_prox:
        return x * (1 - lr * weight_decay) - step
    return (x - step) / (1 + lr * weight_decay)


def ademamix(
    x: Array,
    g: Array,
    s: Memory,
    *,
    lr: float = 1e-3,
    betas: tuple[float, float, float] = (0.9, 0.999, 0.9999),
    alpha: float = 5.0,
    beta3_warmup: float | None = None,
    alpha_warmup: float | None = None,
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    maximize: bool = False,
) -> Array:
    """AdamW with a second, slow momentum beside the first.

    Pagliardini et al. 2024, *The AdEMAMix Optimizer: Better, Faster, Older* (arXiv 2409.03137),
    Algorithm 1 and its two schedulers: alpha grows linearly, and beta_3 so that its half-life does,
    from beta_1's. The slow momentum has no bias correction.
    """
    b1, b2, b3 = betas
    g = -g if maximize else g
    s.t += 1
    if alpha_warmup is not None:
        alpha = min(alpha, alpha * s.t / alpha_warmup)
    if beta3_warmup is not None and s.t < beta3_warmup:
        part, from_, to = s.t / beta3_warmup, math.log(b1), math.log(b3)
        b3 = min(b3, math.exp(from_ * to / ((1 - part) * to + part * from_)))
    s.m1 = b1 * s.m1 + (1 - b1) * g
    s.m2 = b3 * s.m2 + (1 - b3) * g
    s.v = b2 * s.v + (1 - b2) * g**2
    root = np.sqrt(s.v / (1 - b2**s.t)) + eps
    return x - lr * ((s.m1 / (1 - b1**s.t) + alpha * s.m2) / root + weight_decay * x)


def sophia(
    x: Array,
    g: Array,
    s: Memory,
    *,
    lr: float = 1e-4,
    betas: tuple[float, float] = (0.965, 0.99),
    rho: float = 0.04,
    weight_decay: float = 0.1,
    bs: float = 5120,
    eps: float = 1e-15,
    maximize: bool = False,
    convention: str = "code",
) -> Array:
    """Momentum over an estimate of the Hessian's diagonal, clipped elementwise at 1.

    Liu et al. 2023, *Sophia: A Scalable Stochastic Second-order Optimizer for Language Model
    Pre-training* (arXiv 2305.14342), Algorithm 3, lines 6 and 12-14; ``rho`` is its gamma, ``bs``
    the batch size B of Algorithm 2. `sophia_hessian` makes the estimate; before the first, every
    element moves by lr.

    The code departs: it adds eps to the curvature where the paper takes the larger of both.
    """
    b1, _ = betas
    s.m = b1 * s.m + (1 - b1) * (-g if maximize else g)
    curvature = rho * bs * s.h
    paper = follows_paper(convention, "code")
    bound = np.maximum(curvature, eps) if paper else curvature + eps
    return x * (1 - lr * weight_decay) - lr * np.sign(s.m) * np.minimum(abs(s.m) / bound, 1.0)


def sophia_hessian(g: Array, s: Memory, *, betas: tuple[float, float]) -> None:
    """Average the squared gradient: B times it is the Gauss-Newton-Bartlett estimate.

    Liu et al. 2023, Algorithm 2, and line 9 of Algorithm 3. The gradient is that of a batch whose
    labels were drawn from the model.
    """
    _, b2 = betas
    s.h = b2 * s.h + (1 - b2) * g**2


def lookahead(
    x: Array,
    g: Array,
    s: Memory,
    *,
    lr: float = 1e-3,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    k: int = 5,
    alpha: float = 0.5,
    maximize: bool = False,
) -> Array:
    """Let Adam take ``k`` steps, then go back to a point ``alpha`` of the way, and go on there.

    Zhang et al. 2019, *Lookahead Optimizer: k steps forward, 1 step back* (arXiv 1907.08610),
    Algorithm 1, with Adam for the inner optimizer, whose moments are kept. The slow weights start
    where the fast ones do.
    """
    if s.t == 0:
        s.slow = x
    x = adam(x, g, s, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, maximize=maximize)
    if s.t % k:
        return x
    s.slow = s.slow + alpha * (x - s.slow)
    return s.slow


def _norm(a: Array) -> float:
    return float(np.sqrt(np.sum(a**2)))
