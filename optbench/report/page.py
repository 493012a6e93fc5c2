"""From results to files: index.html, report.md, figures and tables."""

from __future__ import annotations

import datetime
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from markupsafe import Markup

from optbench.analysis import Comparable, Results, comparable
from optbench.report import plots, tables
from optbench.report.errors import NothingToReport, UnknownBaseline
from optbench.report.files import Folder
from optbench.report.plots import Plot
from optbench.report.standings import Standing, highlighted, leagues, looks_of
from optbench.report.svg import inline, svg
from optbench.report.tables import Table
from optbench.report.templating import templates

FAILURES_SHOWN = 40

Progress = Callable[[str], None]


def write_report(
    results: Results,
    out: Path,
    *,
    baseline: str = "adam",
    landscapes: Mapping[str, pd.DataFrame] | None = None,
    command: str = "",
    progress: Progress | None = None,
) -> Path:
    """Write a report, and return the path of its page.

    Into ``out`` go ``index.html`` (self-contained), ``report.md``, ``figures/*.svg`` and
    ``tables/*.csv``; files of the same names are replaced, others are left alone. The same
    results give the same bytes; a date appears only where SOURCE_DATE_EPOCH gives one.

    Parameters
    ----------
    results : Results
    out : Path
        A folder; made if need be.
    baseline : str
        The optimizer that ratios refer to.
    landscapes : mapping of str to DataFrame
        By problem: ``x0``, ``x1``, ``value`` (the gap) on a regular grid, for contours.
    command : str
        How to repeat it, shown as it is.
    progress : callable
        Told what is being done.

    Raises
    ------
    NothingToReport
        Where there is not one run.
    UnknownBaseline
        Where the baseline has no runs.
    """
    say = progress or (lambda _: None)
    if not len(results.runs):
        raise NothingToReport
    say("comparing runs")
    chosen = comparable(results)
    kept = chosen.results
    present = {str(name) for name in kept.runs["optimizer"]}
    if baseline not in present:
        raise UnknownBaseline(baseline, present)
    standings, empty = leagues(kept, baseline)

    folder = Folder(Path(out))
    say("drawing figures")
    drawn = _plots(kept, standings, baseline, landscapes or {})
    documents: dict[str, str] = {}
    for plot in drawn:
        say(f"writing {plot.svg}")
        documents[plot.name] = svg(plot.figure, plot.name)
        folder.write(plot.svg, documents[plot.name])
        folder.write(plot.csv, tables.csv_text(plot.data))
    say("writing tables and pages")
    context = _context(results, chosen, standings, baseline, command, folder)
    context["empty"] = [
        {"name": league.name, "left_out": _left_out(league.left_out)} for league in empty
    ]
    context["plots"] = {plot.name: plot for plot in drawn}
    context["curves"] = [plot for plot in drawn if plot.name.startswith("curves-")]
    context["trajectories"] = [plot for plot in drawn if plot.name.startswith("trajectory-")]

    # Markup: these documents are our own, and what came from outside was escaped in drawing.
    inlined = {name: Markup(inline(text)) for name, text in documents.items()}
    page = templates(autoescape=True).get_template("index.html.j2")
    text = templates(autoescape=False).get_template("report.md.j2")
    folder.write("report.md", text.render(context))
    return folder.write("index.html", page.render(context, svg=inlined))


def _plots(
    results: Results,
    standings: list[Standing],
    baseline: str,
    landscapes: Mapping[str, pd.DataFrame],
) -> list[Plot]:
    looks = looks_of(results.runs)
    found: list[Plot | None] = [
        plots.convergence(one, results, baseline, looks) for one in standings
    ]
    if standings:
        # The tuned league, which comes last, says best who deserves a colour here.
        shown = highlighted(standings[-1], baseline)
        found.append(plots.sensitivity(results, shown, looks))
    for problem, grid in sorted(landscapes.items()):
        if problem in set(results.problems["problem"]):
            found.append(plots.trajectories(standings, results, grid, problem, baseline, looks))
    for problem in plots.with_error_rate(results):
        found.append(plots.curves(standings, results, problem, baseline, looks))
    return [plot for plot in found if plot is not None]


