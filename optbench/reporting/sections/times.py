"""Time to target: in a figure and in a table, misses apart."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from optbench import analysis
from optbench.reporting import numerals
from optbench.reporting.figure_times import times as draw
from optbench.reporting.material import Material
from optbench.reporting.rows import rows
from optbench.reporting.section import Fold, Part, Plot, Section, Text
from optbench.reporting.standings import Standing
from optbench.reporting.tables import Cell, Column, Table, name, number

MOST = 10
"""Optimizers in a small axis; the table has all of them."""


def times(material: Material) -> Section:
    """Make the figure for the best, the tables for all."""
    one = material.main
    runs = one.league.runs[one.league.runs["optimizer"].isin(one.bases)]
    first = material.colored
    order = [*first, *(name for name in one.bases if name not in first)][:MOST]
    order.sort(key=one.order.index)
    problems = material.problems_of(runs)
    ert = analysis.expected_running_time(runs)
    parts: list[Part] = [
        Plot(
            "times",
            f"Time to target, {one.name} league",
            f"One axis a problem, one line an optimizer, of those with the largest areas "
            f"({len(order)} of {len(one.bases)}; the table has all): the dot is the median over "
            "seeds of the gradient evaluations to the headline target, the bar the quartiles. "
            "Seeds that do not arrive are counted in the column at the right: they have no place "
            "on the axis, and drag the median out of it where they are half.",
            _shows(ert, one),
            f"Steps to target of {len(order)} optimizers on {len(problems)} problems, with misses "
            "in a column of their own.",
            draw(runs, problems, order, first, material.looks),
            ert,
        )
    ]
    for league in reversed(material.standings):
        table = steps_table(league, material.results.problems)
        if league is one:
            parts += [
                Text(
                    "The fewest on each problem are marked. — means that fewer than half of the "
                    "seeds reached the target; an empty cell was not run.",
                    note=True,
                ),
                table,
            ]
        else:
            parts.append(Fold(f"The same in the {league.name} league", (table,)))
    return Section("time-to-target", "Time to target", tuple(parts))


def steps_table(one: Standing, problems: pd.DataFrame) -> Table:
    """Optimizers by problems: median steps to target; a miss is a dash and nothing else."""
    scores = one.scores
    columns = [Column("optimizer", number=False)]
    for row in rows(problems):
        title = f"target {numerals.significant(row.target)}, budget {row.budget}"
        columns.append(Column(str(row.problem), title, problem=str(row.problem)))
    cells: dict[tuple[str, str], Cell] = {}
    best = scores.groupby("problem")["median_steps"].min().to_dict()
    for row in rows(scores):
        said = [f"{row.reached} of {row.seeds} seeds reach the target"]
        if row.diverged:
            said.append(f"{row.diverged} diverged")
        if row.failed:
            said.append(f"{row.failed} failed")
        if not row.solved:
            gap = numerals.significant(row.median_gap)
            said.append(f"median final gap {gap} times the initial gap")
        mark = "best" if row.median_steps == best[row.problem] else ""
        cells[row.optimizer, row.problem] = number(
            row.median_steps, numerals.integer(row.median_steps), "; ".join(said), mark
        )
    absent = Cell("", title="not run")
    named: Sequence[str] = [str(problem) for problem in problems["problem"]]
    lines = [
        [name(each, optimizer=each), *(cells.get((each, problem), absent) for problem in named)]
        for each in one.order
    ]
    caption = f"Median gradient evaluations to the headline target, {one.name} league."
    return Table(caption, columns, lines, f"steps-{one.name}", scores, wide=True)


def _shows(ert: pd.DataFrame, one: Standing) -> str:
    total = ert.groupby("optimizer")[["reached", "runs"]].sum()
    share = (total["reached"] / total["runs"]).reindex(one.alike)
    most = share[share == share.max()]
    names = " and ".join(str(name) for name in most.index)
    hardest = ert.groupby("problem")[["reached", "runs"]].sum()
    hardest = (hardest["reached"] / hardest["runs"]).sort_values(kind="stable")
    return (
        f"Fewest misses, of those that ran on all problems: {names}, of whose runs "
        f"{100 * share.max():.0f} % arrive. Hardest: "
        f"{hardest.index[0]}, where {100 * hardest.iloc[0]:.0f} % of all runs do. The data has the "
        "expected running time too (all evaluations spent, by runs that arrived)."
    )
