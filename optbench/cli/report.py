"""``optbench report``: a page from a store."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from optbench.api.console import say
from optbench.cli.options import StoreOption
from optbench.defaults import ASV_RESULTS, DEFAULT_STORE, REPORT


def report(
    store: StoreOption = DEFAULT_STORE,
    baseline: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Optimizer that the others are compared with.",
            show_default="adam, where it was run",
        ),
    ] = None,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder to write to.")] = Path(
        REPORT
    ),
    asv: Annotated[
        Path | None,
        typer.Option(
            "--asv",
            metavar="DIR",
            help="Folder of asv's results, for step costs and history.",
            show_default=f"{ASV_RESULTS}, where it is",
        ),
    ] = None,
    compare: Annotated[
        list[Path] | None,
        typer.Option(
            "--compare", metavar="FILE", help="File of optbench compare --json. Repeatable."
        ),
    ] = None,
    data: Annotated[
        bool, typer.Option("--data/--no-data", help="Write tables as CSV and figures as SVG, too.")
    ] = True,
    compare_stores: Annotated[
        tuple[str, str] | None,
        typer.Option(
            "--compare-stores",
            metavar="A B",
            help="Compare two stores, the older first, in place of a report.",
        ),
    ] = None,
) -> None:
    """Write a report: one HTML page, Markdown, figures and tables.

    The same store gives the same bytes; a date stands in it only where SOURCE_DATE_EPOCH is set.
    """
    from optbench.api.report import compare_stores as write_two
    from optbench.api.report import report as write

    if compare_stores is not None:
        page = write_two(*compare_stores, out)
    else:
        page = write(store, out, baseline=baseline, asv=asv, comparisons=compare or (), data=data)
    say("the report:")
    typer.echo(page.resolve())
