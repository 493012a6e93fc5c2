"""Steps to target of two versions, paired by seed: from hits to a verdict."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from optbench.analysis.paired import MARGIN, median_ratio, pairs_needed
from optbench.verdicts.comparison import ConvergenceVerdict, OnProblem

REACHED = 0.5
"""Share of the runs of both sides together that must reach a target for it to be compared."""

Hits = Sequence[Sequence[int | None]]
"""For each seed, the first step that reached each target; None where none did."""


@dataclass(frozen=True)
class League:
    """A league on a problem: its name, the targets, and the learning rate of base and head."""

    problem: str
    name: str
    targets: tuple[float, ...]
    lr: tuple[float, float]


def judge_steps(league: League, base: Hits, head: Hits, *, alpha: float) -> OnProblem:
    """Compare at the hardest target that half of all runs reach.

    The targets are the problem's own. Which of them counts is decided on both sides together, so
    that under equality neither is favoured. A run that does not arrive is censored: its ratio is
    infinite, and a median takes that as it is. Pairs of which neither arrives say nothing.

    Regressed is an interval above one with its median beyond the margin: with many seeds one per
    mille would be certain, and no news.
    """
    place = _hardest(base, head)
    seeds = len(base)

    def row(verdict: ConvergenceVerdict, **rest: object) -> OnProblem:
        values: dict[str, object] = {
            "ratio": None, "low": None, "high": None, "target": None, "won": 0,
            "seeds": seeds, "lr": league.lr, **rest,
        }  # fmt: skip
        return OnProblem(league.problem, league.name, verdict, **values)  # type: ignore[arg-type]

    if place is None:
        return row(
            ConvergenceVerdict.INCONCLUSIVE, text="neither side reaches a target in the budget"
        )
    ratios, won = [], 0
    for one, other in zip(base, head, strict=True):
        b, h = one[place], other[place]
        if b is None and h is None:
            continue
        # Steps count from zero: a start within the target is reached by both at once.
        ratios.append(math.inf if h is None else 0.0 if b is None else (h + 1) / (b + 1))
        won += ratios[-1] < 1
    found = median_ratio(ratios, alpha)
    more = None
    if found.within(MARGIN):
        verdict = ConvergenceVerdict.EQUIVALENT
    elif found.low > 1 and found.ratio > 1 + MARGIN:
        verdict = ConvergenceVerdict.REGRESSED
    elif found.high < 1 and found.ratio < 1 / (1 + MARGIN):
        verdict = ConvergenceVerdict.IMPROVED
    else:
        verdict = ConvergenceVerdict.INCONCLUSIVE
        needed = pairs_needed(ratios, alpha)
        more = None if needed is None else max(1, needed - len(ratios))
    return row(
        verdict,
        ratio=found.ratio,
        low=found.low,
        high=found.high,
        target=league.targets[place],
        won=won,
        more_seeds=more,
    )


def _hardest(base: Hits, head: Hits) -> int | None:
    runs = [*base, *head]
    shares = [np.mean([hits[place] is not None for hits in runs]) for place in range(len(runs[0]))]
    reached = [place for place, share in enumerate(shares) if share >= REACHED]
    return reached[-1] if reached else None


def best_rate(rates: Sequence[float], hits: Sequence[Hits], budget: int) -> float:
    """Return the learning rate with the fewest steps to all targets; of several, the lowest.

    A target that is not reached counts as ten budgets: an optimizer that misses is not chosen for
    being quick to what is easy.
    """

    def grade(of_a_rate: Hits) -> float:
        steps = [10 * budget if h is None else h + 1 for hits in of_a_rate for h in hits]
        return float(np.mean(np.log(steps)))

    grades = [grade(each) for each in hits]
    return rates[int(np.argmin(grades))]


def overall(problems: Sequence[OnProblem]) -> tuple[ConvergenceVerdict, str]:
    """One verdict of many questions, and the words for it.

    The tuned league decides, and the default one where that is undecided: at one fixed rate a
    mistake that makes longer steps looks like an improvement, at each side's best rate it does
    not. Within a league it is regressed where no fewer problems are slower than are faster.
    """

    def of(verdict: ConvergenceVerdict) -> list[OnProblem]:
        return [each for each in problems if each.verdict is verdict]

    worse, better = of(ConvergenceVerdict.REGRESSED), of(ConvergenceVerdict.IMPROVED)
    same = of(ConvergenceVerdict.EQUIVALENT)
    silent = [each for each in problems if each.ratio is None]
    open_ = [each for each in of(ConvergenceVerdict.INCONCLUSIVE) if each.ratio is not None]
    for league in ("tuned", "default"):
        slower, faster = (
            sum(each.league.startswith(league) for each in some) for some in (worse, better)
        )
        if slower or faster:
            verdict = (
                ConvergenceVerdict.REGRESSED if slower >= faster else ConvergenceVerdict.IMPROVED
            )
            parts = [_told("slower", worse, problems), _told("faster", better, problems)]
            ordered = parts if verdict is ConvergenceVerdict.REGRESSED else parts[::-1]
            return verdict, "; ".join(filter(None, ordered))
    if open_:
        known = [each.more_seeds for each in open_ if each.more_seeds]
        seeds = f"; about {max(known):,} more seeds would settle it" if known else ""
        return (
            ConvergenceVerdict.INCONCLUSIVE,
            f"{len(same)} equivalent, {len(open_)} open, "
            f"widest {_shown(max(open_, key=_width))}{seeds}",
        )
    if same:
        return ConvergenceVerdict.EQUIVALENT, f"within 5 % on {len(same)} of {len(same)}"
    why = f"{len(silent)} tried: neither side reaches a target" if silent else "no problem fits it"
    return ConvergenceVerdict.INCONCLUSIVE, why


def _told(word: str, some: Sequence[OnProblem], every: Sequence[OnProblem]) -> str:
    """``slower on 3 of 8 tuned, 1 of 8 default, most on ...``; empty where on none."""
    if not some:
        return ""
    counts = []
    for league in ("tuned", "default"):
        asked = [e for e in every if e.league.startswith(league) and e.ratio is not None]
        hit = sum(each.league.startswith(league) for each in some)
        if hit:
            counts.append(f"{hit} of {len(asked)} {league}")
    most = max(some, key=lambda each: abs(math.log(min(max(_ratio(each), 1e-9), 1e9))))
    return f"{word} on {', '.join(counts)}, most on {_shown(most)}"


def _ratio(each: OnProblem) -> float:
    assert each.ratio is not None
    return each.ratio


def _width(each: OnProblem) -> float:
    assert each.low is not None
    assert each.high is not None
    return each.high / each.low if each.low else math.inf


def _shown(each: OnProblem) -> str:
    assert each.ratio is not None
    if math.isinf(each.ratio):
        return f"{each.problem} ({each.league}): does not arrive"
    if each.ratio == 0:
        return f"{each.problem} ({each.league}): the base does not arrive"
    return f"{each.problem} ({each.league}): {each.ratio:.2f} [{each.low:.2f}, {each.high:.2f}]"
