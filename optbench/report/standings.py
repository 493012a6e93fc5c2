"""The leagues with their numbers, as figures and tables take them."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from optbench.analysis import (
    League,
    Results,
    bands,
    default_league,
    scores,
    summary,
    tuned_league,
)
from optbench.report import numerals
from optbench.report.rows import rows
from optbench.report.style import Look, look

HIGHLIGHTED = 6
"""Lines in colour in one small axis: the baseline and the best; more cannot be told apart."""

MOST_SEED_SETS = 4


@dataclass(frozen=True)
class Standing:
    """A league with its numbers."""

    league: League
    scores: pd.DataFrame
    summary: pd.DataFrame
    bands: pd.DataFrame

    @property
    def name(self) -> str:
        """``default`` or ``tuned``."""
        return self.league.name

    @property
    def order(self) -> list[str]:
        """Optimizers, best first."""
        return [str(one) for one in self.summary["optimizer"]]

    @property
    def leaders(self) -> list[str]:
        """Those that solve the most problems, all of them where several do; best first."""
        solved = self.summary["solved"]
        return [str(one) for one in self.summary.loc[solved == solved.max(), "optimizer"]]

    @property
    def seeds(self) -> str:
        """The seeds that are scored, for a reader."""
        sets = {tuple(one) for one in self.league.choices["evaluation_seeds"]}
        if len(sets) > MOST_SEED_SETS:
            return "that differ from pair to pair"
        return " or ".join(numerals.spans(one) for one in sorted(sets))


def standing(league: League, results: Results, baseline: str) -> Standing:
    """Score a league."""
    scored = scores(league.runs)
    table = summary(scored, league.runs, results.environments, baseline)
    gaps = bands(league.runs, results.traces, relative=True)
    return Standing(league, scored, table, gaps)


def leagues(results: Results, baseline: str) -> tuple[list[Standing], list[League]]:
    """The leagues that have runs, scored, and those that have none."""
    found = [default_league(results.runs), tuned_league(results.runs)]
    held = [standing(league, results, baseline) for league in found if len(league.runs)]
    return held, [league for league in found if not len(league.runs)]


def looks_of(runs: pd.DataFrame) -> dict[str, Look]:
    """Every optimizer's look."""
    names = runs[["optimizer", "base", "variant"]].drop_duplicates("optimizer")
    return {
        str(row.optimizer): look(str(row.optimizer), str(row.base), str(row.variant or ""))
        for row in rows(names)
    }


def highlighted(one: Standing, baseline: str) -> list[str]:
    """The baseline and the best few, of which no two are variants of one another."""
    chosen = [baseline] if baseline in one.order else []
    bases = set(one.summary.loc[one.summary["optimizer"].isin(chosen), "base"])
    for row in rows(one.summary):
        if len(chosen) < HIGHLIGHTED and row.base not in bases:
            chosen.append(str(row.optimizer))
            bases.add(row.base)
    return chosen
