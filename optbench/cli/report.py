"""``optbench report``: a page from a store."""

from __future__ import annotations

import contextlib
import gc
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from optbench.cli.console import doing, say
from optbench.cli.options import StoreOption
from optbench.defaults import ASV_RESULTS, DEFAULT_STORE

if TYPE_CHECKING:
    from optbench.analysis import Results
    from optbench.reporting import Beside
    from optbench.tracking.repository_history import Past


def report(
    store: StoreOption = DEFAULT_STORE,
    baseline: Annotated[
        str,
        typer.Option(metavar="NAME", help="The optimizer that the others are compared with."),
    ] = "adam",
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Folder to write to; made if need be.")
    ] = Path("reports/latest"),
    asv: Annotated[
        Path | None,
        typer.Option(
            "--asv",
            metavar="DIR",
            help="asv's results, for the cost of a step and the history.",
            show_default=f"{ASV_RESULTS}, where it is",
        ),
    ] = None,
    compare: Annotated[
        list[Path] | None,
        typer.Option(
            "--compare", metavar="FILE", help="What optbench compare --json wrote. Repeat."
        ),
    ] = None,
    data: Annotated[
        bool,
        typer.Option(
            "--data/--no-data",
            help="Tables as CSV and figures as SVG beside the page, which links them.",
        ),
    ] = True,
    compare_stores: Annotated[
        tuple[str, str] | None,
        typer.Option(
            "--compare-stores",
            metavar="A B",
            help="Two stores side by side, the older first, instead of a report of one.",
        ),
    ] = None,
) -> None:
    """Write a report: one index.html that opens anywhere, report.md, figures and tables.

    The same store gives the same bytes; a date stands in it only where SOURCE_DATE_EPOCH is set.
    """
    if compare_stores is not None:
        from optbench.cli.side_by_side import write_side_by_side

        page = write_side_by_side(*compare_stores, out)
    else:
        page = write(store, out, baseline=baseline, asv=asv, compare=compare or (), data=data)
    say("the report:")
    typer.echo(page.resolve())


def write(
    store: str,
    out: Path,
    *,
    baseline: str = "adam",
    asv: Path | None = None,
    compare: Sequence[Path] = (),
    data: bool = True,
    repository: Path | None = None,
    told: Past | None = None,
) -> Path:
    """Write the report of a store to a folder; gives the page.

    The history is what was told, or that of the repository, or of the one that one stands in.
    """
    from optbench import load

    with doing("reading the store"):
        results = load(store)
    from optbench.cli.beside import asv_of, past_of
    from optbench.cli.wrong_use import WrongUse
    from optbench.reporting import write_report

    options = [f"--baseline {shlex.quote(baseline)}"]
    options += [f"--compare {shlex.quote(str(file))}" for file in compare]
    if asv is not None:
        options.append(f"--asv {shlex.quote(str(asv))}")
    top = repository or Path.cwd()
    command = f"optbench report --store {shlex.quote(shown(store, top))} {' '.join(options)}"
    asv = asv or asv_of(top)
    told = told or past_of(top, results, store, asv)
    laid_beside = beside(results, asv, compare, told, command)
    try:
        with doing("drawing") as show, without_collector():
            return write_report(
                results,
                out,
                baseline=baseline,
                beside=laid_beside,
                data=data,
                progress=show,
            )
    except OSError as error:
        raise WrongUse(f"cannot write the report to {out}: {error}") from error


@contextlib.contextmanager
def without_collector() -> Iterator[None]:
    """No search for garbage meanwhile: figures are hundreds of thousands of objects that all live
    until they are written, and to look through them over and over takes a sixth of the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def shown(store: str, top: Path) -> str:
    """A store as it may be shown around: without what a URL may hold of users and passwords.

    Of a path within ``top`` the rest, of any other the file's name.
    """
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    if "://" in store:
        try:
            url = make_url(store)
            bare = url._replace(username=None, password=None, query={}, host=_last(url.host))  # type: ignore[arg-type]
            return bare.render_as_string()
        # A port that is no number, half a character.
        except (ArgumentError, ValueError):
            return "a store"
    file = Path(store)
    if not file.is_absolute():
        return store
    return str(file.relative_to(top)) if file.is_relative_to(top) else file.name


def _last(host: str | None) -> str | None:
    """A host without what stands before an @ that belongs to a password."""
    return host.rpartition("@")[2] if host else host


def beside(
    results: Results, asv: Path | None, compare: Sequence[Path], told: Past | None, command: str
) -> Beside:
    """Everything that is drawn and is not in the store."""
    from optbench.cli.beside import (
        answers,
        comparisons,
        costs,
        landscapes,
        stationary,
    )
    from optbench.reporting import Beside

    return Beside(
        landscapes=landscapes(results),
        stationary=stationary(results),
        answers=answers(),
        costs=None if asv is None else costs(asv),
        history=told.history if told else None,
        subjects=dict(told.commits.itertuples(index=False)) if told else {},
        comparisons=comparisons(compare),
        command=command,
    )
