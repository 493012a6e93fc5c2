"""Convergence as an assertion: what is measured, what it says, what it refuses."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

import optbench
from optbench.conformance import assert_converges as convergence
from optbench.engine.plan import Selection, plan
from optbench.engine.work import perform
from optbench.optimizers import OPTIMIZERS, Optimizer, Route, WrongHyperparameter
from optbench.problems import PROBLEMS, Problem
from optbench.registry import NotAdoptable, UnknownName
from optbench.runner.packing import pack


class Bowl(Problem):
    """Gradient descent at rate 0.25 halves the distance, so that the gap is 4^-steps."""

    family = "convex"

    def start(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        return {"x": np.array([1.0, 1.0])}

    def loss(self, params: Any, batch: Any) -> torch.Tensor:
        return params["x"].square().sum(-1)  # type: ignore[no-any-return]


BOWL = Bowl("bowl", budget=40, target=1e-4)
AT = 7
"""4^-7 = 6.1e-5 is the first below 1e-4."""


class ByHalves(torch.optim.SGD):
    def __init__(self, params: Any, lr: float = 0.25) -> None:
        super().__init__(params, lr=lr)


class NeedsAClosure(ByHalves):
    def step(self, closure: Any) -> Any:  # type: ignore[override]
        return super().step(closure)


class Raising(ByHalves):
    def step(self, closure: Any = None) -> Any:
        raise ZeroDivisionError("theirs")


ROW = Optimizer("by-halves", ByHalves, {"lr": 0.25}, {"lr": (0.25,)}, Route.STACK, "here")


@pytest.mark.parametrize("optimizer", [ByHalves, NeedsAClosure, ROW, "torch.optim:SGD"], ids=str)
def test_the_steps_are_those_of_the_analysis(optimizer: Any) -> None:
    seen = optbench.assert_converges(optimizer, BOWL, lr=0.25, within=AT, seeds=3)
    assert seen.steps == {0: AT, 1: AT, 2: AT}
    assert seen.median == AT
    assert (seen.target, seen.budget, seen.diverged) == (1e-4, 40, ())
    assert seen.best_gaps[0] == pytest.approx(4.0**-40)


def test_one_step_less_is_not_enough() -> None:
    with pytest.raises(AssertionError, match="asserted: median at most 6"):
        optbench.assert_converges(ByHalves, BOWL, within=AT - 1)


def test_another_target_and_a_budget_that_ends_with_it() -> None:
    seen = optbench.assert_converges(ByHalves, BOWL, target=0.26, within=1, budget=1, seeds=(5,))
    assert seen.steps == {5: 1}


def test_without_a_bound_it_says_what_was_measured_and_what_to_write() -> None:
    with pytest.raises(AssertionError) as ended:
        optbench.assert_converges(ByHalves, BOWL, seeds=2)
    assert str(ended.value).splitlines() == [
        f"{__name__}:ByHalves (lr=0.25) on bowl: steps to 0.0001 of the first gap, median 7; "
        "2 of 2 seeds reached it within 40",
        "  seed 0: 7 (best gap 8.3e-25)",
        "  seed 1: 7 (best gap 8.3e-25)",
        "say within=...: 11 is the median and half as much again",
    ]


def test_seeds_that_diverge_are_named_and_never_arrive() -> None:
    with pytest.raises(AssertionError) as ended:
        optbench.assert_converges(ByHalves, BOWL, lr=5.0, within=30, seeds=2)
    text = str(ended.value)
    assert "median: never; 0 of 2 seeds reached it" in text
    assert "  seed 1: not reached, diverged (best gap 1)\n" in text
    with pytest.raises(AssertionError, match="no bound would hold"):
        optbench.assert_converges(ByHalves, BOWL, lr=5.0, seeds=2)


@pytest.mark.parametrize(
    ("steps", "median"),
    [((3, None, 5), 5), ((3, None), 3), ((None, None, 5), math.inf), ((None, 1, None, 9), 9)],
)
def test_the_median_is_the_step_by_which_half_have_arrived(steps: Any, median: float) -> None:
    seen = convergence.Convergence("o", "p", {}, 0.1, 10, dict(enumerate(steps)), {}, ())
    assert seen.median == median


def test_it_measures_what_a_run_measures() -> None:
    names = ("adam", "rosenbrock-2d")
    (unit,) = pack(
        plan(
            [Selection(optimizers=names[:1], problems=names[1:], rates=(0.1,), budget=800)],
            dtype="float64",
        ).runs
    )
    problem = PROBLEMS[names[1]]
    place = problem.targets.index(problem.target)
    hits = {result.run.seed: result.hits[place] for result in perform(unit)}
    seen = optbench.assert_converges(*names, lr=0.1, within=800, budget=800, seeds=4)
    assert seen.steps == hits
    assert None in hits.values()


def test_what_the_problem_fixes_is_the_default_and_can_be_overruled() -> None:
    fixing = Bowl("fixing", budget=5, target=0.1, targets=(0.1,), settings={"lr": 0.5})
    seen = optbench.assert_converges(ByHalves, fixing, within=5, seeds=1)
    assert seen.hyperparameters == {"lr": 0.5}
    seen = optbench.assert_converges(ByHalves, fixing, within=5, seeds=1, settings={"lr": 0.25})
    assert seen.hyperparameters == {"lr": 0.25}


def test_an_error_of_the_optimizer_comes_through() -> None:
    with pytest.raises(ZeroDivisionError, match="theirs"):
        optbench.assert_converges(Raising, BOWL, within=5)


@pytest.mark.parametrize(
    ("optimizer", "problem", "options", "error", "text"),
    [
        ("adam", "rosenbrok-2d", {}, UnknownName, "did you mean 'rosenbrock-2d'"),
        ("adm", "quadratic", {}, UnknownName, "did you mean 'adam'"),
        ("json:loads", "quadratic", {}, NotAdoptable, "not a torch.optim.Optimizer class"),
        (torch.nn.Linear, "quadratic", {}, TypeError, "is not an optimizer: give"),
        (torch.optim.SGD([torch.zeros(1)]), "quadratic", {}, TypeError, "give the class SGD"),
        ("adam", 3, {}, TypeError, "a problem is a name or a Problem, not 3"),
        ("adam", "quadratic", {"settings": {"beta": 1}}, WrongHyperparameter, "no hyperparameter"),
        ("adam", "quadratic", {"lr": -1.0}, WrongHyperparameter, "lr must be"),
        ("adam", "quadratic", {"seeds": 0}, ValueError, "seeds are a count"),
        ("adam", "quadratic", {"seeds": (-1,)}, ValueError, "seeds are a count"),
        (
            "adam",
            "quadratic",
            {"within": 0},
            ValueError,
            "must be at least 1 .gradient evaluations., not 0",
        ),
        (
            "adam",
            "quadratic",
            {"budget": 5},
            ValueError,
            "must be at least 10 gradient evaluations, not 5",
        ),
        ("adam", "quadratic", {"target": 2.0}, ValueError, "between 0 and 1, not 2.0"),
        ("adam", "quadratic", {"dtype": "half"}, ValueError, "not 'half'"),
        (OPTIMIZERS["muon"], "rosenbrock-2d", {}, ValueError, "muon cannot run on rosenbrock-2d"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_runs(
    optimizer: Any, problem: Any, options: Any, error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        optbench.assert_converges(optimizer, problem, **{"within": 10, **options})
