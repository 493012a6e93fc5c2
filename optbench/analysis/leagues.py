"""The two leagues: default hyperparameters, and tuned ones with a stated budget."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from optbench.analysis.quantiles import lower_quantile
from optbench.analysis.results import FINISHED

PAIR = ["optimizer", "problem"]
FOLD = [*PAIR, "fold"]
SETTING = ["optimizer", "problem", "lr", "hyperparameters"]
CHOICE = [*SETTING, "fold", "tried", "selection_seeds", "evaluation_seeds", "at_edge"]

Seeds = tuple[int, ...]


def folds(seeds: Sequence[int]) -> tuple[tuple[Seeds, Seeds], tuple[Seeds, Seeds]]:
    """Two ways to part seeds: those that choose and those that are scored, each half once.

    Every seed is scored, and by a choice that did not see it (two-fold cross-fitting).

    >>> folds([0, 1, 2, 3, 4])
    (((0, 1), (2, 3, 4)), ((2, 3, 4), (0, 1)))
    """
    ordered = tuple(sorted(seeds))
    first, second = ordered[: len(ordered) // 2], ordered[len(ordered) // 2 :]
    return (first, second), (second, first)


@dataclass(frozen=True)
class League:
    """Runs that are scored against each other.

    Attributes
    ----------
    name : str
        ``default`` or ``tuned``.
    runs : DataFrame
        Rows of `Results.runs`: those that are scored, and no other; one an optimizer, problem
        and seed.
    choices : DataFrame
        One row an optimizer, problem and fold: ``optimizer``, ``problem``, ``lr``,
        ``hyperparameters``, ``fold`` (0; in the tuned league 0 and 1), ``tried`` (settings that
        the choice was made among), ``selection_seeds`` and ``evaluation_seeds`` (tuples;
        disjoint), ``at_edge`` (whether the chosen lr is the least or greatest of several that
        were tried).
    left_out : DataFrame
        ``optimizer``, ``problem``, ``reason``.
    """

    name: str
    runs: pd.DataFrame
    choices: pd.DataFrame
    left_out: pd.DataFrame


def default_league(runs: pd.DataFrame) -> League:
    """Every optimizer with its own defaults, scored on all of its seeds; nothing is chosen."""
    runs = unscheduled(runs)
    scored = runs[runs["default"].astype(bool)]
    # A store may outlive a change of the defaults: the latest count.
    latest = scored.sort_values("run").drop_duplicates(PAIR, keep="last")[SETTING]
    scored = scored.merge(latest, on=SETTING)
    first = scored.sort_values([*PAIR, "lr", "hyperparameters"]).drop_duplicates(PAIR)
    seeds = _seed_sets(scored, PAIR)
    choices = first[SETTING].merge(seeds.rename("evaluation_seeds").reset_index(), on=PAIR)
    nobody = pd.Series([()] * len(choices), index=choices.index, dtype=object)
    choices = choices.assign(fold=0, tried=1, selection_seeds=nobody, at_edge=False)
    pairs = runs[PAIR].drop_duplicates().sort_values(PAIR)
    without = pairs.merge(choices[PAIR], on=PAIR, how="left", indicator="side")
    without = without[without["side"] == "left_only"][PAIR]
    reason = "not run with its default hyperparameters"
    return League("default", scored, choices[CHOICE], without.assign(reason=reason))


def tuned_league(runs: pd.DataFrame) -> League:
    """Return the best setting per optimizer and problem, chosen on some seeds, scored on others.

    Of an optimizer's settings on a problem those count that share the set of seeds that most of
    them have. One half of those seeds selects and the other is scored, and the other way round
    (`folds`). Chosen is the setting with the most selection seeds that reach the target, then
    the fewest median steps to it (a miss is infinite), then the lowest median final gap, then
    the lowest lr. The two halves may choose differently: that is part of what tuning gives.

    The seeds stand apart because the best of B noisy numbers is too good: scored on the seeds
    that chose it, an optimizer gains by a larger grid alone (Choi et al. 2019; Sivaprasad et
    al. 2020).
    """
    entered, left_out = candidates(runs)
    choices = _choose(runs, in_halves(entered))
    scored = runs_on(runs, choices, "evaluation_seeds")
    return League("tuned", scored, choices, left_out)


def candidates(runs: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the settings that a choice is made among, and the pairs where there is none to make.

    Returns
    -------
    DataFrame
        A row a setting: `SETTING`, ``common`` (the seeds that count, a tuple), ``tried`` (how
        many settings the pair has).
    DataFrame
        ``optimizer``, ``problem``, ``reason``.
    """
    runs = unscheduled(runs)
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
    return entered[[*SETTING, "common", "tried"]], left_out.reset_index(drop=True)


