"""A history in words: the changes, by commit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import groupby

from optbench.reporting.numerals import significant
from optbench.tracking.history import SERIES, WORSE, Change, History, Kind

SHORT = 10
"""Characters of a hash that are shown."""

MOST = 12
"""Changes of a commit that are listed, unless all are asked for."""


def lines(found: History, subjects: Mapping[str, str], *, every: bool = False) -> Iterator[str]:
    """Yield the changes commit by commit, those for the worse first."""
    for commit, changes in groupby(found.changes, key=lambda change: change.likely):
        ordered = sorted(changes, key=_weight)
        yield f"{commit[:SHORT]} {subjects.get(commit, '')}".rstrip()
        shown = ordered if every else ordered[:MOST]
        yield from (f"  {each}" for each in map(told, shown))
        if len(shown) < len(ordered):
            yield f"  and {len(ordered) - len(shown)} more (--all shows them)"


def told(change: Change) -> str:
    """Return a change in a line."""
    what = " ".join(filter(None, (change.optimizer, change.problem, change.parameters)))
    words = f"{change.kind:<11} {change.metric:<16} {what}".rstrip()
    size = sized(change)
    if size:
        words += f"  {size}"
    if change.first != change.commit:
        words += f"  (in {commits_of(change.first, change.commit)})"
    if change.kind in WORSE and change.accepted:
        words += f"  accepted: {change.accepted}"
    elif change.kind in WORSE and not change.stands:
        words += "  fixed since"
    return words


def commits_of(first: str, last: str) -> str:
    """Return a commit, or a range of them as git takes it: one of these it is."""
    return last[:SHORT] if first == last else f"{first[:SHORT]}~1..{last[:SHORT]}"


def sized(change: Change) -> str:
    """After by before, with the interval where there is one."""
    if change.ratio != change.ratio or change.kind is Kind.CHANGED:
        return ""
    size = f"x{significant(change.ratio)}"
    if change.low == change.high:
        return size
    return f"{size} [{significant(change.low)}, {significant(change.high)}]"


def summary(found: History, commits: int) -> str:
    """Summarize the history: what was looked at, and what changed."""
    values = found.values
    series = values[SERIES].drop_duplicates()
    exact = int(series["exact"].astype(bool).sum())
    measured = values["commit"].nunique()
    parts = [
        f"{len(series):,} series over {measured:,} of {commits:,} commits: {exact:,} exact, "
        f"{len(series) - exact:,} measured"
    ]
    if found.too_short:
        parts[0] += f" ({found.too_short:,} of them on fewer than 8 commits: too few for a verdict)"
    machines = values["machine"].nunique()
    environments = values["environment"].nunique()
    if machines > 1 or environments > 1:
        parts.append(f"{machines} machines and {environments} environments, each on its own")
    parts += [f"{count:,} values {what} left out" for what, count in found.aside.items()]
    worse = [each for each in found.changes if each.kind in WORSE]
    new = len(found.regressions)
    parts.append(
        f"{len(found.changes):,} changes, {len(worse):,} for the worse, {new:,} of them open"
    )
    return "\n".join(parts)


def _weight(change: Change) -> tuple[bool, bool, float]:
    standing = change.stands and not change.accepted
    ratio = change.ratio if change.ratio == change.ratio else float("inf")
    return not (standing and change.kind in WORSE), change.kind not in WORSE, -ratio
