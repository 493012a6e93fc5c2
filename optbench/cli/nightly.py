"""``optbench nightly``: everything that a nightly run does, in one command."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from optbench.api.console import say
from optbench.cli.compare import InstallOption, PathOption, RepoOption, TargetOption
from optbench.cli.console import INTERRUPTED, end_politely, tell
from optbench.cli.options import (
    DaskOption,
    DataOption,
    MemoryOption,
    RunJobsOption,
    StoreOption,
    TimeoutOption,
    output_option,
    place_option,
    read_size,
    run_option,
    use_data,
)
from optbench.defaults import DEFAULT_STORE, NIGHTLY_REPORT

EXIT = {"passed": 0, "regressed": 1, "not measured": 2}


def nightly(
    suite: Annotated[
        str, run_option("--suite", "-s", help="Named set of runs (optbench list suites).")
    ] = "nightly",
    store: StoreOption = DEFAULT_STORE,
    base: Annotated[
        str | None,
        run_option(
            "--base",
            metavar="REV",
            help="Revision to compare with.",
            show_default="that of the last passing nightly run",
        ),
    ] = None,
    out: Annotated[
        Path,
        place_option("--out", metavar="DIR", help="Folder for summary, report and comparison."),
    ] = Path(NIGHTLY_REPORT),
    optimizer: TargetOption = None,
    seeds: Annotated[
        str | None,
        run_option(
            metavar="SEEDS",
            help="Count (8), list (3,5,8) or range (10-19).",
            show_default="the suite's",
        ),
    ] = None,
    jobs: RunJobsOption = None,
    timeout: TimeoutOption = None,
    memory: MemoryOption = None,
    dask: DaskOption = None,
    asv: Annotated[bool, run_option("--asv/--no-asv", help="Run asv's benchmarks.")] = True,
    machine: Annotated[
        str | None,
        place_option(
            "--machine",
            envvar="OPTBENCH_MACHINE",
            metavar="NAME",
            help="Machine name for asv's results; hosted CI has another every time.",
            show_default="this machine's",
        ),
    ] = None,
    commits: Annotated[
        int, run_option("--commits", min=1, metavar="N", help="Maximum commits that asv runs.")
    ] = 5,
    fail_on: Annotated[
        list[str] | None,
        output_option(
            "--fail-on",
            metavar="WORD",
            help="Verdicts of the comparison that fail; as for optbench compare.",
            show_default="broken,regressed,slower,more,leak",
        ),
    ] = None,
    again: Annotated[
        bool, run_option("--again", help="Repeat the comparison, also where it is stored.")
    ] = False,
    repo: RepoOption = None,
    path: PathOption = None,
    install: InstallOption = None,
    data: DataOption = None,
) -> None:
    """Run, compare with the last passing run, and report; for CI.

    It does what is missing: stopped at any moment, the same command goes on; run twice on one
    commit, the second time there is nothing to do. Into --out go summary.md, whose first line is
    the verdict (also to $GITHUB_STEP_SUMMARY, where that is set), night.json, the report and the
    comparison as pages, and history.csv. docs/tracking.md of optbench says more.

    Exit status: 0 nothing got worse; 1 something did, and nobody accepted it (optbench accept);
    2 wrong use, or it could not measure; 130 interrupted.
    """
    from optbench.api.progress import Watch
    from optbench.errors import WrongUse
    from optbench.nightly.config import configure
    from optbench.nightly.nightly_run import run_nightly
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
            ended = run_nightly(config, watch=watch, tell=say)
    except OSError as error:
        raise WrongUse(f"the results cannot be kept: {error}") from error
    except KeyboardInterrupt:
        say("interrupted: what was done is kept, the same command goes on from there")
        raise typer.Exit(INTERRUPTED) from None
    text = summary(ended)
    shown = summary(ended, escaped=lambda text: printable(" ".join(str(text).split())))
    try:
        (config.out / "summary.md").write_text(text, encoding="utf-8")
        content = ended.model_dump_json(indent=2) + "\n"
        (config.out / "night.json").write_text(content, encoding="utf-8")
        if of_job := os.environ.get("GITHUB_STEP_SUMMARY"):
            with Path(of_job).open("a", encoding="utf-8") as file:
                file.write(text)
    except OSError as error:
        tell(shown)
        raise WrongUse(f"the summary cannot be written: {error}") from error
    tell(shown)
    raise typer.Exit(EXIT[ended.verdict])