def in_halves(entered: pd.DataFrame) -> pd.DataFrame:
    """Each of the `candidates` twice, once a fold.

    Returns
    -------
    DataFrame
        With ``fold`` (0 or 1), ``selection_seeds`` and ``evaluation_seeds`` (tuples, of `folds`).
    """
    parts = []
    for fold in (0, 1):
        halves = [folds(seeds)[fold] for seeds in entered["common"]]
        parts.append(
            entered.assign(
                fold=fold,
                selection_seeds=_objects(select for select, _ in halves),
                evaluation_seeds=_objects(score for _, score in halves),
            )
        )
    return pd.concat(parts, ignore_index=True)


def unscheduled(runs: pd.DataFrame) -> pd.DataFrame:
    """Keep runs at a fixed learning rate: few optimizers are run with a schedule, and the search
    that a league grants has to be the same for all."""
    return runs[(runs["lr_schedule"] == "").to_numpy(dtype=bool)]


def _objects(tuples: Iterable[Seeds]) -> pd.Series[float]:
    """Return an object column of tuples; a list of equal lengths would become a matrix."""
    return pd.Series(list(tuples), dtype=object)


def _seed_sets(runs: pd.DataFrame, by: list[str]) -> pd.Series[float]:
    """Return the sorted tuple of seeds of each group."""
    ordered = runs.sort_values([*by, "seed"])
    size = ordered.groupby(by, dropna=False).size()
    parts = np.split(ordered["seed"].to_numpy(), size.to_numpy().cumsum()[:-1])
    sets = _objects(tuple(sorted({int(seed) for seed in part})) for part in parts[: len(size)])
    return sets.set_axis(size.index)


def _common_seeds(settings: pd.DataFrame) -> pd.DataFrame:
    """Return the seeds that most settings of a pair have; of several the larger, then the first."""
    counted = settings.groupby([*PAIR, "seeds"]).size().rename("count").reset_index()
    counted = counted.assign(length=counted["seeds"].map(len))
    ordered = counted.sort_values(
        [*PAIR, "count", "length", "seeds"], ascending=[True, True, False, False, True]
    )
    return ordered.drop_duplicates(PAIR).rename(columns={"seeds": "common"})[[*PAIR, "common"]]


def _choose(runs: pd.DataFrame, entered: pd.DataFrame) -> pd.DataFrame:
    selecting = runs_on(runs, entered, "selection_seeds")
    best = graded(selecting, [*SETTING, "fold"]).drop_duplicates(FOLD)
    chosen = best[[*SETTING, "fold"]].merge(entered, on=[*SETTING, "fold"])
    grid = entered.groupby(PAIR)["lr"].agg(["min", "max"]).reset_index()
    chosen = chosen.merge(grid, on=PAIR)
    edge = (chosen["lr"] == chosen["min"]) | (chosen["lr"] == chosen["max"])
    chosen = chosen.assign(at_edge=edge & (chosen["min"] < chosen["max"]))
    return chosen[CHOICE].sort_values(FOLD).reset_index(drop=True)


def graded(runs: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Return settings from the best to the worst within each pair, by the runs that select."""
    final = runs["final_gap"].where(runs["status"].isin(FINISHED))
    runs = runs.assign(final=final)
    grades = pd.DataFrame(
        {
            "reached": runs.groupby(by, dropna=False)["steps_to_target"].count(),
            "steps": lower_quantile(runs, by, "steps_to_target"),
            "final": lower_quantile(runs, by, "final"),
        }
    ).reset_index()
    return grades.sort_values(
        [*PAIR, "reached", "steps", "final", "lr", "hyperparameters"],
        ascending=[True, True, False, True, True, True, True],
    )


def runs_on(runs: pd.DataFrame, settings: pd.DataFrame, seeds: str) -> pd.DataFrame:
    """Return the runs of these settings on the seeds that one of their columns names."""
    wanted = settings[[*SETTING, "fold", seeds]].explode(seeds).rename(columns={seeds: "seed"})
    wanted = wanted.astype({"seed": runs["seed"].dtype})
    return runs.merge(wanted, on=[*SETTING, "seed"])
