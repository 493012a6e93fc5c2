"""Known answers about where a method ends, and with what work."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import cast

import numpy as np
import torch
from scipy.optimize import minimize

from optbench.known_answers.answer import Case, Kind, Make, Tolerance, run
from optbench.problems import PROBLEMS, Problem
from optbench.problems.convex import Quadratic
from optbench.problems.counterexample import WilsonLeastSquares

# Reddi et al. 2018


def _reddi_end(make: Make, end: float, seeds: Sequence[int]) -> Sequence[Case]:
    problem = PROBLEMS["reddi"]
    trajectory = run(make, problem, problem.settings, problem.budget, seeds=seeds)
    median = float(np.median(trajectory.params["x"][:, 0].numpy()))
    tolerance = Tolerance(
        0.5,
        Kind.ABSOLUTE,
        "of x in [-1, 1]: a rare large gradient may just have pushed a run back. Of Adam's runs "
        "19 in 1000 end below 0.5, so that four of eight do with probability 9e-6",
    )
    return [Case(f"median of {len(seeds)} runs", end, median, tolerance)]


def reddi_wrong_end(make: Make, seeds: Sequence[int] = range(8)) -> Sequence[Case]:
    """Where 25,000 steps end on a problem whose minimum stands at -1: at +1."""
    return _reddi_end(make, 1.0, seeds)


def reddi_right_end(make: Make, seeds: Sequence[int] = range(8)) -> Sequence[Case]:
    """Where 25,000 steps end on a problem whose minimum stands at -1: there."""
    return _reddi_end(make, -1.0, seeds)


# Wilson et al. 2017


WILSON = cast(WilsonLeastSquares, PROBLEMS["wilson"])


def _fresh_error(w: np.ndarray) -> float:
    """Share of fresh examples that are misclassified, with the labels of the training set."""
    return float(np.mean(np.sign(WILSON.fresh(WILSON.y) @ w) != WILSON.y))


EXACT_ERROR = Tolerance(
    0.0, Kind.ABSOLUTE, "a fresh example's features are its label's: no sampling"
)


def minimum_norm_solution(make: Make) -> Sequence[Case]:
    """Compute the end of 6,000 steps from 0, against the pseudoinverse's solution."""
    examples = len(WILSON.y)
    lr = examples / float(np.linalg.eigvalsh(WILSON.x @ WILSON.x.T).max())
    w = run(make, WILSON, {"lr": lr}, 6000).params["w"][0].numpy()
    least = np.linalg.pinv(WILSON.x) @ WILSON.y
    apart = float(np.linalg.norm(w - least) / np.linalg.norm(least))
    tolerance = Tolerance(1e-8, Kind.ABSOLUTE, "what 6,000 steps leave, of the solution's length")
    return [
        Case("distance to the minimum-norm solution", 0.0, apart, tolerance),
        Case("error on fresh examples", 0.0, _fresh_error(w), EXACT_ERROR),
    ]


def sign_solution(make: Make, lr: float, steps: int) -> Sequence[Case]:
    """Compute the end of a run from 0: its direction, its fit, and its error on fresh examples.

    The run ends while the residual is far above rounding: a method that divides by the size of
    its gradient takes full steps along whatever rounding leaves.
    """
    # eps = 0 would divide by the roots of features that no example has, which are 0.
    end = run(make, WILSON, {"lr": lr, "eps": 1e-300}, steps).params["w"][0].numpy()
    signs = np.sign(WILSON.x.T @ WILSON.y)
    norm = float(np.linalg.norm(end))
    cosine = float(end @ signs / (norm * np.linalg.norm(signs))) if norm > 0 else math.nan
    residual = float(np.abs(WILSON.x @ end - WILSON.y).max())
    return [
        Case("cosine with sign(X^T y)", 1.0, cosine,
             Tolerance(1e-9, Kind.ABSOLUTE, "every step is along it, but for rounding")),
        Case("largest residual on the training set", 0.0, residual,
             Tolerance(1e-3, Kind.ABSOLUTE, "labels are 1 or -1; what these steps leave")),
        Case("error on fresh examples: the share of negatives",
             WILSON.negative / len(WILSON.y), _fresh_error(end), EXACT_ERROR),
    ]  # fmt: skip


