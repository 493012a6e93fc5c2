"""Known answers about the update itself, under gradients that are given."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from optbench.known_answers.answer import Case, Kind, Make, Tolerance, farthest, path

BETAS = (0.9, 0.999)
ROUNDING = Tolerance(1e-12, Kind.RELATIVE, "float64 rounding over the steps taken")


def normal(seed: int, *shape: int) -> Tensor:
    """Compute standard normal numbers in float64; the same on every platform."""
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape))


def adam_first_step(make: Make) -> Sequence[Case]:
    """Compute the step over its formula, for gradients of 1e-12 ... 1e6 of either sign."""
    lr, eps = 0.1, 1e-8
    sizes = torch.logspace(-12, 6, 181, dtype=torch.float64)
    gradient = torch.cat([sizes, -sizes])
    step = path(make, gradient.unsqueeze(0), lr=lr, betas=BETAS, eps=eps)[1]
    ratio = step / (-lr * gradient / (gradient.abs() + eps))
    tolerance = Tolerance(1e-14, Kind.RELATIVE, "some ten roundings of 2^-53 each")
    return [Case("step / formula, the farthest of 362", 1.0, farthest(ratio, 1.0), tolerance)]


def adam_largest_step(steps: int, betas: tuple[float, float] = BETAS) -> float:
    r"""Compute the most that Adam can move in step t, in units of lr.

    The step is :math:`\sum w_i g_i / \sqrt{\sum u_i g_i^2}` with the weights
    :math:`w_i = (1-\beta_1)\beta_1^{t-i}/(1-\beta_1^t)` and u alike with :math:`\beta_2`. By
    Cauchy and Schwarz it is at most :math:`\sqrt{\sum w_i^2 / u_i}`, with equality for
    :math:`g_i \propto w_i/u_i \propto (\beta_1/\beta_2)^{t-i}`.
    """
    beta1, beta2 = betas
    ratio = beta1**2 / beta2  # of neighbouring terms of the sum, which is a geometric one
    total = (1 - ratio**steps) / (1 - ratio)
    squared = (1 - beta1) ** 2 / (1 - beta1**steps) ** 2 * (1 - beta2**steps) / (1 - beta2)
    return math.sqrt(squared * total)


def adam_step_bound(make: Make) -> Sequence[Case]:
    r"""Compute the steps under a lone gradient, under the worst sequence, and under many others.

    Kingma and Ba give :math:`lr (1-\beta_1)/\sqrt{1-\beta_2}` (3.16 lr) as an upper bound. That
    is the step of a gradient that comes after zeros only, and not a bound: gradients that grow
    by :math:`\beta_2/\beta_1` a step move Adam by up to
    :math:`lr (1-\beta_1)/\sqrt{(1-\beta_2)(1-\beta_1^2/\beta_2)}` (7.27 lr), which is one
    (`adam_largest_step`). So the first case is the paper's number, the others are the true one.
    """
    lr, steps, last = 0.01, 4000, 300
    beta1, beta2 = BETAS
    lone = torch.zeros(steps, 1, dtype=torch.float64)
    lone[-1] = 1e-3
    growing = torch.zeros(steps, 1, dtype=torch.float64)
    # What lies further back would weigh (0.9/0.999)^300 = 2e-14.
    growing[-last:, 0] = (beta1 / beta2) ** torch.arange(last - 1, -1, -1, dtype=torch.float64)
    # Ones that try: of all sizes, often zero, and growing at other speeds and other times.
    others = normal(1, steps, 200) * 10 ** (3 * normal(2, steps, 200))
    others *= normal(3, steps, 200) > torch.linspace(-3, 3, 200, dtype=torch.float64)
    speeds = torch.linspace(0.8, 1.0, 50, dtype=torch.float64)
    ages = (-torch.arange(steps, dtype=torch.float64) % 400).unsqueeze(1)
    gradients = torch.cat([lone, growing, others, speeds**ages], 1)
    # Just enough to make 0 / 0 a 0.
    moves = path(make, gradients, lr=lr, betas=BETAS, eps=1e-300).diff(dim=0).abs() / lr
    sparse = (1 - beta1) / math.sqrt(1 - beta2) * math.sqrt(1 - beta2**steps) / (1 - beta1**steps)
    bounds = torch.tensor([adam_largest_step(t) for t in range(1, steps + 1)], dtype=torch.float64)
    # The move is the difference of two positions that are some hundred moves from 0.
    difference = Tolerance(1e-11, Kind.RELATIVE, "rounding of positions, whose difference it is")
    shares = (moves / bounds.unsqueeze(1)).max()
    return [
        Case("one gradient after 3999 zeros (the paper's)", sparse, float(moves[-1, 0]), ROUNDING),
        Case(
            "gradients that grow by b2/b1 a step",
            adam_largest_step(steps),
            float(moves[-1, 1]),
            difference,
        ),
        Case(
            "largest share of the bound, 252 sequences of 4000 steps",
            1.0,
            farthest(shares, 0.0),
            Tolerance(1e-11, Kind.BOUND, difference.why),
        ),
    ]


def adam_scale_invariance(make: Make) -> Sequence[Case]:
    """Paths of 100 steps under c times the same gradients, for many c."""
    gradients = normal(4, 100, 50)

    def walk(scale: float) -> Tensor:
        return path(make, scale * gradients, lr=0.01, betas=BETAS, eps=0.0)

    reference = walk(1.0)
    differ = sum(int((walk(2.0**k) != reference).sum()) for k in (-60, -30, -1, 1, 30, 60))
    apart = [(walk(c) - reference).abs().max() for c in (1e-3, 1e-1, 3.0, 1e1, 1e3)]
    bits = Tolerance(0.0, Kind.ABSOLUTE, "a power of two scales every term without rounding")
    close = Tolerance(1e-10, Kind.ABSOLUTE, "of a path of length about 1; c g is rounded")
    return [
        Case("positions that differ in any bit, c = 2^k", 0.0, float(differ), bits),
        Case("farthest position, c = 1e-3 ... 1e3", 0.0, farthest(apart, 0.0), close),
    ]


def mean_of_shards(gradients: Tensor) -> Tensor:
    """Return the result of an all-reduce: [dimension] of [shards, dimension]."""
    return gradients.mean(0)


def adam_shards(
    make: Make,
    reduce: Callable[[Tensor], Tensor] = mean_of_shards,
    *,
    average_after: bool = False,
) -> Sequence[Case]:
    """Compute the way of data-parallel Adam beside that of the joint batch, on least squares.

    Each of n workers has a copy of the parameters and a shard of every batch, and takes the
    gradient of its shard's mean loss. The mean of these gradients is that of the joint batch, but
    summed in another order: it agrees up to rounding, and not to the last bit.

    eps is far above its default. Adam divides out the size of a gradient, so that a worker which
    sums where it should average departs by eps alone.

    Parameters
    ----------
    make : callable
    reduce : callable
        What every copy steps on.
    average_after : bool
        Let every copy step on its own gradient, and average the copies.
    """
    steps, batch, dimension = 100, 48, 30
    x, y = normal(7, steps, batch, dimension), normal(8, steps, batch)

    def gradient(point: Tensor, step: int, shard: slice) -> Tensor:
        rows = x[step, shard]
        slope: Tensor = rows.T @ (rows @ point - y[step, shard]) / len(rows)
        return slope

    def walk(shards: int) -> Tensor:
        """Positions of the first copy: [steps + 1, dimension]."""
        size = batch // shards
        copies = [
            torch.nn.Parameter(torch.zeros(dimension, dtype=torch.float64)) for _ in range(shards)
        ]
        workers = [make([copy], lr=0.01, betas=BETAS, eps=1e-3) for copy in copies]
        positions = [copies[0].detach().clone()]
        for step in range(steps):
            own = torch.stack(
                [
                    gradient(copy.detach(), step, slice(i * size, (i + 1) * size))
                    for i, copy in enumerate(copies)
                ]
            )
            for copy, worker, gradient_of_shard in zip(copies, workers, own, strict=True):
                copy.grad = gradient_of_shard.clone() if average_after else reduce(own)
                worker.step()
            if average_after:
                middle = torch.stack([copy.detach() for copy in copies]).mean(0)
                for copy in copies:
                    copy.data.copy_(middle)
            positions.append(copies[0].detach().clone())
        return torch.stack(positions)

    joint = walk(1)
    close = Tolerance(1e-12, Kind.ABSOLUTE, "of a path of length about 1; sums in another order")
    return [
        Case(f"{n} shards: farthest from the joint path", 0.0, farthest(apart, 0.0), close)
        for n, apart in ((n, (walk(n) - joint).abs()) for n in (2, 4, 16))
    ]


def adagrad_constant_gradient(make: Make) -> Sequence[Case]:
    """Compute the way, in units of lr, after T steps of a gradient that never changes."""
    sizes = torch.logspace(-6, 6, 13, dtype=torch.float64)
    gradient, lr = torch.cat([sizes, -sizes]), 0.1
    cases = []
    for steps in (1, 10, 1000):
        end = path(make, gradient.expand(steps, -1), lr=lr, eps=0.0)[-1]
        way = -end * gradient.sign() / lr
        expected = float(np.sum(1 / np.sqrt(np.arange(1, steps + 1))))
        cases.append(Case(f"T = {steps}", expected, farthest(way, expected), ROUNDING))
    return cases


def sign_moves(make: Make) -> Sequence[Case]:
    """| |move| - lr | in units in the last place of x, over 200 steps of noisy gradients."""
    lr = 1e-3
    positions = path(make, normal(5, 200, 50), normal(6, 50), lr=lr).numpy()
    place = np.spacing(np.maximum(np.abs(positions[1:]), np.abs(positions[:-1])))
    ulps = np.abs(np.abs(np.diff(positions, axis=0)) - lr) / place
    tolerance = Tolerance(1.0, Kind.BOUND, "units in the last place: x - lr is rounded once")
    return [Case("farthest of 10,000 moves, in ulps of x", 0.0, farthest(ulps, 0.0), tolerance)]


NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
"""Jordan et al. 2024: x -> a x + b x^3 + c x^5, five times, on every singular value."""

BFLOAT16_ALLOWANCE = 0.03
"""What bfloat16 may add to a singular value of Muon's update. An element is rounded by up to
2^-9 of itself; as noise, on an orthonormal m x n matrix, that moves a singular value by some
(1 + sqrt(n/m)) 2^-9 / sqrt(3) = 0.002. Each of five iterations rounds three matrices, whose
coefficients reach 4.8: about sqrt(5) * 0.002 * (4.8 + 2) = 0.03. The largest of 600 matrices
stood 0.012 outside."""


def newton_schulz(values: np.ndarray, iterations: int = 5) -> np.ndarray:
    """Apply Muon's iteration to singular values in exact arithmetic; same shape."""
    a, b, c = NEWTON_SCHULZ
    for _ in range(iterations):
        values = a * values + b * values**3 + c * values**5
    return values


