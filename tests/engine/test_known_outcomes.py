"""What the literature says comes out of the whole engine, from a plan to results."""

from __future__ import annotations

import numpy as np
import pytest

from optbench.engine.plan import Selection, plan
from optbench.engine.runs import Result, Status
from optbench.engine.work import perform
from optbench.runner.packing import pack


def results(optimizer: str, problem: str, **rest: object) -> list[Result]:
    selection = Selection(optimizers=(optimizer,), problems=(problem,), **rest)  # type: ignore[arg-type]
    return [r for unit in pack(plan([selection]).runs) for r in perform(unit)]


@pytest.mark.proof
@pytest.mark.parametrize(("optimizer", "end"), [("adam", 1.0), ("amsgrad", -1.0)])
def test_on_reddis_problem_adam_ends_at_the_wrong_end_and_amsgrad_at_the_right_one(
    optimizer: str, end: float
) -> None:
    """Reddi et al. 2018, Theorem 3: the minimum stands at -1."""
    done = results(optimizer, "reddi", seeds=tuple(range(8)))
    assert [r.status for r in done] == [Status.OK] * 8
    last = np.array([r.traces["x0"].values[-1] for r in done])
    assert (end * last > 0.5).all()
    assert end * np.median(last) > 0.7
    for result in done:
        assert result.run.default
        assert result.run.settings["betas"] == (0.9, 0.98)
        assert (result.hits[1] is not None) == (end < 0), "a tenth of the way is left, or not"
        assert abs(result.traces["x0"].values).max() <= 1.0


@pytest.mark.proof
def test_adam_at_its_default_learns_the_shipped_digits_to_8_per_cent() -> None:
    done = results("adam", "mnist-mlp", seeds=(0, 1))
    for result in done:
        assert result.status is Status.OK
        assert result.run.data == "mnist-10k"
        assert result.run.settings == {"lr": 1e-3}
        assert result.steps == result.run.budget == 750
        error = result.traces["error_rate"]
        assert error.values[0] > 0.8, "ten classes, by chance"
        assert error.values[-1] < 0.08
        assert error.steps[-1] == 750
        assert result.final_gap is not None
        assert result.initial_gap is not None
        assert result.final_gap < 0.15 * result.initial_gap


@pytest.mark.parametrize("rotated", [False, True])
def test_a_diagonal_preconditioner_helps_along_the_axes_and_not_across_them(rotated: bool) -> None:
    problem = "quadratic-ill-rotated" if rotated else "quadratic-ill"
    gaps = {
        name: np.median([r.final_gap for r in results(name, problem, rates=(lr,), budget=1000)])
        for name, lr in (("adagrad", 1.0), ("sgd", 1.0))
    }
    assert (gaps["adagrad"] < 0.01 * gaps["sgd"]) == (not rotated)


@pytest.mark.proof
def test_lbfgs_solves_what_newton_like_methods_solve() -> None:
    for problem in ("quadratic-ill-rotated", "rosenbrock-2d", "beale"):
        for result in results("lbfgs", problem, seeds=(0, 1, 2), budget=300):
            assert result.hits[3] is not None, f"{problem}: 1e-4 within 300 evaluations"


def test_heavy_tails_hurt_plain_gradient_descent_more_than_its_signs() -> None:
    seeds = tuple(range(10))
    gap = {
        (name, problem): np.median(
            [r.final_gap for r in results(name, problem, rates=(lr,), seeds=seeds, budget=1000)]
        )
        for name, lr in (("sgd", 0.1), ("signum", 0.003))
        for problem in ("noisy-quadratic", "heavy-tailed-quadratic")
    }
    worse = {
        name: gap[name, "heavy-tailed-quadratic"] / gap[name, "noisy-quadratic"]
        for name in ("sgd", "signum")
    }
    assert worse["sgd"] > 4 * worse["signum"]
