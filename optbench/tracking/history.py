"""Metrics by commit: which changed, where, and whether for the worse."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from optbench.tracking import change_points

SERIES = [
    *("source", "machine", "environment", "benchmark", "metric", "optimizer", "problem"),
    *("parameters", "unit", "exact", "least", "version"),
]
"""What has to be the same for two values to be of one series: results of another machine,
environment or definition are kept apart, never mixed."""

COLUMNS = (*SERIES, "commit", "order", "value", "samples", "seeds", "status")
"""Of a frame of values, one row a series and commit. ``value`` is positive and lower is better;
``samples`` is a tuple, or empty; ``seeds`` are theirs, or empty where they are in an order that
commits share; ``status`` is measured, failed or skipped; ``exact`` says that the same commit gives
the same value, and ``least`` the part by which such a value has to be worse for more than
*changed*; of values measured twice at a commit the one of the larger ``order`` counts."""

MEASURED_AS_ONE = ["source", "machine", "benchmark", "metric", "optimizer", "problem", "parameters"]
"""What has to be the same for a later series to take the place of an earlier one, in another
environment or of another version."""

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
    """The metric was measured before, and now raises."""

    IMPROVED = "improved"

    CHANGED = "changed"
    """Exact values that differ, by less than ``least``."""

    WORKS = "works again"

    GONE = "missing"
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
        The series has not been as good since, is worse than at the baseline, and goes on: no other
        has taken its place, and it was not skipped at the last commit.
    parameters : str
        What else tells the series apart, as ``budget=500, float32``; may be empty.
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

    def begun_at(self, commit: str) -> int:
        """Values of a commit whose series have no other: nothing can have changed in them."""
        first = self.values.groupby(SERIES, dropna=False)["commit"].transform("nunique") == 1
        return int((first & (self.values["commit"] == commit)).sum())

    def frame(self) -> pd.DataFrame:
        """Return the changes as a frame."""
        return pd.DataFrame([asdict(each) for each in self.changes])


def history(values: pd.DataFrame, line: Sequence[str], baseline: str | None = None) -> History:
    """Find the changes along a line of commits.

    Exact metrics are compared with the commit measured before, exactly; timings and other
    measured ones by change points (`optbench.tracking.change_points`).

    Parameters
    ----------
    values : DataFrame
        With `COLUMNS`.
    line : sequence of str
        Commits from the oldest; values of others are kept apart.
    baseline : str or None
        A commit of the line that was good, such as the last that passed. What is no worse now than
        there does not stand: an improvement that came and went after it is none of its matter.
    """
    places = {commit: place for place, commit in enumerate(line)}
    on_line = values["commit"].isin(places)
    aside = {}
    if (~on_line).any():
        commits = values.loc[~on_line, "commit"].nunique()
        words = "one commit" if commits == 1 else f"{commits} commits"
        aside[f"of {words} off the first-parent line"] = int((~on_line).sum())
    kept = values[on_line].copy()
    kept["place"] = kept["commit"].map(places)
    # Measured twice at a commit, the later counts.
    kept = kept.sort_values([*SERIES, "place", "order"], kind="stable")
    kept = kept.drop_duplicates([*SERIES, "place"], keep="last").reset_index(drop=True)
    # No logarithm, no ratio: another program's metric, in which lower is not better.
    positive = (kept["status"] != "measured") | (kept["value"] > 0)
    if not positive.all():
        aside["that are not positive"] = int((~positive).sum())
        kept = kept[positive].reset_index(drop=True)
    newest = kept.groupby(MEASURED_AS_ONE)["place"].max().to_dict()
    found: list[Change] = []
    too_short = 0
    for series in _series(kept):
        last = series[-1]
        goes_on = last.place == newest[tuple(getattr(last, name) for name in MEASURED_AS_ONE)]
        goes_on = bool(goes_on) and last.status != "skipped"
        told = _Series(series, line, places.get(baseline) if baseline else None, goes_on)
        if told.is_too_short:
            too_short += 1
        found += told.changes()
    found.sort(key=lambda c: (places[c.likely], c.metric, c.optimizer, c.problem, c.parameters))
    return History(kept, tuple(found), aside, too_short)


def _series(values: pd.DataFrame) -> Iterator[list[Any]]:
    """Yield the rows of each series in the order of the line.

    As tuples: thousands of frames of three rows each would cost a hundred times as much.
    """
    rows = list(values.itertuples(index=False))
    number = values.groupby(SERIES, sort=True, dropna=False).ngroup().to_numpy()
    order = np.argsort(number, kind="stable")
    for places in np.split(order, np.flatnonzero(np.diff(number[order])) + 1) if rows else ():
        yield [rows[place] for place in places]


class _Series:
    """One series along the line."""

    def __init__(
        self, rows: list[Any], line: Sequence[str], baseline: int | None, goes_on: bool
    ) -> None:
        self._line = line
        self._goes_on = goes_on
        self._until = -1 if baseline is None else baseline
        self._rows = rows
        self._measured = [row for row in rows if row.status == "measured"]
        first = rows[0]
        self._exact, self._least = bool(first.exact), float(first.least)
        self._named = {
            name: str(getattr(first, name))
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
        # Skipped is no state: what was away and comes back broken has broken meanwhile.
        states = [(row.place, row.status) for row in rows if row.status != "skipped"]
        good = [status for place, status in states if place <= self._until][-1:]
        for (before, was), (place, now) in pairwise(states):
            if was == "measured" and now == "failed":
                stands = self._goes_on and states[-1][1] == "failed" and good != ["failed"]
                yield self._change(Kind.FAILS, before + 1, place, place, stands=stands)
            elif was == "failed" and now == "measured":
                yield self._change(Kind.WORKS, before + 1, place, place)
        if states and states[-1][1] == "measured" and rows[-1].status == "skipped":
            last = states[-1][0]
            after = next(int(row.place) for row in rows if row.place > last)
            yield self._change(Kind.GONE, last + 1, after, after)

    def _exactly(self) -> Iterator[Change]:
        rows = self._measured
        good = [row for row in rows if row.place <= self._until][-1:]
        # What the small changes since are added up against; and where it was last seen.
        if not rows:
            return
        reference = seen = rows[0]
        for place, now in enumerate(rows[1:], 1):
            before = rows[place - 1]
            pair = _paired(reference, now)
            if pair is None:  # Not one seed in common: nothing can be said.
                reference = seen = now
                continue
            ratio = _geometric(pair[1] / pair[0])
            if np.allclose(*pair, rtol=SAME, atol=0):
                seen = now
            since = _paired(before, now)
            if since is None or np.allclose(*since, rtol=SAME, atol=0):
                continue
            kind = Kind.CHANGED
            if ratio > 1 + self._least:
                kind = Kind.REGRESSED
            elif ratio < 1 / (1 + self._least):
                kind = Kind.IMPROVED
            first = int((before if kind is Kind.CHANGED else seen).place) + 1
            later = rows[place + 1 :]
            worse = [self._is_worse(row, reference) for row in (now, *later)]
            stands = self._goes_on and all(worse) and all(self._is_worse(rows[-1], g) for g in good)
            yield self._change(kind, first, int(now.place), int(now.place),
                               ratio=ratio, low=ratio, high=ratio, stands=stands)  # fmt: skip
            if kind is not Kind.CHANGED:
                reference = seen = now

    def _is_worse(self, now: object, before: object) -> bool:
        pair = _paired(before, now)
        # Where nothing can be said, what was said before stays.
        return pair is None or _geometric(pair[1] / pair[0]) > 1 + self._least

    def _by_change_points(self) -> Iterator[Change]:
        values: Any = np.array([row.value for row in self._measured], dtype=float)
        # What is not positive has no logarithm: somebody else's metric, that is not tracked here.
        if len(values) < change_points.SHORTEST or not (values > 0).all():
            return
        places = np.array([row.place for row in self._measured])
        steps = change_points.change_points(values)
        begins = [step.index for step in steps]
        levels = [_geometric(each) for each in np.split(values, begins)]
        until = int((places <= self._until).sum())
        good = [levels[sum(begin < until for begin in begins)]] if until else []
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
                stands=self._goes_on
                and min(levels[place + 1 :]) > levels[place] * (1 + MEASURED_LEAST)
                and all(levels[-1] > level * (1 + MEASURED_LEAST) for level in good),
            )


def _paired(before: Any, now: Any) -> tuple[np.ndarray, np.ndarray] | None:
    """Return samples of the same seeds, or the values without samples; None without a pair."""
    old, new = before.samples, now.samples
    if not old and not new:
        old, new = (before.value,), (now.value,)
    elif before.seeds and now.seeds:
        common = sorted(set(before.seeds) & set(now.seeds))
        old, new = (
            tuple(dict(zip(row.seeds, row.samples, strict=True))[seed] for seed in common)
            for row in (before, now)
        )
    elif len(old) != len(new):
        return None
    if not old:
        return None
    return np.asarray(old, dtype=float), np.asarray(new, dtype=float)


def _geometric(ratios: np.ndarray) -> float:
    return float(np.exp(np.log(ratios).mean()))