def _context(
    everything: Results,
    chosen: Comparable,
    standings: list[Standing],
    baseline: str,
    command: str,
    folder: Folder,
) -> dict[str, Any]:
    results = chosen.results
    runs = results.runs

    def table(name: str, frame: pd.DataFrame) -> str:
        path = f"tables/{name}.csv"
        folder.write(path, tables.csv_text(frame))
        return path

    sections = []
    for one in standings:
        sections.append(
            {
                "name": one.name,
                "leaders": one.leaders,
                "seeds": one.seeds,
                "summary": tables.summary_table(
                    one.summary, baseline, table(f"summary-{one.name}", one.summary),
                    f"Summary, {one.name} league.",
                ),
                "steps": tables.steps_table(
                    one.scores, results.problems, one.order,
                    table(f"steps-{one.name}", one.scores),
                    f"Median gradient evaluations to the headline target, {one.name} league.",
                ),
                "choices": tables.choices_table(
                    one.league, table(f"choices-{one.name}", one.league.choices)
                ) if one.name == "tuned" else None,
                "tried": _range(one.league.choices["tried"]),
                "edges": int(one.league.choices["at_edge"].sum()),
                "pairs": len(one.league.choices),
                "left_out": _left_out(one.league.left_out),
            }
        )  # fmt: skip
    # A failure is told also where its runs are left out of the comparison.
    failures = _failures(everything.runs)
    used = results.environments[results.environments["environment"].isin(runs["environment"])]
    status = runs["status"].value_counts()
    return {
        "baseline": baseline,
        "command": command,
        "date": _date(),
        "counts": {
            "runs": len(runs),
            "optimizers": runs["optimizer"].nunique(),
            "problems": runs["problem"].nunique(),
            "families": runs["family"].nunique(),
            "seeds": runs["seed"].nunique(),
            **{name: int(status.get(name, 0)) for name in ("ok", "diverged", "failed")},
        },
        "arithmetic": f"{runs['dtype'].iloc[0]} on {runs['device'].iloc[0]}",
        "environments": tables.plain_table(used, "Environments.", table("environments", used)),
        "problems": _problem_table(results, table("problems", results.problems)),
        "left_out": tables.plain_table(
            chosen.left_out, "Runs left out.", table("left-out", chosen.left_out)
        ),
        "leagues": sections,
        "failures": tables.plain_table(
            failures.head(FAILURES_SHOWN), "Failed runs.", table("failures", failures)
        ),
        "failures_more": max(0, len(failures) - FAILURES_SHOWN),
        "runs_csv": table("runs", runs),
    }


def _problem_table(results: Results, csv: str) -> Table:
    columns = ["problem", "family", "data", "dimension", "target", "budget", "summary", "cite"]
    shown = results.problems[columns].rename(columns={"cite": "source"})
    return tables.plain_table(shown, "Problems.", csv)


def _failures(runs: pd.DataFrame) -> pd.DataFrame:
    failed = runs[runs["status"] == "failed"]
    text = failed["error"].astype(object).where(failed["error"].notna(), "no text")
    columns = ["optimizer", "problem", "error"]
    counted = failed.assign(error=text.astype(str)).groupby(columns).size()
    return counted.rename("runs").reset_index()


def _left_out(frame: pd.DataFrame) -> list[str]:
    """A sentence a reason, naming the pairs in short."""
    sentences = []
    for reason, group in frame.groupby("reason"):
        names = sorted({str(name) for name in group["optimizer"]})
        some = ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
        count = len(group)
        sentences.append(f"{count} optimizer-problem pairs left out: {reason} ({some})")
    return sentences


def _range(values: pd.Series[int]) -> str:
    low, high = int(values.min()), int(values.max())
    return str(low) if low == high else f"{low} to {high}"


def _date() -> str:
    epoch = os.environ.get("SOURCE_DATE_EPOCH", "")
    if not epoch.isdecimal():
        return ""
    return datetime.datetime.fromtimestamp(int(epoch), datetime.UTC).strftime("%Y-%m-%d")
