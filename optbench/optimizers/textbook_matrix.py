"""Update rules that look at a whole matrix, as their papers print them: NumPy, float64.

Of the same shape as the rules in `optbench.optimizers.textbook`.
"""

# What a memory holds is an array or a number, as in the papers: its type is Any.
# mypy: disable-error-code="no-any-return"

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from optbench.optimizers.textbook import Array, Memory, adamw, follows_paper


def adafactor(
    x: Array,
    g: Array,
    s: Memory,
    *,
    lr: float = 1e-2,
    beta2_decay: float = -0.8,
    eps: tuple[float | None, float] = (None, 1e-3),
    d: float = 1.0,
    weight_decay: float = 0.0,
    maximize: bool = False,
    convention: str = "torch",
) -> Array:
    """Adam without momentum, whose second moments are a column times a row.

    Shazeer and Stern 2018, *Adafactor: Adaptive Learning Rates with Sublinear Memory Cost*,
    Algorithm 4 (matrices) and Algorithm 5 (vectors), with the relative step of section 8.
    Of a tensor of more dimensions the last two are factored.

    torch departs: ``lr`` is what the paper fixes at 1e-2, in rho_t = min(1e-2, 1/sqrt(t)). The
    paper adds eps_1 = 1e-30 to every square; torch clamps by eps_1, the spacing of floats at 1
    (2e-16, in float32 1e-7): the mean of the row factor at eps_1, the estimate at its square.
    """
    eps1, eps2 = eps
    g = -g if maximize else g
    s.t += 1
    beta2 = 1 - s.t**beta2_decay
    alpha = max(eps2, _rms(x)) * min(lr, 1 / math.sqrt(s.t))
    x = x * (1 - lr * weight_decay)
    if follows_paper(convention):
        eps1 = 1e-30 if eps1 is None else eps1
        g2 = g**2 + eps1
        floor_of_mean = floor_of_estimate = 0.0
    else:
        eps1 = float(np.finfo(np.float64).eps) if eps1 is None else eps1
        g2 = g**2
        floor_of_mean, floor_of_estimate = eps1, eps1**2
    if x.ndim > 1:
        s.R = beta2 * s.R + (1 - beta2) * g2.mean(axis=-1, keepdims=True)
        s.C = beta2 * s.C + (1 - beta2) * g2.mean(axis=-2, keepdims=True)
        v = s.R * s.C / np.maximum(s.R.mean(axis=-2, keepdims=True), floor_of_mean)
    else:
        v = s.v = beta2 * s.v + (1 - beta2) * g2
    u = g / np.sqrt(np.maximum(v, floor_of_estimate))
    return x - alpha * u / max(1.0, _rms(u) / d)


def muon(
    x: Array,
    g: Array,
    s: Memory,
    *,
    lr: float = 1e-3,
    weight_decay: float = 0.1,
    momentum: float = 0.95,
    nesterov: bool = True,
    ns_coefficients: tuple[float, float, float] = (3.4445, -4.775, 2.0315),
    eps: float = 1e-7,
    ns_steps: int = 5,
    adjust_lr_fn: str | None = None,
    convention: str = "torch",
) -> Array:
    """Compute the momentum of a matrix, made orthogonal.

    Jordan et al. 2024, *Muon: An optimizer for hidden layers in neural networks*: B = mu B + G,
    O the semi-orthogonal matrix nearest to B (for Nesterov, to G + mu B), x = x - a O, with a
    scaled by sqrt(max(1, rows / columns)), or by 0.2 sqrt(max(rows, columns)) as in Liu et
    al. 2025, *Muon is Scalable for LLM Training*, eq. 4, which also adds the decay.

    As "paper" stands here what the post defines O as: U V^T of B = U S V^T, exactly. torch
    departs: it computes O by five Newton-Schulz steps in bfloat16, which leave the singular
    values between about 0.7 and 1.2; and its momentum is an average, mu B + (1 - mu) G, which
    changes nothing as O does not know the scale of B.
    """
    if x.ndim != 2:
        raise ValueError(f"muon is for matrices, not for a tensor of shape {x.shape}")
    mu = momentum
    if follows_paper(convention):
        s.B = mu * s.B + g
        o = _polar_factor(g + mu * s.B if nesterov else s.B)
    else:
        s.B = mu * s.B + (1 - mu) * g
        b = (1 - mu) * g + mu * s.B if nesterov else s.B
        o = _newton_schulz(b, ns_coefficients, ns_steps, eps)
    return (1 - lr * weight_decay) * x - lr * rate_factor(adjust_lr_fn, *x.shape) * o


def muon_with_adamw(
    x: Array,
    g: Array,
    s: Memory,
    *,
    lr: float = 1e-3,
    weight_decay: float = 0.1,
    momentum: float = 0.95,
    nesterov: bool = True,
    ns_steps: int = 5,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    convention: str = "torch",
) -> Array:
    """Muon for matrices, AdamW for the rest, under one rate and one decay.

    Liu et al. 2025, *Muon is Scalable for LLM Training*, section 2.2 and eq. 4. ``eps`` is AdamW's.
    """
    if x.ndim != 2:
        return adamw(
            x,
            g,
            s,
            lr=lr,
            weight_decay=weight_decay,
            betas=betas,
            eps=eps,
            convention=convention,
        )
    return muon(
        x,
        g,
        s,
        lr=lr,
        weight_decay=weight_decay,
        momentum=momentum,
        nesterov=nesterov,
        ns_steps=ns_steps,
        adjust_lr_fn="match_rms_adamw",
        convention=convention,
    )


