"""The stationary gap on a noisy quadratic: the formula against a simulation of its own."""

import numpy as np
import pytest

from optbench.known_answers.noise_ball import stationary_gaps
from optbench.problems import PROBLEMS
from optbench.problems.convex import Quadratic
from optbench.problems.noisy import AdditiveNoise


def simulated(momentum: float, lr: float, curvature: np.ndarray, scale: float) -> float:
    """Heavy ball as two lines of NumPy: 400 copies of each coordinate, 3,000 steps."""
    rng = np.random.default_rng(5)
    x = np.zeros((400, len(curvature)))
    v = np.zeros_like(x)
    gaps = []
    for step in range(3000):
        v = momentum * v + curvature * x + scale * rng.standard_normal(x.shape)
        x = x - lr * v
        if step >= 1000:
            gaps.append(0.5 * (curvature * x**2).sum(1).mean())
    return float(np.mean(gaps))


@pytest.mark.parametrize("lr", [0.1, 1.0])
@pytest.mark.parametrize(("name", "momentum"), [("sgd", 0.0), ("momentum", 0.9)])
def test_it_is_what_a_simulation_settles_to(name: str, momentum: float, lr: float) -> None:
    bowl = Quadratic("bowl", condition=4.0, dimension=5)
    problem = AdditiveNoise("made-up", bowl, scale=0.2)
    theory = stationary_gaps(problem, [lr]).set_index("optimizer")["gap"]
    measured = simulated(momentum, lr, bowl.eigenvalues, 0.2)
    assert theory[name] == pytest.approx(measured, rel=0.02)


def test_rates_beyond_stability_have_no_stationary_gap() -> None:
    table = stationary_gaps(PROBLEMS["noisy-quadratic"], [0.0, 1.9, 2.1, 3.7, 4.0])
    assert table[table["optimizer"] == "sgd"]["lr"].tolist() == [1.9]
    assert table[table["optimizer"] == "momentum"]["lr"].tolist() == [1.9, 2.1, 3.7]


@pytest.mark.parametrize(
    "problem", ["quadratic", "heavy-tailed-quadratic", "noisy-rosenbrock", "mnist-mlp"]
)
def test_other_problems_have_no_theory(problem: str) -> None:
    assert stationary_gaps(PROBLEMS[problem], [0.1]).empty
