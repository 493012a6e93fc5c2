"""Ratios of steps to target: on each problem, and of a typical problem."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from optbench.analysis.against import against, word
from optbench.analysis.paired import MARGIN, MedianRatio, median_ratio

ALPHA = 0.05
"""Error level of a claim, all its questions together."""

COLUMNS = ["problem", "ratio", "low", "high", "pairs", "both_missed", "won", "lost", "word"]


@dataclass(frozen=True)
class OverProblems:
    """One optimizer by another, with the problem as the unit.

    Attributes
    ----------
    found : MedianRatio
        Median over problems of each problem's ratio, with its exact interval: what another
        problem of this kind is expected to give. Pairs of seeds within a problem agree with each
        other, and say nothing of the next problem; so they do not make it shorter.
    rows : DataFrame
        ``problem``, ``ratio``, ``low``, ``high``, ``pairs``, ``both_missed``, ``won``, ``lost``,
        ``word``, ``counts`` (whether at least half of the pairs have a side that arrives).
    runs : int
    """

    found: MedianRatio
    rows: pd.DataFrame
    runs: int

    @property
    def word(self) -> str:
        """As for a pair: equivalent, faster, slower or inconclusive."""
        return word(self.found)

    def of(self, problems: Sequence[str]) -> OverProblems:
        """Return the same over some of the problems."""
        return _over(self.rows[self.rows["problem"].isin(problems)], self.runs)

    def ahead(self, direction: int) -> int:
        """On how many problems the median is beyond the margin: -1 faster, 1 slower."""
        ratio = self.rows["ratio"][self.rows["counts"]].to_numpy(dtype=np.float64)
        beyond = ratio < 1 / (1 + MARGIN) if direction < 0 else ratio > 1 + MARGIN
        return int(np.sum(beyond))


def by_problem(
    runs: pd.DataFrame, optimizer: str, baseline: str, alpha: float = ALPHA
) -> pd.DataFrame:
    """`against` of two optimizers, one row a problem that both ran on."""
    two = runs[runs["optimizer"].isin([optimizer, baseline]).to_numpy(dtype=bool)]
    rows = against(two, baseline, 1 - alpha)
    rows = rows[rows["problem"] != ""][COLUMNS].reset_index(drop=True)
    # Where most pairs miss on both sides, the few that do not are no picture of the problem.
    return rows.assign(counts=(rows["pairs"] > 0) & (rows["pairs"] >= rows["both_missed"]))


def over_problems(runs: pd.DataFrame, optimizer: str, baseline: str) -> OverProblems:
    """One optimizer by another over the problems that both ran on."""
    rows = by_problem(runs, optimizer, baseline)
    both = runs[
        runs["optimizer"].isin([optimizer, baseline]) & runs["problem"].isin(rows["problem"])
    ]
    return _over(rows, len(both))


def _over(rows: pd.DataFrame, runs: int) -> OverProblems:
    return OverProblems(median_ratio(rows["ratio"][rows["counts"]].tolist(), ALPHA), rows, runs)


def pair_ratios(
    runs: pd.DataFrame, head: tuple[str, str], base: tuple[str, str]
) -> pd.Series[float]:
    """Return steps of one optimizer and problem by those of another, by seed.

    The seeds of one problem share a start and batches. Those of two problems share their number
    and nothing else: pairs are then any two runs, and just as independent of each other.

    Returns
    -------
    Series
        By seed: 0 where only the head arrives, infinite where only the base does; pairs in which
        neither does are left out.
    """

    def steps(optimizer: str, problem: str) -> pd.Series[float]:
        here = runs[((runs["optimizer"] == optimizer) & (runs["problem"] == problem)).to_numpy()]
        return here.set_index("seed")["steps_to_target"].fillna(np.inf).clip(lower=1)

    both = pd.concat({"head": steps(*head), "base": steps(*base)}, axis=1, join="inner")
    both = both[np.isfinite(both.to_numpy()).any(axis=1)]
    return both["head"] / both["base"]


def median_of(values: npt.ArrayLike, alpha: float) -> tuple[float, float, float]:
    """Return the median and its exact interval, with infinite ends for too few numbers."""
    found = median_ratio(np.exp(np.asarray(values, dtype=np.float64)).tolist(), alpha)
    with np.errstate(divide="ignore"):
        middle, low, high = np.log([found.ratio, found.low, found.high])
    return float(middle), float(low), float(high)


def told(found: MedianRatio) -> str:
    """``0.42 [0.25, 0.63]``.

    >>> told(MedianRatio(0.424, 0.0, math.inf, 3))
    '0.42 [0, ∞]'
    """
    if not found.pairs or math.isnan(found.ratio):
        return "unknown (in no pair does either arrive)"
    return f"{number(found.ratio)} [{number(found.low)}, {number(found.high)}]"


def counted(count: int, what: str = "problem") -> str:
    """``1 problem``, ``2 problems``."""
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def number(value: float) -> str:
    """Return a ratio to two decimals, or to two digits where it is small.

    >>> [number(x) for x in (0.0, 0.0123, 0.999, 12.34, 1234.5, math.inf)]
    ['0', '0.012', '1.00', '12.3', '1234', '∞']
    """
    if value == 0 or math.isinf(value):
        return "∞" if value else "0"
    return f"{value:.2g}" if value < 0.1 else f"{value:.{2 if value < 10 else int(value < 100)}f}"
