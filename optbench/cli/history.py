"""``optbench history``: which commit changed which metric."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from optbench.cli.compare import RepoOption
from optbench.cli.console import say, tell
from optbench.cli.options import require_writable
from optbench.defaults import ASV_RESULTS, DEFAULT_STORE

if TYPE_CHECKING:
    import pandas as pd


def history(
    store: Annotated[
        str | None,
        typer.Option(
            "--store",
            envvar="OPTBENCH_STORE",
            metavar="URL",
            help="Of optbench run or nightly.",
            show_default=f"{DEFAULT_STORE}, where it is",
        ),
    ] = None,
    asv: Annotated[
        Path | None,
        typer.Option(
            "--asv",
            metavar="DIR",
            help="asv's results.",
            show_default=f"{ASV_RESULTS}, where it is",
        ),
    ] = None,
    optimizer: Annotated[
        list[str] | None,
        typer.Option("--optimizer", "-o", metavar="NAME", help="Name or glob. Repeat."),
    ] = None,
    problem: Annotated[
        list[str] | None,
        typer.Option("--problem", "-p", metavar="NAME", help="Name or glob. Repeat."),
    ] = None,
    metric: Annotated[
        list[str] | None,
        typer.Option("--metric", "-m", metavar="NAME", help="Name or glob. Repeat."),
    ] = None,
    repo: RepoOption = None,
    csv: Annotated[
        Path | None,
        typer.Option("--csv", metavar="FILE", help="The frame: a row a metric and commit."),
    ] = None,
    fail_on_new: Annotated[
        bool,
        typer.Option(
            "--fail-on-new", help="Exit with 1 for a regression that stands and is not accepted."
        ),
    ] = False,
    every: Annotated[bool, typer.Option("--all", help="Every change, not the first few.")] = False,
) -> None:
    """Which commit changed which metric: asv's results and the store's, as one picture.

    Deterministic metrics are compared exactly with the commit measured before; timings by change
    points, from eight commits on. Results of another machine, environment or definition are
    series of their own. docs/tracking.md of optbench says how to read it.

    A wanted regression: optbench accept COMMIT METRIC --why TEXT. Exit status: 0, 1 with
    --fail-on-new, 2 wrong use or nothing to tell.
    """
    from optbench.nightly.records import codes_of_nights
    from optbench.registry import fits
    from optbench.reporting.history_text import lines, summary
    from optbench.reporting.tables import csv_text
    from optbench.sources import git
    from optbench.tracking.repository_history import past

    if csv is not None:
        require_writable(csv, "--csv")
    where = repo or Path.cwd()
    top = git.top_level(where)
    of_top = top / DEFAULT_STORE, top / ASV_RESULTS
    used_store = store or (str(of_top[0]) if of_top[0].exists() else None)
    used_asv = asv or (of_top[1] if of_top[1].is_dir() else None)
    wanted = {"optimizer": optimizer, "problem": problem, "metric": metric}

    def chosen(values: pd.DataFrame) -> pd.Series[bool]:
        keep = values["metric"].notna()
        for column, patterns in wanted.items():
            if patterns:
                keep &= values[column].map(
                    lambda name, patterns=patterns: any(fits(name, each) for each in patterns)
                )
        return keep

    told = past(
        where,
        store=used_store,
        asv=used_asv,
        nights=codes_of_nights(used_store),
        baseline=_last_good(where, used_store),
        chosen=chosen,
    )
    if told.unknown:
        say(f"accepted.toml: {told.unknown} of its commits are not on this line: they do nothing")
    for name, reason in told.skipped:
        say(f"not read: {name} {reason}")
    subjects = dict(told.commits.itertuples(index=False))
    for line in lines(told.history, subjects, every=every):
        tell(line)
    say(summary(told.history, len(told.commits)))
    if csv is not None:
        frame = told.history.values.drop(columns=["order"])
        samples = frame["samples"].map(lambda drawn: " ".join(map(repr, drawn)))
        csv.write_text(csv_text(frame.assign(samples=samples)), "utf-8", newline="")
    if fail_on_new and told.history.regressions:
        raise typer.Exit(1)


def _last_good(repository: Path, store: str | None) -> str | None:
    """The last good night's commit, where there were nights."""
    from optbench.nightly.records import folder_of, last_good
    from optbench.sources import git
    from optbench.tracking.commits import first_parents

    beside = (git.top_level(repository) / DEFAULT_STORE).parent
    folder = folder_of(store, beside) if store else beside
    return last_good(folder, frozenset(first_parents(repository)["commit"]))
