"""The two leagues: default hyperparameters, and tuned ones with a stated budget."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from optbench.analysis.quantiles import lower_quantile

PAIR = ["optimizer", "problem"]
SETTING = ["optimizer", "problem", "lr", "hyperparameters"]


@dataclass(frozen=True)
class League:
    """Runs that are scored against each other, one setting an optimizer and problem.

    Attributes
    ----------
    name : str
        ``default`` or ``tuned``.
    runs : DataFrame
        Rows of `Results.runs`: those that are scored, and no other.
    choices : DataFrame
        One row an optimizer and problem: ``optimizer``, ``problem``, ``lr``,
        ``hyperparameters``, ``tried`` (settings that the choice was made among),
        ``selection_seeds`` and ``evaluation_seeds`` (tuples; disjoint), ``at_edge`` (whether
        the chosen lr is the least or greatest of several that were tried).
    left_out : DataFrame
        ``optimizer``, ``problem``, ``reason``.
    """

    name: str
    runs: pd.DataFrame
    choices: pd.DataFrame
    left_out: pd.DataFrame


def default_league(runs: pd.DataFrame) -> League:
    """Every optimizer with its own defaults, scored on all of its seeds; nothing is chosen."""
    scored = runs[runs["default"].astype(bool)]
    first = scored.sort_values([*PAIR, "lr", "hyperparameters"]).drop_duplicates(PAIR)
    seeds = _seed_sets(scored, PAIR)
    choices = first[SETTING].merge(seeds.rename("evaluation_seeds").reset_index(), on=PAIR)
    nobody = pd.Series([()] * len(choices), index=choices.index, dtype=object)
    choices = choices.assign(tried=1, selection_seeds=nobody, at_edge=False)
    pairs = runs[PAIR].drop_duplicates().sort_values(PAIR)
    without = pairs.merge(choices[PAIR], on=PAIR, how="left", indicator="side")
    without = without[without["side"] == "left_only"][PAIR]
    reason = "not run with its default hyperparameters"
    return League("default", scored, choices[CHOICE], without.assign(reason=reason))


CHOICE = [*SETTING, "tried", "selection_seeds", "evaluation_seeds", "at_edge"]


def tuned_league(runs: pd.DataFrame) -> League:
    """The best setting of each optimizer and problem, chosen on some seeds, scored on others.

    Of an optimizer's settings on a problem those count that share the set of seeds that most of
    them have. The first half of those seeds, sorted, selects; the others are scored. Chosen is
    the setting with the most selection seeds that reach the target, then the fewest median steps
    to it (a miss is infinite), then the lowest median final gap, then the lowest lr.

    The seeds stand apart because the best of B noisy numbers is too good: scored on the seeds
    that chose it, an optimizer gains by a larger grid alone (Choi et al. 2019; Sivaprasad et
    al. 2020).
    """
    settings = _seed_sets(runs, SETTING).rename("seeds").reset_index()
    settings = settings.merge(_common_seeds(settings), on=PAIR)
    alike = [set(c) <= set(s) for c, s in zip(settings["common"], settings["seeds"], strict=True)]
    settings = settings[np.asarray(alike, dtype=bool)]
    settings = settings.assign(tried=settings.groupby(PAIR)["lr"].transform("size"))

    pairs = settings.drop_duplicates(PAIR).sort_values(PAIR)
    few_seeds = pairs["common"].map(len) < 2
    one_setting = pairs["tried"] < 2
    left_out = pairs[one_setting | few_seeds][PAIR].assign(
        reason=np.where(
            one_setting[one_setting | few_seeds],
            "only one setting was run",
            "fewer than two seeds: none is left to score on",
        )
    )
    entered = settings.merge(pairs[~(one_setting | few_seeds)][PAIR], on=PAIR)
    entered = entered.assign(
        selection_seeds=[seeds[: len(seeds) // 2] for seeds in entered["common"]],
        evaluation_seeds=[seeds[len(seeds) // 2 :] for seeds in entered["common"]],
    )
    choices = _choose(runs, entered)
    scored = _runs_on(runs, choices, "evaluation_seeds")
    return League("tuned", scored, choices, left_out.reset_index(drop=True))


def _seed_sets(runs: pd.DataFrame, by: list[str]) -> pd.Series[float]:
    """The sorted tuple of seeds of each group."""
    ordered = runs.sort_values([*by, "seed"])
    size = ordered.groupby(by, dropna=False).size()
    parts = np.split(ordered["seed"].to_numpy(), size.to_numpy().cumsum()[:-1])
    # An object column of tuples; a list of equal lengths would become a matrix.
    sets = np.empty(len(size), dtype=object)
    sets[:] = [tuple(sorted({int(seed) for seed in part})) for part in parts[: len(size)]]
    return pd.Series(sets, index=size.index)


def _common_seeds(settings: pd.DataFrame) -> pd.DataFrame:
    """The seeds that most settings of a pair have; of several the larger, then the first."""
    counted = settings.groupby([*PAIR, "seeds"]).size().rename("count").reset_index()
    counted = counted.assign(length=counted["seeds"].map(len))
    ordered = counted.sort_values(
        [*PAIR, "count", "length", "seeds"], ascending=[True, True, False, False, True]
    )
    return ordered.drop_duplicates(PAIR).rename(columns={"seeds": "common"})[[*PAIR, "common"]]


def _choose(runs: pd.DataFrame, entered: pd.DataFrame) -> pd.DataFrame:
    selecting = _runs_on(runs, entered, "selection_seeds")
    final = selecting["final_gap"].where(selecting["status"] == "ok")
    selecting = selecting.assign(final=final)
    grades = pd.DataFrame(
        {
            "reached": selecting.groupby(SETTING, dropna=False)["steps_to_target"].count(),
            "steps": lower_quantile(selecting, SETTING, "steps_to_target"),
            "final": lower_quantile(selecting, SETTING, "final"),
        }
    ).reset_index()
    best = grades.sort_values(
        [*PAIR, "reached", "steps", "final", "lr", "hyperparameters"],
        ascending=[True, True, False, True, True, True, True],
    ).drop_duplicates(PAIR)
    chosen = best[SETTING].merge(entered, on=SETTING)
    grid = entered.groupby(PAIR)["lr"].agg(["min", "max"]).reset_index()
    chosen = chosen.merge(grid, on=PAIR)
    edge = (chosen["lr"] == chosen["min"]) | (chosen["lr"] == chosen["max"])
    return chosen.assign(at_edge=edge & (chosen["min"] < chosen["max"]))[CHOICE]


def _runs_on(runs: pd.DataFrame, settings: pd.DataFrame, seeds: str) -> pd.DataFrame:
    """The runs of these settings on the seeds that a column of theirs names."""
    wanted = settings[[*SETTING, seeds]].explode(seeds).rename(columns={seeds: "seed"})
    wanted = wanted.astype({"seed": runs["seed"].dtype})
    return runs.merge(wanted, on=[*SETTING, "seed"])
