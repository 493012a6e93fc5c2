"""From results to files: index.html, report.md, figures and tables."""

from __future__ import annotations

import datetime
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from optbench.analysis import Results, comparable
from optbench.reporting import render, tables
from optbench.reporting.errors import NothingToReport, UnknownBaseline
from optbench.reporting.files import Folder
from optbench.reporting.headline import verdict
from optbench.reporting.material import Material, ReportInputs
from optbench.reporting.section import Section, unfolded
from optbench.reporting.sections import SECTIONS, WITHOUT_A_LEAGUE
from optbench.reporting.standings import leagues, looks_of
from optbench.reporting.style import Look
from optbench.reporting.svg import png, svg
from optbench.reporting.tables import Table

Progress = Callable[[str], None]


def write_report(
    results: Results,
    out: Path,
    *,
    baseline: str = "adam",
    inputs: ReportInputs | None = None,
    data: bool = True,
    progress: Progress | None = None,
) -> Path:
    """Write a report, and return the path of its page.

    Into ``out`` go ``index.html`` (self-contained), ``report.md``, ``figures/`` (SVG and PNG) and
    ``tables/`` (CSV); files of the same names are replaced, others are left alone. The same
    results give the same bytes; a date appears only where SOURCE_DATE_EPOCH gives one.

    Parameters
    ----------
    results : Results
    out : Path
        A folder; made if need be.
    baseline : str
        The optimizer that the others are compared with.
    inputs : ReportInputs
        What is drawn and does not come from the store.
    data : bool
        Write tables and SVG files too; without, the page and the Markdown with its pictures.
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
    say("comparing runs")
    material = gather(results, baseline, inputs or ReportInputs())
    left = {str(name) for name in material.results.runs["optimizer"]}
    if baseline not in left:
        raise UnknownBaseline(baseline, left)
    folder = Folder(Path(out))
    say("drawing figures")
    wanted = SECTIONS if material.standings else WITHOUT_A_LEAGUE
    sections = [made for each in wanted if (made := each(material)) is not None]
    order = material.main.bases if material.standings else []
    if data:
        folder.write("tables/runs.csv", tables.csv_text(material.results.runs))
    return write_pages(
        folder,
        Page(
            f"Optimizers compared: {baseline} and the alternatives",
            verdict(material),
            sections,
            {name: material.looks[name] for name in order},
            [str(name) for name in material.results.problems["problem"]],
        ),
        say,
        data=data,
    )


def gather(results: Results, baseline: str, inputs: ReportInputs) -> Material:
    """Keep what can be compared, and score it.

    Raises
    ------
    NothingToReport, UnknownBaseline
    """
    if not len(results.runs):
        raise NothingToReport
    present = {str(name) for name in results.runs["optimizer"]}
    if baseline not in present:
        raise UnknownBaseline(baseline, present)
    chosen = comparable(results, baseline)
    standings, empty = leagues(chosen.results, baseline)
    looks = looks_of(chosen.results.runs)
    return Material(results, chosen, standings, empty, baseline, looks, inputs)


@dataclass(frozen=True)
class Page:
    """All that a page says.

    Attributes
    ----------
    title : str
    lead : sequence of str
        What it comes to.
    sections : sequence of Section
    optimizers : mapping of str to Look
        Those that the reader can show, hide and bring out.
    problems : sequence of str
        Those that the reader can look at alone.
    """

    title: str
    lead: Sequence[str]
    sections: Sequence[Section]
    optimizers: Mapping[str, Look]
    problems: Sequence[str]


def write_pages(folder: Folder, page: Page, say: Progress, *, data: bool = True) -> Path:
    """Figures, tables, Markdown and the page itself."""
    drawings: dict[str, str] = {}
    for plot in render.plots(page.sections):
        say(f"writing {plot.svg}")
        drawings[plot.name] = svg(plot.figure, plot.name)
        folder.write(plot.png, png(plot.figure))
        if data:
            folder.write(plot.svg, drawings[plot.name])
            folder.write(plot.csv, tables.csv_text(plot.data))
    say("writing tables and pages")
    for part in unfolded(part for section in page.sections for part in section.parts):
        if data and isinstance(part, Table) and part.data is not None:
            folder.write(part.csv, tables.csv_text(part.data))
    date = _date()
    words = (page.title, page.lead, page.sections)
    folder.write("report.md", render.markdown(*words, date=date, data=data))
    text = render.html(
        *words,
        drawings,
        date=date,
        optimizers=page.optimizers,
        problems=page.problems,
        data=data,
    )
    return folder.write("index.html", text)


def _date() -> str:
    epoch = os.environ.get("SOURCE_DATE_EPOCH", "")
    if not epoch.isdecimal() or int(epoch) > LAST_SECOND:
        return ""
    return datetime.datetime.fromtimestamp(int(epoch), datetime.UTC).strftime("%Y-%m-%d")


LAST_SECOND = 253_402_300_799
"""Last second of the year 9999, after which a date has no name."""