def soap(
    x: Array,
    g: Array,
    s: Memory,
    *,
    lr: float = 3e-3,
    betas: tuple[float, float] = (0.95, 0.95),
    shampoo_beta: float | None = None,
    eps: float = 1e-8,
    weight_decay: float = 1e-2,
    precondition_frequency: int = 10,
    max_precond_dim: int = 10_000,
    correct_bias: bool = True,
    maximize: bool = False,
) -> Array:
    """Adam in the eigenbasis of Shampoo's preconditioner.

    Vyas et al. 2024, *SOAP: Improving and Stabilizing Shampoo using Adam* (arXiv 2409.11321),
    Algorithm 3, with one power iteration and a QR decomposition (Algorithm 4) every
    ``precondition_frequency`` steps for the basis. Every dimension up to ``max_precond_dim`` has
    its basis; a vector has none.

    What the paper leaves open is here as in the authors' code: the first gradient makes the first
    basis and moves nothing; eps is added to the uncorrected root; the columns of a basis are in
    the order of their eigenvalues when they are decomposed, v with them; the decay comes last.

    Eigenvectors of one eigenvalue are no function of the matrix. After one gradient that is so of
    the larger side of a matrix that is not square, and trajectories depend on the library.
    """
    b1, b2 = betas
    b_shampoo = b2 if shampoo_beta is None or shampoo_beta < 0 else shampoo_beta
    g = -g if maximize else g
    axes = [axis for axis in range(x.ndim) if x.ndim > 1 and x.shape[axis] <= max_precond_dim]
    bases = {axis: s[f"Q{axis}"] for axis in axes if f"Q{axis}" in s}
    if s.started:
        s.t += 1
        s.m = b1 * s.m + (1 - b1) * g
        s.v = b2 * s.v + (1 - b2) * _rotate(g, bases) ** 2
        rotated = _rotate(s.m, bases) / (np.sqrt(s.v) + eps)
        rate = lr * math.sqrt(1 - b2**s.t) / (1 - b1**s.t) if correct_bias else lr
        x = x - rate * _rotate(rotated, {axis: q.T for axis, q in bases.items()})
        x = x * (1 - lr * weight_decay)
    for axis in axes:
        unfolded = np.moveaxis(g, axis, 0).reshape(g.shape[axis], -1)
        second = b_shampoo * s.get(f"L{axis}", 0.0) + (1 - b_shampoo) * unfolded @ unfolded.T
        s[f"L{axis}"] = second
        if not s.started:
            s[f"Q{axis}"] = np.linalg.eigh(second)[1]
        elif s.t % precondition_frequency == 0:
            product = second @ bases[axis]
            order = np.argsort(-np.sum(bases[axis] * product, axis=0), kind="stable")
            s.v = np.take(s.v, order, axis)
            s[f"Q{axis}"] = np.linalg.qr(product[:, order])[0]
    s.started = True
    return x


def _rotate(a: Array, bases: Mapping[int, Array]) -> Array:
    """Take a tensor to these bases: along each axis, the products with the columns."""
    for axis, q in bases.items():
        a = np.moveaxis(np.tensordot(q, a, axes=(0, axis)), 0, axis)
    return a


def _rms(a: Array) -> float:
    return float(np.sqrt(np.mean(a**2)))


def rate_factor(adjust_lr_fn: str | None, rows: int, columns: int) -> float:
    """Return the factor of Muon's rate; an unknown name is a ValueError."""
    if adjust_lr_fn in (None, "original"):
        return math.sqrt(max(1, rows / columns))
    if adjust_lr_fn == "match_rms_adamw":
        return 0.2 * math.sqrt(max(rows, columns))
    raise ValueError(
        f"adjust_lr_fn must be 'original', 'match_rms_adamw' or None, not {adjust_lr_fn!r}"
    )


def _polar_factor(b: Array) -> Array:
    """U V^T over the singular values that are not zero: a zero matrix has the factor zero."""
    u, sigma, v_t = np.linalg.svd(b, full_matrices=False)
    rank = np.count_nonzero(sigma > sigma[0] * max(b.shape) * np.finfo(np.float64).eps)
    return np.asarray(u[:, :rank] @ v_t[:rank])


def _newton_schulz(
    g: Array, coefficients: tuple[float, float, float], steps: int, eps: float
) -> Array:
    """X <- a X + (b X X^T + c (X X^T)^2) X, every result rounded to bfloat16.

    A product is summed exactly and rounded once, with what is added to it. torch sums in
    float32: where that lands on the other side of a tie (in one call of 200 for 6 x 5, in
    every other one for 64 x 48) an element differs by a bfloat16's last bit.
    """
    a, b, c = (float(np.float32(coefficient)) for coefficient in coefficients)
    tall = g.shape[0] > g.shape[1]
    x = _bfloat16(g.T if tall else g)
    x = _bfloat16(x / np.maximum(_bfloat16(np.sqrt(np.sum(x**2))), _bfloat16(eps)))
    for _ in range(steps):
        gram = _bfloat16(x @ x.T)
        update = _bfloat16(b * gram + c * (gram @ gram))
        x = _bfloat16(a * x + update @ x)
    return x.T if tall else x


def _bfloat16(a: npt.ArrayLike) -> Array:
    """Compute the nearest bfloat16, ties to even, held in float64.

    NumPy has no bfloat16: it is a float32 whose lower half is zero. From float64 the way is
    over float32, as in torch.
    """
    single = np.asarray(a).astype(np.float32)
    bits = single.view(np.uint32)
    to_nearest_even = np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))
    rounded = ((bits + to_nearest_even) & np.uint32(0xFFFF0000)).view(np.float32)
    # The carry would make a number of a NaN.
    return np.where(np.isfinite(single), rounded, single).astype(np.float64)
