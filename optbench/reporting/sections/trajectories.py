"""Paths over the contours of landscapes of two dimensions."""

from __future__ import annotations

import pandas as pd

from optbench import analysis
from optbench.reporting.figure_trajectories import trajectories as draw
from optbench.reporting.files import slug
from optbench.reporting.material import Material
from optbench.reporting.section import Plot, Section

FEW = ("sgd", "momentum", "rmsprop", "adagrad", "lion")
"""Optimizers whose paths differ most; the baseline comes before them."""


def trajectories(material: Material) -> Section | None:
    """Make a figure a landscape."""
    known = set(material.results.problems["problem"])
    grids = material.inputs.landscapes
    plots = [_plot(material, name, grids[name]) for name in sorted(grids) if name in known]
    drawn = tuple(plot for plot in plots if plot is not None)
    return Section("trajectories", "Trajectories", drawn) if drawn else None


def _plot(material: Material, problem: str, grid: pd.DataFrame) -> Plot | None:
    seed = _common_seed(material, problem)
    if seed is None:
        return None
    few = [material.baseline, *(name for name in FEW if name != material.baseline)]
    frames = []
    for one in material.standings:
        path = analysis.trajectories(one.league.runs, material.results.traces, problem, seed)
        path = path[path["optimizer"].isin(few)]
        frames.append((f"{one.name} learning rate", path.assign(league=one.name)))
    data = pd.concat([frame for _, frame in frames], ignore_index=True)
    shown = {name: material.looks[name] for name in few if name in set(data["optimizer"])}
    if not shown:
        return None
    return Plot(
        f"trajectory-{slug(problem)}",
        f"Trajectories on {problem}",
        "Where each optimizer went, from the same start (ring) towards the minimum (star); its "
        "mark is where it ended. Contours are a decade of the gap apart, darker is lower. Points "
        "are the logged steps, joined by straight lines: between two of them the path may have "
        "swung, and what leaves the frame is cut off. One seed is an illustration, not evidence.",
        f"Seed {seed}. {_ends(data)}",
        f"Paths of {', '.join(shown)} over the contours of {problem}.",
        draw(frames, grid, shown),
        data,
    )


def _ends(data: pd.DataFrame) -> str:
    """Who arrives in each league."""
    said = []
    for league, part in data.groupby("league", sort=False):
        ends = part.drop_duplicates("optimizer", keep="last")
        there = ends.loc[ends["steps_to_target"].notna(), "optimizer"]
        names = f" ({', '.join(there)})" if 0 < len(there) < len(ends) else ""
        said.append(f"in the {league} league {len(there)} of {len(ends)} reach the target{names}")
    text = "; ".join(said)
    return text[:1].upper() + text[1:] + "."


def _common_seed(material: Material, problem: str) -> int | None:
    """Return the smallest seed that every league scores on this problem, for equal starts."""
    sets = []
    for one in material.standings:
        runs = one.league.runs
        seeds = {int(seed) for seed in runs.loc[runs["problem"] == problem, "seed"]}
        if seeds:
            sets.append(seeds)
    common = set.intersection(*sets) if sets else set()
    return min(common) if common else None
