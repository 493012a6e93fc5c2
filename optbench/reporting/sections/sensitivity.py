"""What the learning rate does."""

from __future__ import annotations

import pandas as pd

from optbench import analysis
from optbench.reporting.figure_sensitivity import sensitivity as draw
from optbench.reporting.material import Material
from optbench.reporting.section import Plot, Section


def sensitivity(material: Material) -> Section | None:
    """One figure over all problems."""
    runs = material.results.runs
    table = analysis.sensitivity(runs[(runs["variant"] == "").to_numpy(dtype=bool)])
    if table.empty:
        return None
    problems = material.problems_of(table)
    shown = [name for name in material.colored if name in set(table["optimizer"])]
    plot = Plot(
        "sensitivity",
        "Learning-rate sensitivity",
        "Median gradient evaluations to the headline target for each learning rate that was run, "
        "other hyperparameters at their defaults; lower is faster, and a wide valley forgives a "
        "wrong guess. A ring marks the optimizer's default rate. A line exists only where at "
        "least half of the seeds reach the target within the budget (dotted); where fewer do, the "
        "line breaks, and a default rate that misses is a cross in the strip above the budget. "
        "Where nothing reaches the target the axis shows the final gap by the initial one instead "
        f"and says so. In colour: {', '.join(shown)}.",
        _shows(table, shown),
        f"Small multiples of median steps to target against learning rate on {len(problems)} "
        "problems.",
        draw(table, problems, shown, material.looks),
        table,
    )
    return Section("learning-rates", "Learning-rate sensitivity", (plot,), "Learning rates")


def _shows(table: pd.DataFrame, names: list[str]) -> str:
    """How wide the valleys are: the share of the tried rates that solve."""
    said = []
    for name in names:
        own = table[table["optimizer"] == name]
        solved = int(own["solved"].sum())
        at_default = own[own["default"].astype(bool)]
        said.append(
            f"{name}: {100 * solved / len(own):.0f} % of its rates, the default on "
            f"{int(at_default['solved'].sum())} of {len(at_default)} problems"
        )
    return f"Rates at which at least half of the seeds reach the target: {'; '.join(said)}."
