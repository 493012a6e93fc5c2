"""The history: which commit changed which metric."""

from __future__ import annotations

import pandas as pd

from optbench.reporting.figure_history import SERIES as KEY
from optbench.reporting.figure_history import history as draw
from optbench.reporting.history_text import SHORT, sized, summary
from optbench.reporting.material import Material
from optbench.reporting.section import Part, Plot, Section, Text
from optbench.reporting.tables import Column, Table, name, number
from optbench.tracking.history import SERIES, WORSE, Change, History

PANELS = 12
MOST = 40
"""Changes in the page's table; the data has all of them."""


def history(material: Material) -> Section | None:
    """Make changes in a table, the series with the largest in a figure; of two commits or more."""
    found = material.inputs.history
    commits = 0 if found is None else found.values["commit"].nunique()
    if found is None or commits < 2:
        return None
    told = summary(found, commits)
    parts: list[Part] = [Text(line[:1].upper() + line[1:] + ".") for line in told.split("\n")]
    ordered = sorted(found.changes, key=_weight)
    shown = _series(found, ordered)
    if len(shown):
        parts.append(
            Plot(
                "history-series",
                "Series with the largest changes",
                "One axis a series, commits in their order. A vertical line is a change point: "
                "exact metrics are compared with the commit measured before, timings by their "
                "level over several commits. Red is for the worse; the number is after by before.",
                _shows(found),
                f"{shown[SERIES].drop_duplicates().shape[0]} series of metrics over commits with "
                "change points.",
                draw(shown, found.frame()),
                shown.drop(columns=["samples"], errors="ignore"),
            )
        )
    if ordered:
        parts.append(_table(found, ordered, material))
    return Section("history", "History", tuple(parts))


def _weight(change: Change) -> tuple[bool, bool, float]:
    ratio = change.ratio if change.ratio == change.ratio else float("inf")
    return not (change.stands and not change.accepted), change.kind not in WORSE, -ratio


def _series(found: History, ordered: list[Change]) -> pd.DataFrame:
    """Return the series with the largest changes, or those with the most points."""
    keys = list(dict.fromkeys(tuple(getattr(c, column) for column in KEY) for c in ordered))
    if not keys:
        sizes = found.values.groupby(KEY, dropna=False).size().sort_values(ascending=False)
        keys = [key for key, size in sizes.items() if size > 1]
    wanted = pd.DataFrame(keys[:PANELS], columns=KEY)
    return found.values.merge(wanted, on=KEY) if len(wanted) else found.values.iloc[:0]


def _shows(found: History) -> str:
    worse = [each for each in found.changes if each.kind in WORSE]
    standing = found.regressions
    if not found.changes:
        return "No change was found."
    text = f"{len(found.changes)} changes, {len(worse)} for the worse; {len(standing)} stand"
    if standing:
        first = min(standing, key=_weight)
        what = " ".join(filter(None, (first.metric, first.optimizer, first.problem)))
        text += f"; the largest: {what}, {sized(first)} at {first.likely[:SHORT]}"
    return text + "."


def _table(found: History, ordered: list[Change], material: Material) -> Table:
    columns = [
        *(Column(text, number=False) for text in ("commit", "subject", "what", "metric")),
        *(Column(text, number=False) for text in ("optimizer", "problem", "parameters")),
        Column("after / before"),
        Column("state", number=False),
    ]
    lines = []
    for c in ordered[:MOST]:
        state = "accepted" if c.accepted else "open" if c.stands else "fixed since"
        bad = c.kind in WORSE and c.stands and not c.accepted
        lines.append(
            [
                name(c.likely[:SHORT]),
                name(material.inputs.subjects.get(c.likely, "")),
                name(str(c.kind), "bad" if bad else ""),
                name(c.metric),
                name(c.optimizer, optimizer=c.optimizer),
                name(c.problem, problem=c.problem),
                name(c.parameters),
                number(c.ratio, sized(c)),
                name(state if c.kind in WORSE else "", "bad" if bad else ""),
            ]
        )
    more = f" {len(ordered) - MOST} more are in the data." if len(ordered) > MOST else ""
    return Table(f"Changes, those that stand first.{more}", columns, lines, "history-changes",
                 found.frame(), text=True)  # fmt: skip
