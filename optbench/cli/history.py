"""``optbench history``: which commit changed which metric."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from optbench.api.console import say
from optbench.cli.compare import RepoOption
from optbench.cli.console import tell
from optbench.cli.options import output_option, place_option, require_writable, show_option
from optbench.defaults import ASV_RESULTS, DEFAULT_STORE


def history(
    store: Annotated[
        str | None,
        place_option(
            "--store",
            envvar="OPTBENCH_STORE",
            metavar="URL",
            help="Store of optbench run or nightly.",
            show_default=f"{DEFAULT_STORE}, where it is",
        ),
    ] = None,
    asv: Annotated[
        Path | None,
        place_option(
            "--asv",
            metavar="DIR",
            help="Folder of asv's results.",
            show_default=f"{ASV_RESULTS}, where it is",
        ),
    ] = None,
    optimizer: Annotated[
        list[str] | None,
        show_option("--optimizer", "-o", metavar="NAME", help="Name or glob. Repeatable."),
    ] = None,
    problem: Annotated[
        list[str] | None,
        show_option("--problem", "-p", metavar="NAME", help="Name or glob. Repeatable."),
    ] = None,
    metric: Annotated[
        list[str] | None,
        show_option("--metric", "-m", metavar="NAME", help="Name or glob. Repeatable."),
    ] = None,
    repo: RepoOption = None,
    csv: Annotated[
        Path | None,
        output_option(
            "--csv", metavar="FILE", help="Write all values, a row per metric and commit."
        ),
    ] = None,
    fail_on_new: Annotated[
        bool,
        output_option(
            "--fail-on-new", help="Exit with 1 for an open regression that is not accepted."
        ),
    ] = False,
    every: Annotated[bool, show_option("--all", help="Print every change.")] = False,
) -> None:
    """Show which commit changed which metric.

    Deterministic metrics are compared exactly with the commit measured before; timings by change
    points, from eight commits on. Results of another machine, environment or definition are
    series of their own. docs/tracking.md of optbench says how to read it.

    A wanted regression: optbench accept COMMIT METRIC --why TEXT. Exit status: 0, 1 with
    --fail-on-new, 2 wrong use or nothing to tell.
    """
    from optbench.api.history import history as look_back
    from optbench.reporting.history_text import lines, summary
    from optbench.reporting.tables import csv_text

    if csv is not None:
        require_writable(csv, "--csv")
    found = look_back(
        repo or Path.cwd(),
        store=store,
        asv=asv,
        optimizers=optimizer or (),
        problems=problem or (),
        metrics=metric or (),
    )
    if found.unknown:
        say(f"accepted.toml: {found.unknown} of its commits are not on this line: they do nothing")
    for name, reason in found.skipped:
        say(f"not read: {name} {reason}")
    subjects = dict(found.commits.itertuples(index=False))
    for line in lines(found.history, subjects, every=every):
        tell(line)
    say(summary(found.history, len(found.commits)))
    if csv is not None:
        frame = found.history.values.drop(columns=["order"])
        samples = frame["samples"].map(lambda drawn: " ".join(map(repr, drawn)))
        csv.write_text(csv_text(frame.assign(samples=samples)), "utf-8", newline="")
    if fail_on_new and found.history.regressions:
        raise typer.Exit(1)
