"""``optbench run``: run what the store lacks of a suite, or of what is named."""

from __future__ import annotations

import enum
import time
from typing import TYPE_CHECKING, Annotated

import typer

from optbench.api.console import say
from optbench.cli.console import INTERRUPTED, end_politely
from optbench.cli.options import (
    DaskOption,
    DataOption,
    MemoryOption,
    RunJobsOption,
    StoreOption,
    TimeoutOption,
    parse_settings,
    place_option,
    read_size,
    run_option,
    use_data,
)
from optbench.defaults import DEFAULT_STORE

if TYPE_CHECKING:
    from optbench.api.run import RunConfig
    from optbench.engine.plan import Plan
    from optbench.runner import Progress


class Dtype(enum.StrEnum):
    """Floating-point type of a run."""

    float32 = "float32"
    float64 = "float64"
    bfloat16 = "bfloat16"


def run(
    suite: Annotated[
        str | None, run_option("--suite", "-s", help="Named set of runs (optbench list suites).")
    ] = None,
    optimizer: Annotated[
        list[str] | None,
        run_option(
            "--optimizer",
            "-o",
            metavar="NAME",
            help="Name, glob or package.module:Class. Repeatable.",
        ),
    ] = None,
    problem: Annotated[
        list[str] | None,
        run_option(
            "--problem", "-p", metavar="NAME", help="Name, glob or package.module:name. Repeatable."
        ),
    ] = None,
    lr: Annotated[
        list[float] | None,
        run_option(
            "--lr", metavar="RATE", help="Learning rate in place of the default. Repeatable."
        ),
    ] = None,
    tune: Annotated[
        bool, run_option("--tune", help="Run the default and the whole search space.")
    ] = False,
    setting: Annotated[
        list[str] | None,
        run_option(
            "--set", metavar="KEY=VALUE", help="Hyperparameter, such as betas=0.9,0.99. Repeatable."
        ),
    ] = None,
    schedule: Annotated[
        list[str] | None,
        run_option(
            metavar="NAME",
            help="Also run each setting with this learning-rate schedule "
            "(optbench list schedules). Repeatable.",
        ),
    ] = None,
    seeds: Annotated[
        str | None,
        run_option(
            metavar="SEEDS", help="Count (8), list (3,5,8) or range (10-19).", show_default="4"
        ),
    ] = None,
    budget: Annotated[
        int | None,
        run_option(
            metavar="N",
            help="Gradient evaluations per run.",
            show_default="that of the problem or suite",
        ),
    ] = None,
    jobs: RunJobsOption = None,
    timeout: TimeoutOption = None,
    memory: MemoryOption = None,
    dask: DaskOption = None,
    store: StoreOption = DEFAULT_STORE,
    data: DataOption = None,
    dtype: Annotated[
        Dtype, run_option(help="Floating-point type of parameters and data.")
    ] = Dtype.float32,
    device: Annotated[str, place_option(metavar="DEVICE", help="cpu, cuda or cuda:1.")] = "cpu",
    ddp: Annotated[
        int | None,
        place_option(metavar="N", help="Data-parallel: divide each gradient among N processes."),
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Rerun what the store already holds, and replace it.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would run, and run nothing.")
    ] = False,
) -> None:
    """Run what the store does not hold yet.

    Interrupted, the same command goes on where it stopped.

    Without --suite or names it runs the suite `quick`. Exit status: 0 done, 1 some runs failed
    (they are listed, and run again next time), 2 wrong use.
    """
    from optbench.api.run import configure, left_out
    from optbench.optimizers import OPTIMIZERS

    use_data(data)
    config = configure(
        optimizer or (),
        problem or (),
        suite=suite,
        lr=lr or None,
        tune=tune,
        settings=parse_settings(setting or []),
        schedules=schedule or (),
        seeds=seeds,
        budget=budget,
        ddp=ddp,
        dtype=dtype.value,
        device=device,
        store=store,
        jobs=jobs,
        dask=dask,
        timeout=timeout,
        memory=read_size(memory) if memory else None,
        again=again,
    )
    planned = config.plan()
    for line in left_out(planned, optimizer or (), problem or ()):
        say(line)
    if tune:
        for name in sorted({run.optimizer for run in planned.runs}):
            if not OPTIMIZERS[name].space:
                say(f"not tuned: {name} has no lr, and no search space")
    if dry_run:
        pairs = {(r.optimizer, r.problem) for r in planned.runs}
        say(f"{len(planned.runs):,} runs; pairs of an optimizer and a problem: {len(pairs):,}")
        return
    raise typer.Exit(_fill(config, planned))


def _fill(config: RunConfig, planned: Plan) -> int:
    from optbench.api.progress import Watch

    begun = time.monotonic()
    watch = Watch()
    end_politely()
    try:
        with watch:
            progress = config.fill(planned, watch=watch, warn=say)
    except KeyboardInterrupt:
        seen = watch.progress
        if seen is not None:
            say(
                f"interrupted: {seen.present + seen.done:,} of {seen.planned:,} runs are in the "
                "store; the same command goes on from there"
            )
        return INTERRUPTED
    return conclude(progress, time.monotonic() - begun)


def conclude(progress: Progress, seconds: float) -> int:
    """Say what was done and what failed; gives the exit status."""
    from optbench.api.run import failed

    counts = ", ".join(f"{n:,} {status.value}" for status, n in sorted(progress.status.items()))
    say(
        f"{progress.planned:,} runs: {progress.present:,} were in the store, "
        f"{progress.done - progress.elsewhere:,} done in {seconds:.0f} s"
        + (f" ({counts})" if counts else "")
        + (f", {progress.elsewhere:,} by others" if progress.elsewhere else "")
    )
    for line in failed(progress):
        say(line)
    return 1 if progress.failures else 0
