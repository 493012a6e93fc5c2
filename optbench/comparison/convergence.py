"""The second rung: as many steps to the same targets?

Seeds are paired, and added while the answer is open.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from optbench.comparison.requests import Failure, Outcome, Train
from optbench.optimizers.recipe import half_decades
from optbench.problems import PROBLEMS
from optbench.scenarios.catalogue import Description
from optbench.verdicts.comparison import ConvergenceVerdict, OnProblem, OptimizerComparison
from optbench.verdicts.convergence import League, best_rate, judge_steps, overall

if TYPE_CHECKING:
    from optbench.comparison.sides import Sides

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

FIRST_SEEDS = 12
"""Pairs at the first look, which doubles while the answer is open: the fewest that can tell
anything at the level of twenty questions and a few looks."""

TUNING_SEEDS = (1000, 1001)
"""Apart from those that are scored: the best of nine noisy numbers is too good."""

ALPHA = 0.05
"""Chance that any of all the questions about an optimizer is answered wrongly, were it the same."""

LIMIT_S = 150.0
"""Seconds that one request for training may take."""


@dataclass
class _Open:
    """A league on a problem, with what was run so far."""

    league: League
    budget: int
    under: Mapping[str, Any]
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
    most_seeds: int,
    problems: Sequence[str] = (),
) -> OptimizerComparison:
    """Return the row with its convergence verdict, on the named problems or all suitable ones."""
    if not (base.trainable and head.trainable):
        return replace(
            row,
            convergence=ConvergenceVerdict.INCONCLUSIVE,
            convergence_text="no run fits it: it has no lr to tune, or wants create_graph",
        )
    under = dict(row.maths.under)
    if not row.maths.at_defaults and not under:
        return replace(
            row,
            convergence_text="not trained: the trajectories agree at its defaults, and where it "
            "differs no run can tell",
        )
    suffix = "".join(f", {name}={value}" for name, value in under.items())
    defaults = (float(base.hyperparameters["lr"]), float(head.hyperparameters["lr"]))
    names = [name for name in _fitting(base) if not problems or name in problems]
    if not names:
        return replace(
            row,
            convergence=ConvergenceVerdict.INCONCLUSIVE,
            convergence_text=f"none of the problems that were asked for fits it: "
            f"{', '.join(_fitting(base))} would",
        )
    questions: list[_Open] = []
    failures: list[str] = []
    for name in names:
        tell(f"convergence: tuning on {name}")
        targets, budget = PROBLEMS[name].targets, PROBLEMS_OF[name]
        questions.append(_Open(League(name, f"default{suffix}", targets, defaults), budget, under))
        tuned = _tune(sides, row.name, name, budget, base, under)
        if isinstance(tuned, str):
            failures.append(tuned)
        else:
            questions.append(_Open(League(name, f"tuned{suffix}", targets, tuned), budget, under))
    looks = _looks(most_seeds)
    alpha = ALPHA / max(1, len(questions)) / len(looks)
    told: list[OnProblem] = []
    for seeds in looks:
        for each in questions:
            if each.failed or (each.verdict and not _is_open(each.verdict)):
                continue
            tell(f"convergence: {each.league.problem}, {each.league.name}, {seeds} seeds")
            _run(sides, row.name, each, seeds)
            if not each.failed:
                each.verdict = judge_steps(each.league, each.base, each.head, alpha=alpha)
        told = [each.verdict for each in questions if each.verdict]
    failures += [each.failed for each in questions if each.failed]
    verdict, text = overall(told)
    if failures:
        text += f"; {len(failures)} not run: {failures[0]}"
    return replace(row, convergence=verdict, convergence_text=text, problems=tuple(told))


def _looks(most_seeds: int) -> list[int]:
    """12, 24, 48, ... up to the most."""
    looks = [min(FIRST_SEEDS, most_seeds)]
    while looks[-1] < most_seeds:
        looks.append(min(2 * looks[-1], most_seeds))
    return looks


def _is_open(each: OnProblem) -> bool:
    return each.verdict is ConvergenceVerdict.INCONCLUSIVE and each.ratio is not None


def _fitting(description: Description) -> list[str]:
    """Return the problems whose parameters and gradients the optimizer takes."""
    wants = description.wants
    needs = {"only matrices"} if wants.matrices else {"sparse"} if wants.sparse else set()
    if needs:
        return [name for name, only in SPECIAL.items() if only in needs]
    return [name for name in PROBLEMS_OF if name not in SPECIAL]


def _tune(
    sides: Sides,
    target: str,
    problem: str,
    budget: int,
    base: Description,
    under: Mapping[str, Any],
) -> tuple[float, float] | str:
    """Each side's best learning rate, or why there is none."""
    seeds = TUNING_SEEDS if problem != "mnist-mlp" else TUNING_SEEDS[:1]
    rates = RATES if problem != "mnist-mlp" else RATES[1::2]
    # A line search is tuned by nothing so much as by itself.
    rates = rates if not base.wants.closure else rates[-3:]
    lanes = [({**under, "lr": rate}, seed) for rate in rates for seed in seeds]
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
    lanes = [[({**each.under, "lr": rate}, seed) for seed in new] for rate in each.league.lr]
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
