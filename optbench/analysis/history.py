"""Metrics by commit: which changed, where, and whether for the worse."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from optbench.analysis import change_points

SERIES = [
    *("source", "machine", "environment", "benchmark", "metric", "optimizer", "problem"),
    *("parameters", "unit", "exact", "least", "version"),
]
"""What has to be the same for two values to be of one series: results of another machine,
environment or definition are kept apart, never mixed."""

COLUMNS = (*SERIES, "commit", "order", "value", "samples", "status")
"""Of a frame of values, one row a series and commit. ``value`` is positive and lower is better;
``samples`` is a tuple, in an order that commits share (of seeds), or empty; ``status`` is measured,
failed or skipped; ``exact`` says that the same commit gives the same value, and ``least`` the part
by which such a value has to be worse for more than *changed*; of values measured twice at a commit
the one of the larger ``order`` counts."""

SAME = 1e-6
"""Relative difference of exact values up to which they are equal: they are computed in float64,
where a sum in another order moves them by some 1e-12, and training makes a thousand times that."""

MEASURED_LEAST = change_points.LEAST
"""A measured series that is worse by less than that has come back."""


class Kind(enum.StrEnum):
    """What happened to a series at a commit."""

    REGRESSED = "regressed"
    """Worse by a size."""

    FAILS = "fails"
    """It was measured before, and now it raises."""

    IMPROVED = "improved"

    CHANGED = "changed"
    """Exact values that differ, by less than ``least``."""

    WORKS = "works again"

    GONE = "gone"
    """No longer measured, up to the last commit."""


WORSE = frozenset((Kind.REGRESSED, Kind.FAILS))


@dataclass(frozen=True)
class Change:
    """A change of a series.

    Attributes
    ----------
    first, commit : str
        The oldest and the newest commit that it may be; equal where every commit was measured and
        the values are exact.
    likely : str
        The likeliest of them.
    ratio, low, high : float
        After by before, with its 99 % interval for measured series; NaN where there is no number.
    stands : bool
        The series is still as bad as that at its last commit.
    p : float
        Of the test; 0 where the values are exact.
    accepted : str
        Why it is wanted; empty where nobody said so.
    """

    kind: Kind
    machine: str
    environment: str
    benchmark: str
    metric: str
    optimizer: str
    problem: str
    parameters: str
    first: str
    commit: str
    likely: str
    ratio: float = np.nan
    low: float = np.nan
    high: float = np.nan
    p: float = 0.0
    stands: bool = True
    accepted: str = ""


@dataclass(frozen=True)
class History:
    """What became of the metrics along a line of commits.

    Attributes
    ----------
    values : DataFrame
        The rows of the line, in its order, with ``place``: the position on it.
    changes : tuple of Change
        In the order of commits.
    aside : Mapping of str to int
        What was kept apart, and how many values.
    too_short : int
        Measured series with fewer than eight commits, in which no change can be told from noise.
    """

    values: pd.DataFrame
    changes: tuple[Change, ...]
    aside: Mapping[str, int] = field(default_factory=dict)
    too_short: int = 0

    @property
    def regressions(self) -> tuple[Change, ...]:
        """Those that stand and that nobody accepted."""
        return tuple(c for c in self.changes if c.kind in WORSE and c.stands and not c.accepted)

    def frame(self) -> pd.DataFrame:
        """The changes as a frame."""
        return pd.DataFrame([asdict(each) for each in self.changes])


def history(values: pd.DataFrame, line: Sequence[str]) -> History:
    """Changes along a line of commits.

    Exact metrics are compared with the commit measured before, exactly; timings and other
    measured ones by change points (`optbench.analysis.change_points`).

    Parameters
    ----------
    values : DataFrame
        With `COLUMNS`.
    line : sequence of str
        Commits from the oldest; values of others are kept apart.
    """
    places = {commit: place for place, commit in enumerate(line)}
    on_line = values["commit"].isin(places)
    aside = {}
    if (~on_line).any():
        commits = values.loc[~on_line, "commit"].nunique()
        words = "one commit" if commits == 1 else f"{commits} commits"
        aside[f"of {words} beside the line"] = int((~on_line).sum())
    kept = values[on_line].copy()
    kept["place"] = kept["commit"].map(places)
    # Measured twice at a commit, the later counts.
    kept = kept.sort_values([*SERIES, "place", "order"], kind="stable")
    kept = kept.drop_duplicates([*SERIES, "place"], keep="last").reset_index(drop=True)
    found: list[Change] = []
    too_short = 0
    for _, series in kept.groupby(SERIES, sort=True, dropna=False):
        told = _Series(series, line)
        if told.is_too_short:
            too_short += 1
        found += told.changes()
    found.sort(key=lambda c: (places[c.likely], c.metric, c.optimizer, c.problem, c.parameters))
    return History(kept, tuple(found), aside, too_short)


class _Series:
    """One series along the line."""

    def __init__(self, rows: pd.DataFrame, line: Sequence[str]) -> None:
        self._line = line
        self._rows = rows
        self._measured = rows[rows["status"] == "measured"]
        first = rows.iloc[0]
        self._exact, self._least = bool(first["exact"]), float(first["least"])
        self._named = {
            name: str(first[name])
            for name in (
                *("machine", "environment", "benchmark", "metric", "optimizer", "problem"),
                "parameters",
            )
        }

    @property
    def is_too_short(self) -> bool:
        return not self._exact and 0 < len(self._measured) < change_points.SHORTEST

    def changes(self) -> Iterator[Change]:
        yield from self._comings_and_goings()
        yield from self._exactly() if self._exact else self._by_change_points()

    def _change(self, kind: Kind, first: int, last: int, likely: int, **more: float) -> Change:
        line = self._line
        where = {"first": line[first], "commit": line[last], "likely": line[likely]}
        named: dict[str, Any] = {**self._named, **where, **more}
        return Change(kind, **named)

    def _comings_and_goings(self) -> Iterator[Change]:
        rows = self._rows
        states = list(zip(rows["place"], rows["status"], strict=True))
        for (before, was), (place, now) in pairwise(states):
            if was == "measured" and now == "failed":
                stands = rows["status"].iloc[-1] == "failed"
                yield self._change(Kind.FAILS, before + 1, place, place, stands=stands)
            elif was == "failed" and now == "measured":
                yield self._change(Kind.WORKS, before + 1, place, place)
        if len(self._measured) and rows["status"].iloc[-1] == "skipped":
            last = int(self._measured["place"].iloc[-1])
            after = int(rows.loc[rows["place"] > last, "place"].iloc[0])
            yield self._change(Kind.GONE, last + 1, after, after)

    def _exactly(self) -> Iterator[Change]:
        rows = list(self._measured.itertuples())
        for before, now in pairwise(rows):
            old, new = _paired(before, now)
            if np.allclose(old, new, rtol=SAME, atol=0):
                continue
            ratio = _geometric(new / old)
            kind = Kind.CHANGED
            if ratio > 1 + self._least:
                kind = Kind.REGRESSED
            elif ratio < 1 / (1 + self._least):
                kind = Kind.IMPROVED
            baseline, last = _paired(before, rows[-1])
            stands = _geometric(last / baseline) > 1 + self._least
            yield self._change(kind, int(before.place) + 1, int(now.place), int(now.place),
                               ratio=ratio, low=ratio, high=ratio, stands=stands)  # fmt: skip

    def _by_change_points(self) -> Iterator[Change]:
        values = self._measured["value"].to_numpy(dtype=float)
        # What is not positive has no logarithm: somebody else's metric, that is not tracked here.
        if len(values) < change_points.SHORTEST or not (values > 0).all():
            return
        places = self._measured["place"].to_numpy()
        steps = change_points.change_points(values)
        levels = [_geometric(each) for each in np.split(values, [step.index for step in steps])]
        for place, step in enumerate(steps):
            yield self._change(
                Kind.REGRESSED if step.ratio > 1 else Kind.IMPROVED,
                int(places[step.earliest - 1]) + 1,
                int(places[step.latest]),
                int(places[step.index]),
                ratio=step.ratio,
                low=step.low,
                high=step.high,
                p=step.p,
                stands=levels[-1] > levels[place] * (1 + MEASURED_LEAST),
            )


def _paired(before: object, now: object) -> tuple[np.ndarray, np.ndarray]:
    """Samples seed by seed where both have as many; else the values."""
    old, new = getattr(before, "samples"), getattr(now, "samples")  # noqa: B009
    if not old or len(old) != len(new):
        old, new = (getattr(before, "value"),), (getattr(now, "value"),)  # noqa: B009
    return np.asarray(old, dtype=float), np.asarray(new, dtype=float)


def _geometric(ratios: np.ndarray) -> float:
    return float(np.exp(np.log(ratios).mean()))
