"""Sections as one HTML page that opens anywhere, and as Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from markupsafe import Markup

from optbench.reporting import style
from optbench.reporting.dark import DARK
from optbench.reporting.section import Plot, Section, unfolded
from optbench.reporting.style import Look
from optbench.reporting.svg import inline
from optbench.reporting.tables import Cell
from optbench.reporting.templating import templates


def plots(sections: Sequence[Section]) -> list[Plot]:
    """Every plot of a report, those within folds too, in the order of the page."""
    parts = (part for section in sections for part in unfolded(section.parts))
    return [part for part in parts if isinstance(part, Plot)]


def html(
    title: str,
    lead: Sequence[str],
    sections: Sequence[Section],
    drawings: Mapping[str, str],
    *,
    date: str = "",
    optimizers: Mapping[str, Look] | None = None,
    problems: Sequence[str] = (),
    data: bool = True,
) -> str:
    """One HTML file; it asks for nothing from elsewhere, and links to files beside it.

    All text is plain and escaped here. Without a script it can be read all the same.

    Parameters
    ----------
    title : str
    lead : sequence of str
        What the report comes to, a paragraph each.
    sections : sequence of Section
        Their names and those of their plots are anchors, and differ from one another.
    drawings : mapping of str to str
        By a plot's name: its document of `svg`.
    date : str
        Empty where there is none.
    optimizers : mapping of str to Look
        Those that the reader can show, hide and bring out, in this order.
    problems : sequence of str
        Those that the reader can look at alone.
    data : bool
        Whether the files of tables and figures lie beside the page, to be linked.

    Raises
    ------
    KeyError
        Where a plot has no drawing.
    """
    page = templates(autoescape=True).get_template("index.html.j2")
    # Markup: these documents are our own, and what came from outside was escaped in drawing.
    figures = {plot.name: Markup(inline(drawings[plot.name])) for plot in plots(sections)}
    swatches = [(name, look, _dash(look)) for name, look in (optimizers or {}).items()]
    return page.render(
        title=title,
        lead=lead,
        sections=sections,
        figures=figures,
        date=date,
        optimizers=swatches,
        problems=problems,
        colors=DARK,
        about=_about,
        data=data,
    )


def markdown(
    title: str,
    lead: Sequence[str],
    sections: Sequence[Section],
    *,
    date: str = "",
    data: bool = True,
) -> str:
    """Return the same in GitHub's Markdown, with the figures as pictures.

    Parameters are those of `html`.
    """
    text = templates(autoescape=False).get_template("report.md.j2")
    return text.render(title=title, lead=lead, sections=sections, date=date, data=data)


def _about(row: Sequence[Cell]) -> tuple[str, str]:
    """Return the optimizer and the problem that a row of a table is about; empty where none."""
    optimizer = next((cell.optimizer for cell in row if cell.optimizer), "")
    return optimizer, next((cell.problem for cell in row if cell.problem), "")


def _dash(look: Look) -> str:
    """Return a look's dash as SVG has it, for a line as thick as a swatch's."""
    return "" if look.dash == style.SOLID else " ".join(f"{2 * part:g}" for part in look.dash[1])
