"""Claims that one optimizer is in general better, or never worse, or hardly any different."""

from __future__ import annotations

import json
import math
from collections.abc import Callable

import pandas as pd

from optbench.analysis.claims.claim import Evidence, Finding, Verdict
from optbench.analysis.claims.needed import GENERAL, TRAINED, command, needed
from optbench.analysis.claims.ratios import (
    ALPHA,
    OverProblems,
    by_problem,
    counted,
    over_problems,
    told,
)
from optbench.analysis.leagues import tuned_league, unscheduled
from optbench.analysis.paired import MARGIN, MedianRatio

Decide = Callable[[Evidence], Finding]

VALUES = 3
"""Least number of values for a hyperparameter to count as tuned."""

HARDLY = 0.25
"""Share of the problems below which a decisive difference hardly matters."""


def faster(optimizer: str, baseline: str, *, same_rates: bool = False) -> Decide:
    """Judge the claim that an optimizer trains with fewer gradient evaluations than another.

    The unit is the problem, of those that fit a model to data: the median over problems of each
    one's median ratio, with the exact interval of the sign test. Supported: the interval lies below
    one, and the median is beyond 5 %. Refuted: the interval lies above one with a median beyond
    5 %, or within 5 % of one. All other problems stand beside it, and do not decide.

    Parameters
    ----------
    same_rates : bool
        Let both choose among the rates that both were run at, where their grids differ in step.
    """
    return lambda evidence: _trains(evidence, optimizer, baseline, "faster", same_rates)


def slower(optimizer: str, baseline: str) -> Decide:
    """Judge the claim that an optimizer needs more gradient evaluations than another."""
    return lambda evidence: _trains(evidence, optimizer, baseline, "slower", False)


def _trains(
    evidence: Evidence, optimizer: str, baseline: str, claimed: str, same_rates: bool
) -> Finding:
    pair = (optimizer, baseline)
    needed(evidence.tuned.runs, pair, TRAINED)
    runs = needed(evidence.tuned.runs, pair, GENERAL)
    if same_rates:
        every = needed(evidence.results.runs, pair, GENERAL)
        runs = tuned_league(at_common_rates(every)).runs
    everywhere = over_problems(runs, optimizer, baseline)
    found = everywhere.of(TRAINED)
    verdict = Verdict.of(found.word == claimed, found.word != "inconclusive")
    rates = "at the best of the rates that both were run at" if same_rates else "each tuned"
    text = (
        f"Steps to the target, {optimizer} / {baseline}, {rates}: {told(found.found)} over "
        f"{counted(found.found.pairs)} with a model to fit (fewer on {found.ahead(-1)}, "
        f"more on {found.ahead(1)}); {told(everywhere.found)} over all {everywhere.found.pairs} "
        f"(fewer on {everywhere.ahead(-1)}, more on {everywhere.ahead(1)})."
    )
    text += _at_defaults(evidence.default.runs, optimizer, baseline)
    unit = f"steps to target, {optimizer} / {baseline}"
    return Finding.of_ratio(
        verdict, text + _too_few(found), found.found, unit, found.rows, found.runs
    )


def _at_defaults(runs: pd.DataFrame, optimizer: str, baseline: str) -> str:
    """Return what untuned runs show, which does not decide."""
    here = runs[runs["problem"].isin(GENERAL).to_numpy(dtype=bool)]
    found = over_problems(here, optimizer, baseline)
    if not found.found.pairs:
        return ""
    rates = here.groupby("optimizer")["lr"].median()
    return (
        f" At both defaults, lr {rates[optimizer]:g} and {rates[baseline]:g}: fewer on "
        f"{found.ahead(-1)}, more on {found.ahead(1)} of the {found.found.pairs} on which either "
        "arrives."
    )


def _too_few(found: OverProblems) -> str:
    if found.found.low > 0 or math.isfinite(found.found.high):
        return ""
    return f" That is too few problems for an interval: {command((), GENERAL)}"


