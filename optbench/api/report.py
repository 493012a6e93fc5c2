"""Write the report of a store, or of results at hand."""

from __future__ import annotations

import contextlib
import gc
import shlex
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from optbench.api.console import doing
from optbench.defaults import DEFAULT_STORE, REPORT
from optbench.errors import WrongUse

if TYPE_CHECKING:
    from optbench.analysis import Results
    from optbench.reporting.material import ReportInputs
    from optbench.tracking.repository_history import RepositoryHistory
    from optbench.verdicts.comparison import Comparison

DEFAULT_BASELINE = "adam"


def report(
    results: Results | str | Path = DEFAULT_STORE,
    out: str | Path = REPORT,
    *,
    baseline: str | None = None,
    asv: str | Path | None = None,
    comparisons: Iterable[Comparison | str | Path] = (),
    data: bool = True,
    repository: str | Path | None = None,
    history: RepositoryHistory | None = None,
) -> Path:
    """Write a report; return the path of its page, one ``index.html`` that opens anywhere.

    The same results give the same bytes; a date stands in it only where SOURCE_DATE_EPOCH is set.

    Parameters
    ----------
    results : Results, str or Path
        Of `run` or `load`; or the store, a path or SQLAlchemy URL.
    out : str or Path
        A folder, made if need be; files of the same names are replaced.
    baseline : str or None
        The optimizer that the others are compared with; ``"adam"`` where it was run, else the
        first by name.
    asv : str, Path or None
        asv's results, for the cost of a step and the history; those of the repository without.
    comparisons : iterable of Comparison, str or Path
        Of `compare`, or files that ``optbench compare --json`` wrote.
    data : bool
        Write tables as CSV and figures as SVG too, which the page links.
    repository : str, Path or None
        Whose commits the history is of; the one of the current folder without.
    history : RepositoryHistory or None
        Of `history`; made where it is not given and there are results of two commits.

    Returns
    -------
    Path
        Of the page.

    Raises
    ------
    OptbenchError
        `NothingToReport` (no run), `UnknownBaseline`, `StoreError`, and `WrongUse` where the
        folder cannot be written to or a file is no comparison.
    """
    store = None
    if isinstance(results, str | Path):
        from optbench import load

        store = str(results)
        with doing("reading the store"):
            results = load(store)
    from optbench.api.report_inputs import asv_of, history_of
    from optbench.reporting.page import write_report

    baseline = baseline or baseline_of(results)
    given = [*comparisons]
    top = Path(repository) if repository is not None else Path.cwd()
    command = _command(store, top, baseline, given, asv) if store is not None else ""
    asv = Path(asv) if asv is not None else asv_of(top)
    history = history or history_of(top, results, store, asv)
    inputs = _inputs(results, asv, given, history, command)
    try:
        with doing("drawing") as show, _without_collector():
            return write_report(
                results, Path(out), baseline=baseline, inputs=inputs, data=data, progress=show
            )
    except OSError as error:
        raise WrongUse(f"cannot write the report to {out}: {error}") from error


def compare_stores(older: str, newer: str, out: str | Path = REPORT) -> Path:
    """Write a page that compares two stores; return its path.

    Parameters
    ----------
    older, newer : str
        Paths or SQLAlchemy URLs.
    out : str or Path
        A folder, made if need be.

    Raises
    ------
    OptbenchError
        `NothingInBoth` (no run is in both), `StoreError`, and `WrongUse` where the folder cannot
        be written to.
    """
    from optbench import load
    from optbench.reporting.compare_stores import write_side_by_side
    from optbench.store.address import public

    here = Path.cwd()
    names = public(older, here), public(newer, here)
    command = f"optbench report --compare-stores {shlex.join(names)}"
    results = load(older), load(newer)
    try:
        with doing("drawing") as show:
            return write_side_by_side(
                *results, Path(out), names=names, command=command, progress=show
            )
    except OSError as error:
        raise WrongUse(f"cannot write the report to {out}: {error}") from error


def baseline_of(results: Results) -> str:
    """Return the baseline where none is named: adam where it was run, else the first by name."""
    names = results.runs["optimizer"]
    if not len(names) or (names == DEFAULT_BASELINE).any():
        return DEFAULT_BASELINE
    return str(min(names))


def _command(
    store: str,
    top: Path,
    baseline: str,
    comparisons: Sequence[Comparison | str | Path],
    asv: str | Path | None,
) -> str:
    """Return the command line that writes the same page."""
    from optbench.store.address import public

    options = [f"--baseline {shlex.quote(baseline)}"]
    options += [
        f"--compare {shlex.quote(str(each))}"
        for each in comparisons
        if isinstance(each, str | Path)
    ]
    if asv is not None:
        options.append(f"--asv {shlex.quote(str(asv))}")
    return f"optbench report --store {shlex.quote(public(store, top))} {' '.join(options)}"


def _inputs(
    results: Results,
    asv: Path | None,
    comparisons: Sequence[Comparison | str | Path],
    history: RepositoryHistory | None,
    command: str,
) -> ReportInputs:
    from optbench.api.report_inputs import answers, costs, landscapes, read_comparisons, stationary
    from optbench.reporting.material import ReportInputs

    return ReportInputs(
        landscapes=landscapes(results),
        stationary=stationary(results),
        answers=answers(),
        costs=None if asv is None else costs(asv),
        history=history.history if history else None,
        subjects=dict(history.commits.itertuples(index=False)) if history else {},
        comparisons=read_comparisons(comparisons),
        command=command,
    )


@contextlib.contextmanager
def _without_collector() -> Iterator[None]:
    """Disable the garbage collector: figures are hundreds of thousands of objects that all live
    until they are written, and to look through them over and over takes a sixth of the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
