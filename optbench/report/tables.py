"""Tables as rows of cells, for the page and for Markdown alike."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import pandas as pd

from optbench.analysis import League
from optbench.report import numerals
from optbench.report.numerals import MISSING
from optbench.report.rows import rows

TEXT_LENGTH = 400
"""Longest error text in the page; the CSV has all of it."""


@dataclass(frozen=True)
class Cell:
    """What is shown, what it sorts by (None: always last), and what it says on hovering."""

    text: str
    sort: float | str | None = None
    title: str = ""
    mark: str = ""


@dataclass(frozen=True)
class Column:
    """A heading, what it means, and whether it holds numbers."""

    text: str
    title: str = ""
    number: bool = True


@dataclass(frozen=True)
class Table:
    """A table with its data's path."""

    caption: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    csv: str = ""
    wide: bool = field(default=False)


def number(value: float, text: str, title: str = "", mark: str = "") -> Cell:
    """A cell that sorts by its value; a missing one comes last."""
    known = not math.isnan(value)
    return Cell(text if known else MISSING, float(value) if known else None, title, mark)


def name(text: str, mark: str = "") -> Cell:
    """A cell that sorts as text."""
    return Cell(text, text, mark=mark)


def summary_table(summary: pd.DataFrame, baseline: str, csv: str, caption: str) -> Table:
    """One row an optimizer, best first."""
    columns = [
        Column("optimizer", number=False),
        Column("solved", "problems on which at least half of the seeds reach the target"),
        Column("runs at target", "share of all (problem, seed) runs that reach the target"),
        Column(f"steps ÷ {baseline}", "median ratio of median steps to target, both solving"),
        Column("on", "problems that both solve"),
        Column("diverged", "runs"),
        Column("failed", "runs that ended in an exception"),
        Column(f"s/step ÷ {baseline}", "geometric mean of the ratio of seconds a step"),
        Column("state B/param", "bytes of optimizer state a parameter"),
    ]
    lines = []
    for row in rows(summary):
        steps_on, seconds_on = int(row.steps_problems), int(row.seconds_problems)
        lines.append(
            [
                name(row.optimizer, "baseline" if row.optimizer == baseline else ""),
                number(row.solved, f"{row.solved} of {row.problems}"),
                number(row.share, numerals.percent(row.share), f"{row.reached} of {row.runs} runs"),
                number(row.steps_ratio, numerals.ratio(row.steps_ratio)),
                number(steps_on, str(steps_on)),
                number(row.diverged, str(row.diverged), mark="bad" if row.diverged else ""),
                number(row.failed, str(row.failed), mark="bad" if row.failed else ""),
                number(
                    row.seconds_ratio,
                    numerals.ratio(row.seconds_ratio),
                    f"on {seconds_on} problems",
                ),
                number(row.state_bytes, numerals.significant(row.state_bytes)),
            ]
        )
    return Table(caption, columns, lines, csv)


def steps_table(
    scores: pd.DataFrame, problems: pd.DataFrame, order: Sequence[str], csv: str, caption: str
) -> Table:
    """Optimizers by problems: median steps to target; a miss is a dash and nothing else."""
    columns = [Column("optimizer", number=False)]
    for row in rows(problems):
        title = f"target {numerals.significant(row.target)}, budget {row.budget}"
        columns.append(Column(str(row.problem), title))
    cells: dict[tuple[str, str], Cell] = {}
    best = scores.groupby("problem")["median_steps"].min().to_dict()
    for row in rows(scores):
        said = [f"{row.reached} of {row.seeds} seeds reach the target"]
        if row.diverged:
            said.append(f"{row.diverged} diverged")
        if row.failed:
            said.append(f"{row.failed} failed")
        if not row.solved:
            said.append(f"median final gap {numerals.significant(row.median_gap)} of the initial")
        mark = "best" if row.median_steps == best[row.problem] else ""
        cells[row.optimizer, row.problem] = number(
            row.median_steps, numerals.integer(row.median_steps), "; ".join(said), mark
        )
    absent = Cell("", title="not run")
    lines = [
        [name(one), *(cells.get((one, str(problem)), absent) for problem in problems["problem"])]
        for one in order
    ]
    return Table(caption, columns, lines, csv, wide=True)


def choices_table(league: League, csv: str) -> Table:
    """What the tuned league chose."""
    columns = [
        Column("optimizer", number=False),
        Column("problem", number=False),
        Column("lr"),
        Column("other hyperparameters", number=False),
        Column("settings tried"),
        Column("edge of grid", "the best lr was the least or greatest tried", number=False),
    ]
    lines = [
        [
            name(row.optimizer),
            name(row.problem),
            number(row.lr, numerals.significant(row.lr)),
            name("" if row.hyperparameters == "{}" else row.hyperparameters),
            number(row.tried, str(row.tried)),
            name("edge" if row.at_edge else "", "bad"),
        ]
        for row in rows(league.choices)
    ]
    return Table("Chosen settings.", columns, lines, csv)


def plain_table(frame: pd.DataFrame, caption: str, csv: str = "") -> Table:
    """A frame as it is: text by name, numbers by value."""
    numeric = [
        pd.api.types.is_numeric_dtype(frame[column]) and frame[column].dtype != bool
        for column in frame.columns
    ]
    columns = [
        Column(str(one).replace("_", " "), number=is_number)
        for one, is_number in zip(frame.columns, numeric, strict=True)
    ]
    lines = []
    for record in rows(frame):
        row = []
        for value, is_number in zip(record, numeric, strict=True):
            if is_number:
                whole = float(value).is_integer()
                shown = numerals.integer(value) if whole else numerals.significant(float(value))
                row.append(number(float(value), shown))
            else:
                text = "" if value is None or value != value else str(value)
                cut = text if len(text) <= TEXT_LENGTH else text[: TEXT_LENGTH - 1] + "…"
                row.append(name(cut))
        lines.append(row)
    return Table(caption, columns, lines, csv)


def csv_text(frame: pd.DataFrame) -> str:
    """A frame as CSV, the same on every system; seeds as JSON lists."""
    shown = frame.copy()
    for column in shown.columns:
        if shown[column].map(lambda value: isinstance(value, tuple)).any():
            shown[column] = shown[column].map(json.dumps)
    text: str = shown.to_csv(index=False, lineterminator="\n")
    return text