def with_singular_values(values: np.ndarray, rows: int, columns: int, seed: int) -> Tensor:
    """Compute a matrix [rows, columns] with random singular vectors and these singular values."""
    rng = np.random.default_rng(seed)
    left = np.linalg.qr(rng.standard_normal((rows, len(values))))[0]
    right = np.linalg.qr(rng.standard_normal((columns, len(values))))[0]
    return torch.from_numpy((left * values) @ right.T)


def muon_first_step(make: Make, seed: int, rows: int, columns: int) -> tuple[np.ndarray, ...]:
    """Singular values of Muon's first update at lr = 1, and those that went into it.

    Both [min(rows, columns)], ascending; the input's are divided by the Frobenius norm, as
    Muon does, and span two decades, so that too few iterations leave the least behind.
    """
    values = np.geomspace(0.01, 1.0, min(rows, columns))
    gradient = with_singular_values(values, rows, columns, seed)
    step = path(make, gradient.unsqueeze(0), lr=1.0, weight_decay=0.0)[1]
    return np.linalg.svd(step.numpy(), compute_uv=False)[::-1], values / np.linalg.norm(values)


def _muon(make: Make, scale: str, seed: int) -> Sequence[Case]:
    tolerance = Tolerance(
        BFLOAT16_ALLOWANCE, Kind.BOUND, "bfloat16 in five iterations; see BFLOAT16_ALLOWANCE"
    )
    cases = []
    for rows, columns in ((96, 32), (32, 96), (48, 48)):
        shape = {
            "original": math.sqrt(max(1.0, rows / columns)),
            "match_rms_adamw": 0.2 * math.sqrt(max(rows, columns)),
        }[scale]
        out, values = muon_first_step(make, seed, rows, columns)
        band = newton_schulz(np.geomspace(values.min(), values.max(), 10_001))
        beyond = np.max([band.min() - out.min() / shape, out.max() / shape - band.max()])
        cases.append(
            Case(
                f"{rows}x{columns}: outside [{band.min():.3f}, {band.max():.3f}]",
                0.0,
                # Inside the band it is how far inside, as a negative number.
                float(beyond),
                tolerance,
            )
        )
    return cases


def muon_original_scale(make: Make, seed: int = 7) -> Sequence[Case]:
    """Singular values beyond the iteration's band; the step divided by sqrt(max(1, m/n))."""
    return _muon(make, "original", seed)


def muon_adamw_scale(make: Make, seed: int = 7) -> Sequence[Case]:
    """Singular values beyond the iteration's band; the step divided by 0.2 sqrt(max(m, n))."""
    return _muon(make, "match_rms_adamw", seed)
