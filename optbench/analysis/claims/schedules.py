"""The claim that adjusting the learning rate on the way cures gradients that explode or vanish."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from optbench.analysis.claims.claim import Evidence, Finding, Undecided, Verdict
from optbench.analysis.claims.needed import needed, undecided
from optbench.analysis.claims.ratios import ALPHA, median_of
from optbench.analysis.leagues import folds, tuned_league, unscheduled
from optbench.analysis.results import FINISHED

OPTIMIZERS = ("adam", "sgd")
EXPLODES, VANISHES = "cliff", "deep-tanh"
SCHEDULES = ("step", "cosine", "warmup")
OPTIONS = tuple(f"--schedule {name}" for name in SCHEDULES)

HALF = 0.5
"""Share of failing runs that a cure has to mend, at the least."""


def schedules_cure(evidence: Evidence) -> Finding:
    """Judge whether schedules cure exploding (`cliff`) and vanishing (`deep-tanh`) gradients.

    Ill of an explosion is a run at a constant rate that diverged, or ended above where it
    started; it is cured where the same optimizer, initial rate and seed with a schedule do not. A
    rate that throws off every run, with a schedule too, says nothing of schedules, as a pair in
    which neither side arrives says nothing of either, and is left out. Ill of vanishing gradients
    is a run that misses the target at the best constant rate; it is cured where the best schedule
    and rate reach it on that seed. The schedule of the one, and schedule and rate of the other,
    are the best of all that were run, chosen on the other half of the seeds.

    The unit is the seed: the median over seeds of the share of ill runs that are cured, with its
    exact interval. Supported: more than half on both problems, each interval above a half.
    Refuted: on either problem an interval below a half, 5 % over both. Where nobody is ill there
    is nothing to cure.
    """
    both = (EXPLODES, VANISHES)
    here = evidence.results.runs
    scheduled = here[here["lr_schedule"].isin(SCHEDULES).to_numpy(dtype=bool)]
    try:
        runs = needed(here, OPTIMIZERS, both, each=True)
        scheduled = needed(scheduled, OPTIMIZERS, both, each=True)
    except Undecided:
        raise undecided(OPTIMIZERS, both, *OPTIONS) from None
    constant, scheduled = _at_defaults(unscheduled(runs)), _at_defaults(scheduled)
    rows, supported, refuted = [], True, False
    for problem, cases in ((EXPLODES, _explosions), (VANISHES, _vanished)):
        here = [runs[(runs["problem"] == problem).to_numpy()] for runs in (constant, scheduled)]
        each = cases(*here)
        ill = each[each["ill"]]
        by_seed = ill.groupby("seed")["well"].mean().to_numpy(dtype=np.float64)
        share, low, high = median_of(by_seed, ALPHA)
        _, _, strict = median_of(by_seed, ALPHA / 2)
        supported &= bool(len(by_seed)) and low > HALF
        refuted |= bool(len(by_seed)) and strict < HALF
        rows.append(
            {
                "problem": problem,
                "runs": len(each),
                "ill": len(ill),
                "cured": int(ill["well"].sum()),
                "made_ill": int((~each["ill"] & ~each["well"]).sum()),
                "seeds": len(by_seed),
                "share": share if len(by_seed) else np.nan,
                "low": max(low, 0.0) if len(by_seed) else np.nan,
                "high": min(high, 1.0) if len(by_seed) else np.nan,
            }
        )
    table = pd.DataFrame(rows)
    verdict = Verdict.of(supported, refuted)
    told = [_told(row) for row in table.to_dict("records")]
    finding = Finding(
        verdict, f"{told[0]} {told[1]}", detail=table, runs=len(constant) + len(scheduled)
    )
    known = table.dropna().sort_values("share")
    if known.empty:
        return finding
    least = known.iloc[0]
    return replace(
        finding,
        effect=float(least["share"]),
        low=float(least["low"]),
        high=float(least["high"]),
        unit=f"share of ill runs that a schedule cures, on {least['problem']}",
    )


def _told(row: dict[Any, Any]) -> str:
    ill, cured = row["ill"], row["cured"]
    share = f"by seed a median share of {row['share']:.0%} [{row['low']:.0%}, {row['high']:.0%}]"
    if row["problem"] == EXPLODES:
        text = (
            f"On {EXPLODES} a constant rate throws off {ill} of {row['runs']} runs (rates that "
            "throw off all of them, with a schedule too, are left out)"
        )
        done = f"a schedule at the same initial rate keeps {cured} of these, {share}"
        harm = f", and throws off {row['made_ill']} of the others"
    else:
        text = (
            f"On {VANISHES} {ill} of {row['runs']} runs at the best constant rate miss the target"
        )
        done = f"the best schedule and rate bring {cured} of these there, {share}"
        harm = f", and {row['made_ill']} of the others miss it"
    return f"{text}; {done}{harm}." if ill else f"{text}: there is nothing to cure."


def _explosions(constant: pd.DataFrame, scheduled: pd.DataFrame) -> pd.DataFrame:
    """Return a row an optimizer, rate and seed: ``seed``, ``ill``, ``well``."""
    key = ["optimizer", "lr", "seed"]
    before = constant.assign(ill=~_held(constant))[[*key, "ill"]]
    after = scheduled.assign(well=_held(scheduled))[[*key, "lr_schedule", "well"]]
    both = before.merge(after, on=key)
    some = (~both["ill"] | both["well"]).groupby([both["optimizer"], both["lr"]]).transform("any")
    both = both[some.to_numpy(dtype=bool)]
    parts = [both.iloc[:0]]
    for _, own in both.groupby("optimizer", sort=True):
        for select, score in folds(sorted(own["seed"].unique())):
            ill = own[own["ill"] & own["seed"].isin(select)]
            cured = ill.groupby("lr_schedule")["well"].mean().reindex(SCHEDULES, fill_value=0.0)
            best = str(cured.idxmax())
            parts.append(own[own["seed"].isin(score) & (own["lr_schedule"] == best)])
    return pd.concat(parts, ignore_index=True)[["seed", "ill", "well"]]


def _vanished(constant: pd.DataFrame, scheduled: pd.DataFrame) -> pd.DataFrame:
    """Return a row an optimizer and seed: ``seed``, ``ill``, ``well``."""
    # A league passes over scheduled runs; here the schedule is one more hyperparameter.
    before, after = (
        tuned_league(runs.assign(lr_schedule="")).runs for runs in (constant, scheduled)
    )
    key = ["optimizer", "seed"]
    reached = [r.assign(hit=r["steps_to_target"].notna())[[*key, "hit"]] for r in (before, after)]
    both = reached[0].merge(reached[1], on=key, suffixes=("_before", "_after"))
    return pd.DataFrame(
        {"seed": both["seed"], "ill": ~both["hit_before"], "well": both["hit_after"]}
    )


def _at_defaults(runs: pd.DataFrame) -> pd.DataFrame:
    """Only the settings that differ from the defaults in nothing but lr and its schedule."""
    own = [set(json.loads(text)) <= {"lr_schedule"} for text in runs["hyperparameters"]]
    return runs[np.asarray(own, dtype=bool)]


def _held(runs: pd.DataFrame) -> pd.Series[bool]:
    """Whether a run ended no higher than it started."""
    held: pd.Series[bool] = runs["status"].isin(FINISHED) & (
        runs["final_gap"] <= runs["initial_gap"]
    )
    return held
