"""The leagues with their numbers, as figures and tables take them."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import pandas as pd

from optbench.analysis import (
    CriticalDifference,
    League,
    Results,
    against,
    areas,
    attainment,
    bands,
    common_ground,
    critical_difference,
    default_league,
    probability_of_improvement,
    ranks,
    scores,
    summary,
    tuned_league,
)
from optbench.reporting import numerals
from optbench.reporting.rows import rows
from optbench.reporting.style import Look, look

HIGHLIGHTED = 6
"""Lines in colour in one small axis: the baseline and the best; more cannot be told apart."""

MOST_SEED_SETS = 4


@dataclass(frozen=True)
class Standing:
    """A league with its numbers.

    Attributes
    ----------
    ground : DataFrame
        The runs that optimizers are ranked by, of `optbench.analysis.common_ground`: what is
        about the whole is computed on these; what is about a problem, on all.
    scores, summary, bands
        Frames of the functions of these names in `optbench.analysis`.
    areas : DataFrame
        Of `optbench.analysis.areas`; best first.
    curves : DataFrame
        Of `optbench.analysis.attainment`.
    pairs : DataFrame
        Of `optbench.analysis.against`: every optimizer against the baseline, overall (``problem``
        empty) and by problem.
    improvement : DataFrame
        Of `optbench.analysis.probability_of_improvement`.
    families : DataFrame
        `areas` by family of problems: ``family`` before its columns; best first in each.
    """

    league: League
    baseline: str
    ground: pd.DataFrame
    scores: pd.DataFrame
    summary: pd.DataFrame
    bands: pd.DataFrame
    areas: pd.DataFrame
    curves: pd.DataFrame
    pairs: pd.DataFrame
    improvement: pd.DataFrame
    families: pd.DataFrame

    @property
    def name(self) -> str:
        """``default`` or ``tuned``."""
        return self.league.name

    @property
    def order(self) -> list[str]:
        """Optimizers, best first: by the area under the curve of attained targets."""
        return [str(one) for one in self.areas["optimizer"]]

    @property
    def bases(self) -> list[str]:
        """The same without variants, which compute what their base does."""
        variant = self.summary.set_index("optimizer")["variant"]
        return [name for name in self.order if not variant[name]]

    @property
    def ends(self) -> pd.Series[float]:
        """The share of targets that each optimizer has reached at the end of the budget."""
        return self.curves.groupby("optimizer")["value"].last()

    @functools.cached_property
    def alike(self) -> list[str]:
        """Bases that ran on all problems of the baseline: their areas are of the same thing.

        Where the baseline did not run, the problems are those of the first.
        """
        ran = self.ground[["optimizer", "problem"]].drop_duplicates()
        problems = ran.groupby("optimizer")["problem"].agg(frozenset)
        wanted = problems.get(self.baseline, problems[self.order[0]])
        return [name for name in self.bases if problems[name] == wanted]

    @property
    def ranked(self) -> pd.DataFrame:
        """The scores of those that are alike, on the common ground."""
        wanted = self.scores["optimizer"].isin(self.alike)
        wanted &= self.scores["problem"].isin(self._problems)
        return self.scores[wanted.to_numpy(dtype=bool)]

    @functools.cached_property
    def ranks(self) -> pd.DataFrame:
        """Of `optbench.analysis.ranks`, on what is `ranked`."""
        return ranks(self.ranked)

    @functools.cached_property
    def critical_difference(self) -> CriticalDifference:
        """What the ranks tell apart."""
        return critical_difference(self.ranks)

    @property
    def by_family(self) -> pd.DataFrame:
        """`families`, of those that are alike."""
        return self.families[self.families["optimizer"].isin(self.alike)]

    @property
    def _problems(self) -> pd.Series[str]:
        here = self.ground["optimizer"].isin(self.alike).to_numpy(dtype=bool)
        return self.ground.loc[here, "problem"]

    def areas_on(self, pairs: pd.MultiIndex, targets: pd.DataFrame) -> pd.Series[float]:
        """Areas over some pairs of an optimizer and a problem alone."""
        here = pd.MultiIndex.from_frame(self.ground[["optimizer", "problem"]]).isin(pairs)
        return areas(self.ground[here], targets).set_index("optimizer")["area"]

    @property
    def overall(self) -> pd.DataFrame:
        """Against the baseline, over all problems; in the league's order."""
        rows_ = self.pairs[(self.pairs["problem"] == "").to_numpy(dtype=bool)]
        known = rows_.set_index("optimizer")
        return known.reindex([name for name in self.order if name in known.index]).reset_index()

    @property
    def seeds(self) -> str:
        """The seeds that are scored, for a reader."""
        scored = self.league.choices.groupby(["optimizer", "problem"])["evaluation_seeds"].sum()
        sets = {tuple(sorted(one)) for one in scored}
        if len(sets) > MOST_SEED_SETS:
            return "that differ from pair to pair"
        return " or ".join(numerals.spans(one) for one in sorted(sets))


def standing(league: League, results: Results, baseline: str) -> Standing:
    """Score a league."""
    runs = league.runs
    ground = common_ground(runs, baseline)
    scored = scores(runs)
    known = results.targets[results.targets["run"].isin(runs["run"]).to_numpy(dtype=bool)]
    families = [
        _best_first(areas(part, known)).assign(family=name)
        for name, part in ground.groupby("family")
    ]
    return Standing(
        league,
        baseline,
        ground,
        scored,
        summary(scores(ground), ground, results.environments, baseline),
        # Of variants a curve would lie on their base's.
        bands(runs[(runs["variant"] == "").to_numpy(dtype=bool)], results.traces, relative=True),
        _best_first(areas(ground, known)),
        attainment(ground, known),
        against(ground, baseline),
        probability_of_improvement(ground, baseline),
        pd.concat(families, ignore_index=True),
    )


def _best_first(found: pd.DataFrame) -> pd.DataFrame:
    ordered = found.sort_values(["area", "optimizer"], ascending=[False, True])
    return ordered.reset_index(drop=True)


def leagues(results: Results, baseline: str) -> tuple[list[Standing], list[League]]:
    """Score the leagues that have runs; return those, and those that have none."""
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
