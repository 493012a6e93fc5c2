"""The figures of a report, each with the words around it and the frame that it shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
from matplotlib.figure import Figure

from optbench import analysis
from optbench.analysis import Results
from optbench.report import (
    figure_convergence,
    figure_curves,
    figure_sensitivity,
    figure_trajectories,
    style,
)
from optbench.report.files import slug
from optbench.report.standings import HIGHLIGHTED, Standing, highlighted
from optbench.report.style import Look

ON_CONTOURS = ("sgd", "momentum", "rmsprop", "adagrad", "lion")
"""Those whose paths differ most; the baseline comes before them."""


@dataclass(frozen=True)
class Plot:
    """A figure, what it is called, how to read it, and its data."""

    name: str
    title: str
    caption: str
    alt: str
    figure: Figure
    data: pd.DataFrame

    @property
    def svg(self) -> str:
        """Where its file lies, seen from the page."""
        return f"figures/{self.name}.svg"

    @property
    def csv(self) -> str:
        """Where its data lies."""
        return f"tables/{self.name}.csv"


def convergence(
    one: Standing, results: Results, baseline: str, looks: Mapping[str, Look]
) -> Plot | None:
    """Small multiples of a league."""
    if not len(one.bands):
        return None
    chosen = highlighted(one, baseline)
    problems = _ran(results.problems, one.scores)
    return Plot(
        f"convergence-{one.name}",
        f"Convergence, {one.name} league",
        "One axis a problem. The line is the median over seeds of the gap divided by the run's "
        "initial gap, the band its quartiles; further down and to the left is better, and both "
        f"axes are logarithmic (floored at 1e-12). In colour: {_listed(chosen)}; every other "
        "optimizer is grey. The dotted line is the problem's headline target. A run that diverges "
        "counts as infinitely far away from then on, so a line that ends has lost half of its "
        f"seeds. Seeds: {one.seeds}.",
        f"Small multiples of median relative gap against gradient evaluations on "
        f"{len(problems)} problems, {one.name} league.",
        figure_convergence.convergence(one.bands, one.scores, problems, chosen, looks),
        one.bands,
    )


def sensitivity(results: Results, chosen: Sequence[str], looks: Mapping[str, Look]) -> Plot | None:
    """Learning rates of all problems."""
    table = analysis.sensitivity(results.runs)
    if not len(table):
        return None
    problems = _ran(results.problems, table)
    here = [name for name in chosen if name in set(table["optimizer"])]
    return Plot(
        "sensitivity",
        "Learning-rate sensitivity",
        "Median gradient evaluations to the headline target for each learning rate that was run, "
        "other hyperparameters at their defaults; lower is faster, and a wide valley forgives a "
        "wrong guess. A ring marks the optimizer's default rate. A line exists only where at "
        "least half of the seeds reach the target within the budget (dotted); where fewer "
        "do, the line breaks, and a default rate that misses is a cross in the strip above the "
        "budget. Where nothing reaches the target the axis shows the final gap by the initial one "
        f"instead and says so. In colour: {_listed(here)}.",
        f"Small multiples of median steps to target against learning rate on {len(problems)} "
        "problems.",
        figure_sensitivity.sensitivity(table, problems, here, looks),
        table,
    )


def trajectories(
    standings: Sequence[Standing],
    results: Results,
    grid: pd.DataFrame,
    problem: str,
    baseline: str,
    looks: Mapping[str, Look],
) -> Plot | None:
    """Paths of a few optimizers over the contours of one landscape."""
    seed = _common_seed(standings, problem)
    if seed is None:
        return None
    few = [baseline, *(name for name in ON_CONTOURS if name != baseline)]
    frames = []
    for one in standings:
        path = analysis.trajectories(one.league.runs, results.traces, problem, seed)
        path = path[path["optimizer"].isin(few)]
        frames.append((f"{one.name} learning rate", path.assign(league=one.name)))
    data = pd.concat([frame for _, frame in frames], ignore_index=True)
    shown = {name: looks[name] for name in few if name in set(data["optimizer"])}
    if not shown:
        return None
    return Plot(
        f"trajectory-{slug(problem)}",
        f"Trajectories on {problem}",
        "Where each optimizer went, from the same start (ring) towards the minimum (star), on "
        f"seed {seed}; its mark is where it ended. Contours are a decade of the gap apart, darker "
        "is lower. Points are the logged steps, joined by straight lines: between two of them the "
        "path may have swung. One seed is an illustration, not evidence.",
        f"Paths of {_listed(list(shown))} over the contours of {problem}.",
        figure_trajectories.trajectories(frames, grid, shown),
        data,
    )


def curves(
    standings: Sequence[Standing], results: Results, problem: str, baseline: str,
    looks: Mapping[str, Look],
) -> Plot | None:  # fmt: skip
    """Loss and error rate of a network."""
    about = results.problems[results.problems["problem"] == problem]
    minimum = float(about["minimum"].iloc[0])
    offset = minimum if minimum == minimum else 0.0
    panels: list[tuple[str, str, pd.DataFrame]] = []
    frames: list[pd.DataFrame] = []
    named: list[str] = []
    for one in standings:
        runs = one.league.runs[one.league.runs["problem"] == problem]
        for metric, label in (("gap", "held-out loss"), ("error_rate", "held-out error rate")):
            band = analysis.bands(runs, results.traces, metric)
            if not len(band):
                continue
            if metric == "gap":
                band[["low", "median", "high"]] += offset
            panels.append((f"{label.capitalize()}, {one.name}", label, band))
            frames.append(band.assign(league=one.name, metric=label))
            last = band[band["step"] == band["step"].max()].sort_values(["median", "optimizer"])
            named.extend(str(name) for name in last["optimizer"].head(HIGHLIGHTED - 2))
    if not panels:
        return None
    shown = set().union(*(frame["optimizer"] for frame in frames))
    base = dict(zip(results.runs["optimizer"], results.runs["base"], strict=True))
    chosen: list[str] = []
    for name in [baseline, *named]:
        # A variant computes what its base does; two lines on top of one another say nothing.
        if name in shown and base[name] not in {base[other] for other in chosen}:
            chosen.append(name)
    chosen = chosen[: HIGHLIGHTED + 1]
    return Plot(
        f"curves-{slug(problem)}",
        f"Curves of {problem}",
        "Median over seeds with quartile band, on data that no step has seen. The vertical "
        "axis is logarithmic; the names at the right stand where the lines end. In colour: the "
        "baseline and optimizers that end lowest. A line that breaks off has lost half of its "
        "seeds to divergence.",
        f"Held-out loss and error rate of {problem} against gradient evaluations.",
        figure_curves.curves(panels, chosen, looks),
        pd.concat(frames, ignore_index=True),
    )


def with_error_rate(results: Results) -> list[str]:
    """Problems that log a rate of errors."""
    traces = results.traces
    runs = traces.loc[(traces["metric"] == "error_rate").to_numpy(dtype=bool), "run"].unique()
    names = set(results.runs.loc[results.runs["run"].isin(runs), "problem"])
    return [str(name) for name in results.problems["problem"] if name in names]


def _ran(problems: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    return problems[problems["problem"].isin(table["problem"])].reset_index(drop=True)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(style.plain(name) for name in names)


def _common_seed(standings: Sequence[Standing], problem: str) -> int | None:
    """The least seed that every league scores on this problem, so that starts are the same."""
    sets = []
    for one in standings:
        runs = one.league.runs
        seeds = {int(seed) for seed in runs.loc[runs["problem"] == problem, "seed"]}
        if seeds:
            sets.append(seeds)
    common = set.intersection(*sets) if sets else set()
    return min(common) if common else None
