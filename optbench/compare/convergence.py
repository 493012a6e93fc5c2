"""The second rung: as many steps to the same targets?

Seeds are paired, and added while the answer is open.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from optbench.analysis.comparison import ConvergenceVerdict, OnProblem, OptimizerComparison
from optbench.analysis.steps_compared import League, best_rate, judge_steps, overall
from optbench.compare.probes import Description
from optbench.compare.requests import Failure, Outcome, Train
from optbench.optimizers.recipe import half_decades
from optbench.problems import PROBLEMS

if TYPE_CHECKING:
    from optbench.compare.contest import Sides

PROBLEMS_OF = {
    "quadratic-ill": 1000,
    "rosenbrock-2d": 1500,
    "beale": 1000,
    "noisy-quadratic": 1000,
    "noisy-rosenbrock": 1000,
    "network-2-3-1": 1000,
    "deep-tanh": 500,
    "mnist-mlp": 200,
    "matrix-completion": 500,
    "sparse-logistic": 500,
}
"""Convex, landscape, noisy, network; and the budget of each in gradient evaluations. The last two
are for those that take nothing else."""

SPECIAL = {"matrix-completion": "only matrices", "sparse-logistic": "sparse"}

RATES = half_decades(1e-4, 1)

SEEDS = (12, 24, 48)
"""Pairs at each look. Twelve are the fewest that can tell anything at the level of twenty
questions and three looks."""

TUNING_SEEDS = (1000, 1001)
"""Apart from those that are scored: the best of nine noisy numbers is too good."""

ALPHA = 0.05
"""Chance that any of all the questions about an optimizer is answered wrongly, were it the same."""

LIMIT_S = 150.0
"""Seconds that one request for training may take."""

ENOUGH_S = 40.0
"""Seconds after which no more seeds are added for an optimizer."""


@dataclass
class _Open:
    """A league on a problem, with what was run so far."""

    league: League
    budget: int
    base: list[tuple[int | None, ...]] = field(default_factory=list)
    head: list[tuple[int | None, ...]] = field(default_factory=list)
    verdict: OnProblem | None = None
    failed: str = ""


def compare_convergence(
    sides: Sides,
    row: OptimizerComparison,
    base: Description,
    head: Description,
    tell: Callable[[str], None],
) -> OptimizerComparison:
    """The row with its verdict on convergence."""
    if not (base.trainable and head.trainable):
        return replace(
            row,
            convergence=ConvergenceVerdict.INCONCLUSIVE,
            convergence_text="no run fits it: it has no lr, or wants create_graph",
        )
    begun = time.monotonic()
    defaults = (float(base.hyperparameters["lr"]), float(head.hyperparameters["lr"]))
    names = _fitting(base)
    questions: list[_Open] = []
    failures: list[str] = []
    for name in names:
        tell(f"convergence: tuning on {name}")
        targets, budget = PROBLEMS[name].targets, PROBLEMS_OF[name]
        questions.append(_Open(League(name, "default", targets, defaults), budget))
        tuned = _tune(sides, row.name, name, budget, base)
        if isinstance(tuned, str):
            failures.append(tuned)
        else:
            questions.append(_Open(League(name, "tuned", targets, tuned), budget))
    alpha = ALPHA / max(1, len(questions)) / len(SEEDS)
    for seeds in SEEDS:
        for each in questions:
            if each.failed or (each.verdict and not _is_open(each.verdict)):
                continue
            tell(f"convergence: {each.league.problem}, {each.league.name}, {seeds} seeds")
            _run(sides, row.name, each, seeds)
            if not each.failed:
                each.verdict = judge_steps(each.league, each.base, each.head, alpha=alpha)
        told = [each.verdict for each in questions if each.verdict]
        if not any(map(_is_open, told)) or time.monotonic() - begun > ENOUGH_S:
            break
        if any(each.verdict is ConvergenceVerdict.REGRESSED for each in told):
            break  # more seeds would not overrule it
    failures += [each.failed for each in questions if each.failed]
    verdict, text = overall(told)
    if failures:
        text += f"; {len(failures)} not run: {failures[0]}"
    return replace(row, convergence=verdict, convergence_text=text, problems=tuple(told))


def _is_open(each: OnProblem) -> bool:
    return each.verdict is ConvergenceVerdict.INCONCLUSIVE and each.ratio is not None


def _fitting(description: Description) -> list[str]:
    """The problems that have the parameters and gradients that it takes."""
    wants = description.wants
    needs = {"only matrices"} if wants.matrices else {"sparse"} if wants.sparse else set()
    if needs:
        return [name for name, only in SPECIAL.items() if only in needs]
    return [name for name in PROBLEMS_OF if name not in SPECIAL]


def _tune(
    sides: Sides, target: str, problem: str, budget: int, base: Description
) -> tuple[float, float] | str:
    """Each side's best learning rate, or why there is none."""
    seeds = TUNING_SEEDS if problem != "mnist-mlp" else TUNING_SEEDS[:1]
    rates = RATES if problem != "mnist-mlp" else RATES[1::2]
    # A line search is tuned by nothing so much as by itself.
    rates = rates if not base.wants.closure else rates[-3:]
    lanes = [({"lr": rate}, seed) for rate in rates for seed in seeds]
    answers = _train(sides, target, problem, budget, lanes, lanes)
    best = []
    for answer in answers:
        if isinstance(answer, str):
            return answer
        per_rate = [answer[i : i + len(seeds)] for i in range(0, len(answer), len(seeds))]
        best.append(best_rate(rates, per_rate, budget))
    return best[0], best[1]


def _run(sides: Sides, target: str, each: _Open, seeds: int) -> None:
    """Bring a question to so many seeds."""
    new = range(len(each.base), seeds)
    lanes = [[({"lr": rate}, seed) for seed in new] for rate in each.league.lr]
    base, head = _train(sides, target, each.league.problem, each.budget, *lanes)
    if isinstance(base, str) or isinstance(head, str):
        each.failed = base if isinstance(base, str) else str(head)
        return
    each.base += base
    each.head += head


Lanes = Sequence[tuple[dict[str, Any], int]]


def _train(
    sides: Sides, target: str, problem: str, budget: int, base: Lanes, head: Lanes
) -> tuple[list[tuple[int | None, ...]] | str, list[tuple[int | None, ...]] | str]:
    """Hits of every lane on both sides, at the same time; or why a side has none."""
    requests = [
        Train(target, problem, tuple(s for s, _ in lanes), tuple(k for _, k in lanes), budget)
        for lanes in (base, head)
    ]
    for side, request in zip(sides, requests, strict=True):
        side.send(request, LIMIT_S)
    answers: list[list[tuple[int | None, ...]] | str] = []
    for name, side in zip(("base", "head"), sides, strict=True):
        said = side.receive()
        if isinstance(said, Failure):
            answers.append(f"{problem} on the {name}: {said.text}")
        else:
            assert all(isinstance(each, Outcome) for each in said)
            answers.append([each.hits for each in said])
    return answers[0], answers[1]
