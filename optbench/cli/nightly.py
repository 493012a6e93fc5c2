"""``optbench nightly``: everything that a night does, in one command."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from optbench.cli.compare import InstallOption, PathOption, RepoOption, TargetOption
from optbench.cli.console import say, tell
from optbench.cli.options import (
    DaskOption,
    DataOption,
    MemoryOption,
    RunJobsOption,
    StoreOption,
    TimeoutOption,
    read_limits,
    use_data,
)
from optbench.cli.run import INTERRUPTED
from optbench.cli.termination import end_politely
from optbench.defaults import DEFAULT_STORE

if TYPE_CHECKING:
    from optbench.nightly.wanted import WantedNight
    from optbench.runner.isolation import Limits

DEFAULT_OUT = Path("reports/nightly")

EXIT = {"good": 0, "regressed": 1, "not measured": 2}


def nightly(
    suite: Annotated[
        str, typer.Option("--suite", "-s", help="What to run: optbench list suites.")
    ] = "nightly",
    store: StoreOption = DEFAULT_STORE,
    base: Annotated[
        str | None,
        typer.Option(
            "--base",
            metavar="REV",
            help="The revision to compare with.",
            show_default="the last good night's",
        ),
    ] = None,
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Folder for what is to be read.")
    ] = DEFAULT_OUT,
    optimizer: TargetOption = None,
    seeds: Annotated[
        str | None,
        typer.Option(help="How many (8), or which.", show_default="the suite's"),
    ] = None,
    jobs: RunJobsOption = None,
    timeout: TimeoutOption = None,
    memory: MemoryOption = None,
    dask: DaskOption = None,
    asv: Annotated[
        bool, typer.Option("--asv/--no-asv", help="Run asv's benchmarks, where there are some.")
    ] = True,
    machine: Annotated[
        str | None,
        typer.Option(
            "--machine",
            envvar="OPTBENCH_MACHINE",
            metavar="NAME",
            help="That asv keeps results under; a CI's machines have another every night.",
            show_default="this machine's",
        ),
    ] = None,
    commits: Annotated[
        int, typer.Option("--commits", min=1, help="Most commits that asv runs in a night.")
    ] = 5,
    fail_on: Annotated[
        list[str] | None,
        typer.Option(
            "--fail-on",
            metavar="WORD",
            help="Findings of the comparison that fail the night; as of optbench compare.",
            show_default="broken,regressed,slower,more,leak",
        ),
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Compare again, also where a comparison is kept.")
    ] = False,
    repo: RepoOption = None,
    path: PathOption = None,
    install: InstallOption = None,
    data: DataOption = None,
) -> None:
    """Run the suite, run asv, compare with the last good night, look for regressions, report.

    It does what is missing: stopped at any moment, the same command goes on; run twice on one
    commit, the second time there is nothing to do. Into --out go summary.md, whose first line is
    the verdict (also to $GITHUB_STEP_SUMMARY, where that is set), night.json, the report and the
    comparison as pages, and history.csv. docs/tracking.md of optbench says more.

    Exit status: 0 nothing got worse; 1 something did, and nobody accepted it (optbench accept);
    2 wrong use, or a night that could not measure; 130 interrupted.
    """
    from optbench.cli.progress import Watch
    from optbench.cli.report import write
    from optbench.cli.wrong_use import WrongUse
    from optbench.nightly.night import night
    from optbench.nightly.summary import summary
    from optbench.plain_text import printable

    use_data(data)
    wanted = _read(suite, store, base, out, optimizer, seeds, jobs, asv, machine, commits, fail_on,
                   again, repo, path, install, read_limits(timeout, memory), dask)  # fmt: skip
    end_politely()
    try:
        with Watch() as watch:
            ended = night(wanted, write, watch=watch, tell=say)
    except OSError as error:
        raise WrongUse(f"the night cannot be kept: {error}") from error
    except KeyboardInterrupt:
        say("interrupted: what was done is kept, the same command goes on from there")
        raise typer.Exit(INTERRUPTED) from None
    text = summary(ended)
    shown = summary(ended, escaped=lambda text: printable(" ".join(str(text).split())))
    try:
        (wanted.out / "summary.md").write_text(text, encoding="utf-8")
        content = json.dumps(ended.as_json(), indent=2, allow_nan=False)
        (wanted.out / "night.json").write_text(content + "\n", encoding="utf-8")
        if of_job := os.environ.get("GITHUB_STEP_SUMMARY"):
            with Path(of_job).open("a", encoding="utf-8") as file:
                file.write(text)
    except OSError as error:
        tell(shown)
        raise WrongUse(f"the summary cannot be written: {error}") from error
    tell(shown)
    raise typer.Exit(EXIT[ended.verdict])


def _read(
    suite: str,
    store: str,
    base: str | None,
    out: Path,
    targets: list[str] | None,
    seeds: str | None,
    jobs: int | None,
    asv: bool,
    machine: str | None,
    commits: int,
    fail_on: list[str] | None,
    again: bool,
    repo: Path | None,
    path: str | None,
    install: bool | None,
    limits: Limits,
    dask: str | None,
) -> WantedNight:
    """What was asked for, with what the repository's own table says where the user is silent."""
    from optbench.cli.compare import read_wanted
    from optbench.cli.run import selections
    from optbench.nightly.regression import FAIL_ON
    from optbench.nightly.wanted import WantedNight
    from optbench.sources import git
    from optbench.sources.configuration import read_configuration
    from optbench.sources.tree import importable

    top = git.top_level(repo or Path.cwd())
    # Where the packages are goes first, here and in the workers, which begin with this path.
    configured = read_configuration(top).path
    sys.path.insert(0, str(importable(top, path if path is not None else configured)))
    # A comparison's own reading of targets, paths and words: of them only the head is another.
    compared, words = read_wanted(
        "HEAD", "HEAD", targets, top, path, install, None, None,
        fail_on or list(FAIL_ON), 60.0, 24,
    )  # fmt: skip
    chosen = selections(suite, None, None, None, False, None, seeds, None)
    return WantedNight(
        repository=top,
        selections=tuple(chosen),
        # Seen from the top, wherever one stands: a night elsewhere would begin with nothing.
        store=str(top / store) if store == DEFAULT_STORE else store,
        out=top / out if out == DEFAULT_OUT else out,
        targets=compared.targets,
        base=base,
        asv=asv,
        machine=machine,
        commits=commits,
        jobs=jobs,
        limits=limits,
        dask=dask,
        fail_on=words,
        path=compared.path,
        install=compared.install,
        again=again,
    )