# Quasi-Newton methods


def newton_on_a_line(make: Make) -> Sequence[Case]:
    """Distance to the minimum after two iterations of a quadratic with one eigenvalue.

    All gradients lie on one line, so that the first pair of differences gives the curvature
    along it exactly, and the second direction is Newton's. Its step of 1 satisfies the Wolfe
    conditions at the first trial.
    """
    bowl = Quadratic("known-sphere", condition=1.0, dimension=10)
    settings = {
        "lr": 1.0, "max_iter": 2, "max_eval": 100, "tolerance_grad": 0.0, "tolerance_change": 0.0,
    }  # fmt: skip
    start = bowl.start(bowl.generators(0)[0])["x"]
    # The first call of `step` is wanted alone: a run of exactly its evaluations.
    calls = int(run(make, bowl, settings, 100, closure=True).steps[1])
    end = run(make, bowl, settings, calls, closure=True).params["x"][0].numpy()
    apart = float(np.linalg.norm(end) / np.linalg.norm(start))
    tolerance = Tolerance(1e-14, Kind.ABSOLUTE, "of the start's length; some ten roundings")
    return [Case("after 2 iterations", 0.0, apart, tolerance)]


GRADIENT = 1e-6
"""Largest element of the gradient at which torch and SciPy stop. Not much less: torch leaves
out a pair of differences with s^T y below an absolute 1e-10, and so stops learning the curvature
near the minimum. (To 1e-8, "quadratic" takes it 49 to 60 evaluations, SciPy 30 to 34; with the
loss and the tolerance times 1e6 it takes 34 or 35.)"""


def against_scipy(make: Make) -> Sequence[Case]:
    """Solution and evaluations to a small gradient beside SciPy's, on the same functions.

    Both keep as many pairs as they take iterations, and both searches satisfy the strong Wolfe
    conditions with c2 = 0.9, with different c1 (SciPy 1e-3, torch 1e-4) and different
    interpolations: their counts agree in size and not in number.
    """
    memory, seeds = 100, range(5)
    settings = {
        "lr": 1.0, "max_iter": 300, "max_eval": 300, "history_size": memory,
        "tolerance_grad": GRADIENT, "tolerance_change": 0.0,
    }  # fmt: skip
    options = {"maxcor": memory, "gtol": GRADIENT, "ftol": 0.0, "maxls": 50}
    work = Tolerance(0.2, Kind.RELATIVE, "two line searches under the same conditions")
    cases = []
    for name, curvature in (("quadratic", 0.1), ("rosenbrock-2d", 0.4)):
        problem = PROBLEMS[name]
        ours = theirs = 0
        apart = 0.0
        for seed in seeds:
            # It ends in the first call of `step`; later ones see a small gradient and return.
            trajectory = run(make, problem, settings, 300, seeds=(seed,), closure=True)
            ours += int(trajectory.steps[1])
            start = problem.start(problem.generators(seed)[0])["x"]
            reference = minimize(
                _value(problem), start, jac=True, method="L-BFGS-B", options=options
            )
            theirs += int(reference.nfev)
            end = trajectory.params["x"][0].numpy()
            apart = max(apart, float(np.abs(end - reference.x).max()))
        close = Tolerance(
            2 * GRADIENT * math.sqrt(problem.dimension) / curvature,
            Kind.ABSOLUTE,
            f"two gradients of up to {GRADIENT:g} an element, over the least curvature",
        )
        cases.append(Case(f"{name}: farthest from SciPy's solution", 0.0, apart, close))
        cases.append(
            Case(f"{name}: evaluations of {len(seeds)} runs", float(theirs), float(ours), work)
        )
    return cases


def _value(problem: Problem) -> Callable[[np.ndarray], tuple[float, np.ndarray]]:
    """Value and gradient at a point [dimension], as SciPy asks for them."""
    bound = problem.bind(torch.float64, torch.device("cpu"))

    def value(x: np.ndarray) -> tuple[float, np.ndarray]:
        point = torch.tensor(x[None], requires_grad=True)
        loss = bound.loss({"x": point}, None)
        loss.sum().backward()
        assert point.grad is not None
        return loss.item(), point.grad[0].numpy()

    return value
