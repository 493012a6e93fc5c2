"""Networks: held-out loss and error rate, by gradient evaluation and by second."""

from __future__ import annotations

import pandas as pd

from optbench import analysis
from optbench.reporting.figure_curves import curves as draw
from optbench.reporting.files import slug
from optbench.reporting.material import Material
from optbench.reporting.section import Part, Plot, Section
from optbench.reporting.standings import HIGHLIGHTED, Standing

BY_SECOND = "mnist-mlp"
"""Drawn by second too: the problem whose steps cost what a user's do."""

SCORED = (("gap", "held-out loss"), ("error_rate", "held-out error rate"))


def networks(material: Material) -> Section | None:
    """Make a figure for every problem that logs an error rate."""
    parts: list[Part] = []
    for problem in with_error_rate(material):
        plot = _plot(material, problem, seconds=False)
        if plot is not None:
            parts.append(plot)
        if problem == BY_SECOND and (timed := _plot(material, problem, seconds=True)):
            parts.append(timed)
    if not parts:
        return None
    return Section("networks", "MNIST: loss and error rate", tuple(parts), "MNIST")


def with_error_rate(material: Material) -> list[str]:
    """Problems on held-out digits that log a rate of errors."""
    traces, results = material.results.traces, material.results
    runs = traces.loc[(traces["metric"] == "error_rate").to_numpy(dtype=bool), "run"].unique()
    names = set(results.runs.loc[results.runs["run"].isin(runs), "problem"])
    digits = results.problems[results.problems["data"].astype(str).str.startswith("mnist")]
    return [str(name) for name in digits["problem"] if name in names]


def _plot(material: Material, problem: str, *, seconds: bool) -> Plot | None:
    about = material.results.problems.set_index("problem").loc[problem]
    bound = bool(about["minimum_is_bound"])
    panels: list[tuple[str, str, pd.DataFrame]] = []
    frames: list[pd.DataFrame] = []
    for one in reversed(material.standings):
        for metric, label in SCORED:
            band = _band(material, one, problem, metric)
            if band.empty:
                continue
            # What stands above a lower bound of 0 is the loss itself.
            shown = label if metric != "gap" or bound else "training loss above its minimum"
            panels.append((f"{shown.capitalize()}, {one.name}", shown, band))
            frames.append(band.assign(league=one.name, metric=shown))
    if not panels:
        return None
    data = pd.concat(frames, ignore_index=True)
    chosen = _chosen(material, panels)
    cost = _seconds(material.main, problem) if seconds else None
    by = "second" if seconds else "gradient evaluation"
    reading = (
        "Median over seeds with quartile band, on data that no step has seen. The vertical axis is "
        "logarithmic; the names at the right stand where the lines end. In colour: "
        f"{material.baseline} and those that end lowest. A line that breaks off has lost half of "
        "its seeds to divergence."
    )
    if seconds:
        reading += (
            " Seconds are gradient evaluations times the median seconds of a training step of one "
            "run alone, on the machines above; they hold there only."
        )
    return Plot(
        f"{'seconds' if seconds else 'curves'}-{slug(problem)}",
        f"{problem}, by {by}",
        reading,
        _at_equal_time(material, problem, cost) if cost else _shows(material, problem),
        f"Loss and error rate of {problem} by {by}.",
        draw(panels, chosen, material.looks, cost),
        data,
    )


def _band(material: Material, one: Standing, problem: str, metric: str) -> pd.DataFrame:
    """Return the medians of a metric on a problem, over the runs of a league without variants."""
    runs = one.league.runs
    runs = runs[((runs["problem"] == problem) & (runs["variant"] == "")).to_numpy(dtype=bool)]
    return analysis.bands(runs, material.results.traces, metric)


def _chosen(material: Material, panels: list[tuple[str, str, pd.DataFrame]]) -> list[str]:
    """Return the baseline and what ends lowest in some panel."""
    named: list[str] = []
    for _, _, band in panels:
        last = band[band["step"] == band["step"].max()].sort_values(["median", "optimizer"])
        named += [str(name) for name in last["optimizer"].head(HIGHLIGHTED - 2)]
    present = {str(name) for _, _, band in panels for name in band["optimizer"]}
    return [n for n in dict.fromkeys((material.baseline, *named)) if n in present][:HIGHLIGHTED]


def _seconds(one: Standing, problem: str) -> dict[str, float]:
    runs = one.league.runs
    timed = runs[(runs["problem"] == problem) & (runs["seconds_per_step"] > 0)]
    median = timed.groupby("optimizer")["seconds_per_step"].median()
    return {str(name): float(value) for name, value in median.items()}


def _at_equal_time(material: Material, problem: str, cost: dict[str, float]) -> str:
    """Return the lowest error within the time that the fastest optimizer takes for its steps."""
    one = material.main
    band = _band(material, one, problem, "error_rate")
    band = band[band["optimizer"].isin(cost)]
    if band.empty:
        return ""
    seconds = band["step"] * band["optimizer"].map(cost)
    time = float(seconds.groupby(band["optimizer"]).max().min())
    last = band[seconds <= time * (1 + 1e-9)].drop_duplicates("optimizer", keep="last")
    first = last.sort_values(["median", "optimizer"]).iloc[0]
    quickest = min(cost, key=lambda name: (cost[name], name))
    said = (
        f"In {time:.2f} seconds, in which {quickest} is through with its budget, "
        f"{first['optimizer']} has the lowest median error in the {one.name} league, "
        f"{_percent(first)}, after {int(first['step']):,} evaluations"
    )
    own = last[(last["optimizer"] == material.baseline).to_numpy(dtype=bool)]
    if len(own) and first["optimizer"] != material.baseline:
        said += f"; {material.baseline} has {_percent(own.iloc[0])}"
    return said + "."


def _shows(material: Material, problem: str) -> str:
    """Return the lowest error at the end, and the baseline's."""
    one = material.main
    band = _band(material, one, problem, "error_rate")
    if band.empty:
        return ""
    last = band[band["step"] == band["step"].max()].sort_values(["median", "optimizer"])
    first = last.iloc[0]
    said = (
        f"After {int(first['step']):,} evaluations {first['optimizer']} has the lowest median "
        f"error in the {one.name} league, {_percent(first)} over {int(first['seeds'])} seeds"
    )
    own = last[(last["optimizer"] == material.baseline).to_numpy(dtype=bool)]
    if len(own) and first["optimizer"] != material.baseline:
        said += f"; {material.baseline} has {_percent(own.iloc[0])}"
    return said + "."


def _percent(row: pd.Series[float]) -> str:
    return f"{100 * row['median']:.1f} % [{100 * row['low']:.1f}, {100 * row['high']:.1f}]"
