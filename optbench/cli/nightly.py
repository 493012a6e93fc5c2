"""``optbench nightly``: everything that a night does, in one command."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated

import typer

from optbench.api.console import say
from optbench.cli.compare import InstallOption, PathOption, RepoOption, TargetOption
from optbench.cli.console import tell
from optbench.cli.options import (
    DaskOption,
    DataOption,
    MemoryOption,
    RunJobsOption,
    StoreOption,
    TimeoutOption,
    read_size,
    use_data,
)
from optbench.cli.run import INTERRUPTED
from optbench.cli.termination import end_politely
from optbench.defaults import DEFAULT_STORE

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
    ] = Path("reports/nightly"),
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
    from optbench.api.progress import Watch
    from optbench.errors import WrongUse
    from optbench.nightly.config import configure
    from optbench.nightly.night import night
    from optbench.nightly.summary import summary
    from optbench.plain_text import printable

    use_data(data)
    config = configure(
        suite=suite,
        store=store,
        base=base,
        out=out,
        optimizers=optimizer or (),
        seeds=seeds,
        jobs=jobs,
        timeout=timeout,
        memory=read_size(memory) if memory else None,
        dask=dask,
        asv=asv,
        machine=machine,
        commits=commits,
        fail_on=fail_on or (),
        again=again,
        repository=repo,
        path=path,
        install=install,
    )
    end_politely()
    try:
        with Watch() as watch:
            ended = night(config, watch=watch, tell=say)
    except OSError as error:
        raise WrongUse(f"the night cannot be kept: {error}") from error
    except KeyboardInterrupt:
        say("interrupted: what was done is kept, the same command goes on from there")
        raise typer.Exit(INTERRUPTED) from None
    text = summary(ended)
    shown = summary(ended, escaped=lambda text: printable(" ".join(str(text).split())))
    try:
        (config.out / "summary.md").write_text(text, encoding="utf-8")
        content = json.dumps(ended.as_json(), indent=2, allow_nan=False)
        (config.out / "night.json").write_text(content + "\n", encoding="utf-8")
        if of_job := os.environ.get("GITHUB_STEP_SUMMARY"):
            with Path(of_job).open("a", encoding="utf-8") as file:
                file.write(text)
    except OSError as error:
        tell(shown)
        raise WrongUse(f"the summary cannot be written: {error}") from error
    tell(shown)
    raise typer.Exit(EXIT[ended.verdict])
