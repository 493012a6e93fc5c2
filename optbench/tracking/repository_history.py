"""The history of a repository: asv's results and the store's, along its line of commits."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path

import pandas as pd

from optbench.analysis import Results
from optbench.errors import OptbenchError
from optbench.sources import git
from optbench.tracking.accepted import Accepted, accepted_at, read_accepted, with_accepted
from optbench.tracking.asv_results import read_asv_results
from optbench.tracking.commits import first_parents
from optbench.tracking.history import COLUMNS, History, history
from optbench.tracking.store_history import store_values


class NoHistory(OptbenchError, ValueError):
    """No results of any commit of the line; the text says what was looked at."""


@dataclass(frozen=True)
class RepositoryHistory:
    """Metrics of a repository over its commits, and the changes in them.

    Attributes
    ----------
    history : History
    commits : DataFrame
        ``commit``, ``subject``: the line, from the oldest.
    accepted : tuple of Accepted
    skipped : tuple of (str, str)
        Files of asv's that were not read, with the reason.
    """

    history: History
    commits: pd.DataFrame
    accepted: tuple[Accepted, ...]
    skipped: tuple[tuple[str, str], ...]

    def to_frame(self) -> pd.DataFrame:
        """Return the values, a row a metric and commit, in the order of the commits."""
        return self.history.values

    def __repr__(self) -> str:
        values, changes = self.history.values, self.history.changes
        commits = values["commit"].nunique()
        counted = f"{len(values):,} values of {commits} commits, {len(changes)} changes"
        return f"<RepositoryHistory: {counted}>"

    def _repr_html_(self) -> str:
        """Return a table for notebooks: a row a change."""
        rows = [
            {
                **{"commit": each.commit[:10], "metric": each.metric},
                **{"optimizer": each.optimizer, "problem": each.problem, "kind": str(each.kind)},
            }
            for each in self.history.changes
        ]
        columns = ["commit", "metric", "optimizer", "problem", "kind"]
        table = pd.DataFrame(rows, columns=columns).to_html(index=False, max_rows=60)
        return f"<p>{escape(repr(self))}</p>{table}"

    @property
    def unknown(self) -> int:
        """Acceptances of commits that are not on the line: rebased away, or of another branch."""
        places = self.places
        return sum(row.commit not in places for row in self.accepted)

    @property
    def places(self) -> dict[str, int]:
        """Commit to its place on the line."""
        return {commit: place for place, commit in enumerate(self.commits["commit"])}


NAMES = ("metric", "optimizer", "problem")
"""Columns that values are selected by."""

Chosen = Callable[[pd.DataFrame], pd.Series]
"""Which rows of a frame of values are wanted."""


def load_history(
    repository: Path,
    *,
    store: Results | None,
    asv: Path | None,
    nights: pd.DataFrame | None = None,
    baseline: str | None = None,
    chosen: Chosen | None = None,
) -> RepositoryHistory:
    """Read, put in the order of commits, and look for changes.

    Parameters
    ----------
    repository : Path
        Any folder of it.
    store : Results or None
        What is in a store.
    asv : Path or None
        asv's results folder.
    nights : DataFrame or None
        As of `optbench.tracking.store_history.store_values`.
    baseline : str or None
        A commit that was good: what is no worse now than there does not stand.
    chosen : callable
        Which values to look at.

    Raises
    ------
    NoHistory
        Where there is no value of the line.
    SourceError, StoreError, NoResults, WrongAcceptance
        As their texts say.
    """
    commits = first_parents(repository)
    top = git.top_level(repository)
    accepted = read_accepted(top)
    values, skipped = _read(store, asv, nights)
    of_all = len(values)
    if chosen is not None and of_all:
        values = values[chosen(values)]
    found = history(values, list(commits["commit"]), baseline)
    if found.values.empty:
        raise NoHistory(_nothing(of_all, len(values), found, skipped, len(commits)))
    loaded = RepositoryHistory(found, commits, accepted, skipped)
    known_at = functools.cache(functools.partial(accepted_at, top))
    return replace(loaded, history=with_accepted(found, accepted, loaded.places, known_at))


def known(store: Results | None, asv: Path | None) -> dict[str, frozenset[str]]:
    """Return the metrics, optimizers and problems that there are results of."""
    values, _ = _read(store, asv, None)
    return {name: frozenset(values[name]) - {""} for name in NAMES}


def _read(
    store: Results | None, asv: Path | None, nights: pd.DataFrame | None
) -> tuple[pd.DataFrame, tuple[tuple[str, str], ...]]:
    """Return the values of both, and asv's files that were not read."""
    frames = [pd.DataFrame(columns=list(COLUMNS))]
    skipped: tuple[tuple[str, str], ...] = ()
    if asv is not None:
        read = read_asv_results(asv)
        frames.append(read.values)
        skipped = read.skipped
    if store is not None:
        frames.append(store_values(store, nights))
    filled = [frame for frame in frames if len(frame)]
    return (pd.concat(filled, ignore_index=True) if filled else frames[0]), skipped


def _nothing(
    of_all: int,
    chosen: int,
    found: History,
    skipped: tuple[tuple[str, str], ...],
    commits: int,
) -> str:
    if of_all and not chosen:
        text = f"none of {of_all:,} values is of what was asked for (names, or globs: '*:Adam')"
    elif found.aside:
        kept = ", ".join(f"{count:,} values {what}" for what, count in found.aside.items())
        text = f"no value is of the {commits:,} commits of the line: {kept}"
    else:
        text = "there are no results of any commit: optbench nightly, asv run or optbench run"
    return "\n".join([text, *(f"  {name} {reason}" for name, reason in skipped[:8])])