def at_common_rates(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the runs at the learning rates that all given optimizers share on a problem."""
    runs = unscheduled(runs)
    optimizers = runs.groupby("problem")["optimizer"].transform("nunique")
    at_rate = runs.groupby(["problem", "lr"])["optimizer"].transform("nunique")
    return runs[(optimizers == at_rate).to_numpy(dtype=bool)]


def hardly_matters(optimizer: str, baseline: str) -> Decide:
    """Judge the claim that a change to an optimizer hardly shows, in general.

    Supported: the median over problems lies within 5 % of one with its whole interval, and fewer
    than a quarter of the problems differ decisively, 5 % over all of them together (Bonferroni).
    Refuted: the interval leaves out one with a median beyond 5 %, or at least half of the
    problems differ decisively.
    """

    def decide(evidence: Evidence) -> Finding:
        runs = needed(evidence.tuned.runs, (optimizer, baseline), GENERAL)
        found = over_problems(runs, optimizer, baseline)
        asked = found.found.pairs
        strict = by_problem(runs, optimizer, baseline, ALPHA / max(asked, 1))
        differ = strict["counts"] & strict["word"].isin(["faster", "slower"])
        differs = int(differ.sum())
        verdict = Verdict.of(
            found.word == "equivalent" and differs < HARDLY * asked,
            found.word in ("faster", "slower") or (asked and differs >= asked / 2),
        )
        same = int((found.rows["counts"] & (found.rows["word"] == "equivalent")).sum())
        pair = f"{optimizer} / {baseline}"
        text = (
            f"Steps to the target, {pair}, each tuned: {told(found.found)} over "
            f"{counted(asked)}. "
            f"On {same} of them the whole interval is within 5 %, on {differs} the two differ "
            "decisively (5 % over all of them together)."
        )
        return Finding.of_ratio(
            verdict, text + _too_few(found), found.found, f"steps to target, {pair}", found.rows,
            found.runs,
        )  # fmt: skip

    return decide


def never_worse(optimizer: str, baseline: str, tuned_too: str) -> Decide:
    """Judge the claim that an optimizer, well tuned, is worse than another on no problem.

    Refuted: on some problem the interval of the ratio lies above one and the median beyond 5 %,
    with a one-sided 5 % over all problems together (Bonferroni). Supported: on every problem
    the one-sided 95 % bound of the ratio is at most 1.05; since all must hold, none needs a
    correction (Berger 1982, Multiparameter Hypothesis Testing and Acceptance Sampling).

    Parameters
    ----------
    tuned_too : str
        The hyperparameter that the claim's author tunes beside the learning rate. A problem on
        which it was not varied can support the claim, and cannot refute it: who is worse by a
        smaller search is not worse well tuned.
    """

    def decide(evidence: Evidence) -> Finding:
        runs = needed(evidence.tuned.runs, (optimizer, baseline), GENERAL)
        found = over_problems(runs, optimizer, baseline)
        asked = found.found.pairs
        # An interval has two ends: its upper or lower one alone errs half as often.
        strict = by_problem(runs, optimizer, baseline, 2 * ALPHA / max(asked, 1))
        loose = by_problem(runs, optimizer, baseline, 2 * ALPHA)
        varied = _varied(evidence.results.runs, optimizer, tuned_too)
        rows = strict.assign(**{f"{tuned_too}_tuned": strict["problem"].isin(varied)})
        worse = rows[rows["counts"] & (rows["word"] == "slower")]
        fair = worse[worse["problem"].isin(varied)]
        no_worse = loose["counts"] & (loose["high"] <= 1 + MARGIN)
        everywhere = asked and bool(no_worse[loose["counts"]].all())
        verdict = Verdict.of(everywhere and not len(fair), len(fair))
        pair = f"{optimizer} / {baseline}"
        text = (
            f"Of {counted(asked)} {optimizer} is decisively worse on {len(worse)} (5 % over all of "
            f"them together), and surely no worse than 5 % on {int(no_worse.sum())}."
        )
        effect = MedianRatio(found.found.ratio, found.found.low, found.found.high, asked)
        unit = f"steps to target, {pair}"
        shown = fair if len(fair) else worse
        if len(shown):
            most = shown.sort_values(["low", "ratio", "problem"]).iloc[-1]
            effect = MedianRatio(most["ratio"], most["low"], most["high"], asked)
            unit += f", on {most['problem']} (all problems' intervals together 90 %)"
            text += f" It is worst on {most['problem']}: {told(effect)} times the evaluations."
        if len(worse) and not len(fair):
            text += (
                f" Only lr was tuned there, and the claim is about {tuned_too} tuned as well: that "
                f"takes runs at {VALUES} values of it or more, such as: "
                f"{command((optimizer,), [str(most['problem'])], f'--set {tuned_too}=0.01')}"
            )
        return Finding.of_ratio(verdict, text + _too_few(found), effect, unit, rows, found.runs)

    return decide


def _varied(runs: pd.DataFrame, optimizer: str, hyperparameter: str) -> list[str]:
    """Return the problems on which an optimizer was run at several values of a hyperparameter."""
    own = unscheduled(runs[(runs["optimizer"] == optimizer).to_numpy(dtype=bool)])
    settings = own[["problem", "hyperparameters"]].drop_duplicates()
    values = [json.loads(text).get(hyperparameter) for text in settings["hyperparameters"]]
    # A missing one is the default: one value more.
    by_place = settings.assign(value=[str(value) for value in values]).groupby("problem")["value"]
    several = by_place.nunique() >= VALUES
    return sorted(several.index[several])
