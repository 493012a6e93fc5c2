"""The headline figure: what is attained within a share of the budget."""

from __future__ import annotations

import pandas as pd

from optbench.reporting.figure_attainment import draw_attainment
from optbench.reporting.material import Material
from optbench.reporting.numerals import interval
from optbench.reporting.rows import rows
from optbench.reporting.section import Part, Plot, Section, Text
from optbench.reporting.standings import Standing

READING = (
    "Across: the share of each problem's budget of gradient evaluations, on a logarithmic axis. "
    "Up: the share of all targets, easy and hard, that the seeds have reached by then, each "
    "problem weighing the same; further up and to the left is better. Bands are 95 % intervals "
    "over seeds; the cross is the end of the budget. An optimizer's curve does not depend on "
    "which others took part."
)


def attained(material: Material) -> Section | None:
    """Make a figure a league."""
    parts: list[Part] = []
    for one in reversed(material.standings):
        comparable = one.alike
        apart = [name for name in one.bases if name not in comparable]
        if apart:
            parts.append(
                Text(
                    f"Not drawn, since they ran on other problems than {material.baseline}: "
                    f"{', '.join(apart)}. Their areas are in the ranking.",
                    note=True,
                )
            )
        if not comparable:  # every name in the store is a variant's
            continue
        curves = one.curves[one.curves["optimizer"].isin(comparable)]
        colored = [name for name in material.colored if name in comparable]
        parts.append(
            Plot(
                f"attained-{one.name}",
                f"Attained targets, {one.name} league",
                READING,
                _shows(one, comparable, material.baseline),
                f"Share of attained targets against share of the budget for {len(comparable)} "
                f"optimizers, {one.name} league.",
                draw_attainment(curves, colored, material.looks),
                curves,
            )
        )
    return Section("attained", "Attained targets", tuple(parts)) if parts else None


def _shows(one: Standing, names: list[str], baseline: str) -> str:
    table = one.areas[one.areas["optimizer"].isin(names)]
    first = table.iloc[0]
    said = f"Largest area: {first['optimizer']}, {_area(first)}"
    own = table[table["optimizer"] == baseline]
    if len(own) and first["optimizer"] != baseline:
        place = names.index(baseline) + 1
        said += f"; {baseline} is number {place} of {len(names)}, {_area(own.iloc[0])}"
    overlapping = [str(row.optimizer) for row in rows(table.iloc[1:]) if row.high >= first["low"]]
    if overlapping:
        said += f". Intervals that overlap with the first: {', '.join(overlapping[:6])}"
        said += f" and {len(overlapping) - 6} more" if len(overlapping) > 6 else ""
    return said + "."


def _area(row: pd.Series[float]) -> str:
    return f"{row['area']:.3f} {interval(row['low'], row['high'], 3)}"
