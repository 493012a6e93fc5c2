"""``optbench run``: run what the store lacks of a suite, or of what is named."""

from __future__ import annotations

import enum
import time
from collections import Counter
from typing import TYPE_CHECKING, Annotated, Any

import typer

from optbench.cli.console import say
from optbench.cli.options import (
    DaskOption,
    DataOption,
    MemoryOption,
    RunJobsOption,
    StoreOption,
    TimeoutOption,
    parse_settings,
    read_limits,
    use_data,
)
from optbench.cli.termination import end_politely
from optbench.defaults import DEFAULT_STORE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from optbench.engine.plan import Selection
    from optbench.engine.runs import Result, Run
    from optbench.runner import Progress
    from optbench.runner.isolation import Limits
    from optbench.store import Store


INTERRUPTED = 130
"""Exit status after Ctrl-C, as shells have it."""


class Dtype(enum.StrEnum):
    """Floating-point type of a run."""

    float32 = "float32"
    float64 = "float64"
    bfloat16 = "bfloat16"


def run(
    suite: Annotated[
        str | None, typer.Option("--suite", "-s", help="A named set: optbench list suites.")
    ] = None,
    optimizer: Annotated[
        list[str] | None,
        typer.Option(
            "--optimizer", "-o", metavar="NAME", help="Name, glob, or package.module:Class. Repeat."
        ),
    ] = None,
    problem: Annotated[
        list[str] | None,
        typer.Option(
            "--problem", "-p", metavar="NAME", help="Name, glob, or package.module:name. Repeat."
        ),
    ] = None,
    lr: Annotated[
        list[float] | None,
        typer.Option("--lr", help="Learning rate instead of the default. Repeat."),
    ] = None,
    tune: Annotated[
        bool, typer.Option("--tune", help="Run the whole search space beside the default.")
    ] = False,
    setting: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="A hyperparameter: betas=0.9,0.99. Repeat."
        ),
    ] = None,
    schedule: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Beside each setting also with this learning-rate schedule "
            "(optbench list schedules). Repeat.",
        ),
    ] = None,
    seeds: Annotated[
        str | None,
        typer.Option(help="How many (8), which (3,5,8), or a range (10-19).", show_default="4"),
    ] = None,
    budget: Annotated[
        int | None,
        typer.Option(
            help="Gradient evaluations a run.", show_default="the problem's or suite's own"
        ),
    ] = None,
    jobs: RunJobsOption = None,
    timeout: TimeoutOption = None,
    memory: MemoryOption = None,
    dask: DaskOption = None,
    store: StoreOption = DEFAULT_STORE,
    data: DataOption = None,
    dtype: Annotated[Dtype, typer.Option(help="Floating-point type.")] = Dtype.float32,
    device: Annotated[str, typer.Option(help="cpu, cuda or cuda:1.")] = "cpu",
    ddp: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="Divide each gradient among N processes (data-parallel training)."
        ),
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Run also what the store holds, and replace it.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would run, and run nothing.")
    ] = False,
) -> None:
    """Run what the store does not hold yet. Interrupt it and run it again: it goes on.

    Without --suite or names it runs the suite `quick`. Exit status: 0 done, 1 some runs failed
    (they are listed, and run again next time), 2 wrong use.
    """
    from optbench.cli.wrong_use import WrongUse
    from optbench.engine.plan import plan
    from optbench.engine.trial import tried_apart
    from optbench.optimizers import OPTIMIZERS
    from optbench.store import Store

    use_data(data)
    limits = read_limits(timeout, memory)
    if dask is not None and jobs is not None:
        raise WrongUse("--jobs and --dask exclude each other: local:N is a cluster of N workers")
    chosen = selections(suite, optimizer, problem, lr, tune, setting, seeds, budget, schedule, ddp)
    planned = plan(
        chosen,
        dtype=dtype.value,
        device=device,
        elsewhere=dask is not None and not dask.startswith("local:"),
        try_out=tried_apart,
    )
    for (name, where), reason in planned.not_applicable.items():
        if optimizer and name in optimizer and problem and (where in problem or ":" in name):
            say(f"left out: {name} on {where}: {reason}")
    if tune:
        for name in sorted({run.optimizer for run in planned.runs}):
            if not OPTIMIZERS[name].space:
                say(f"not tuned: {name} has no lr, and no search space")
    if dry_run:
        pairs = {(r.optimizer, r.problem) for r in planned.runs}
        say(f"{len(planned.runs):,} runs; pairs of an optimizer and a problem: {len(pairs):,}")
        return
    with Store(store, create=True) as opened:
        raise typer.Exit(_fill(opened, planned.runs, jobs, dask, limits, again))


def selections(
    suite: str | None,
    optimizers: list[str] | None,
    problems: list[str] | None,
    rates: list[float] | None,
    tune: bool,
    settings: list[str] | None,
    seeds: str | None,
    budget: int | None,
    schedules: list[str] | None = None,
    ddp: int | None = None,
) -> list[Selection]:
    """What the options select: a suite's selections narrowed down, or one of its own."""
    from optbench.cli.wrong_use import WrongUse
    from optbench.engine.plan import Selection, parse_seeds
    from optbench.engine.suites import SUITES

    if rates and tune:
        raise WrongUse("--lr and --tune exclude each other: rates are given, or searched")
    changes: dict[str, Any] = {}
    if rates:
        changes["rates"] = tuple(rates)
    elif tune:
        changes["rates"] = "tuned"
    if ddp is not None:
        changes["ddp"] = ddp
    if settings:
        changes["settings"] = parse_settings(settings)
        _require_named_once(changes)
    if schedules:
        changes["schedules"] = tuple(schedules)
    if seeds is not None:
        try:
            changes["seeds"] = parse_seeds(seeds)
        except ValueError as error:
            raise WrongUse(str(error)) from error
    if budget is not None:
        changes["budget"] = budget
    if suite is None and (optimizers or problems):
        return [
            Selection.model_validate(
                {
                    "optimizers": tuple(optimizers or ["*"]),
                    "problems": tuple(problems or ["*"]),
                    **changes,
                }
            )
        ]
    if optimizers or problems:
        raise WrongUse("--suite names its optimizers and problems: leave out -o and -p, or --suite")
    return [
        Selection.model_validate({**selection.model_dump(), **changes})
        for selection in SUITES[suite or "quick"].selections
    ]


def _require_named_once(changes: Mapping[str, Any]) -> None:
    """Refuse --set with what an option of its own names too."""
    from optbench.cli.wrong_use import WrongUse

    for name, field in (("lr", "rates"), ("ddp", "ddp")):
        if name in changes["settings"] and changes.get(field, "tuned") != "tuned":
            raise WrongUse(f"--set {name}=... and --{name} name the same: leave out one of both")


def _fill(
    store: Store,
    runs: Sequence[Run],
    jobs: int | None,
    dask: str | None,
    limits: Limits,
    again: bool,
) -> int:
    from optbench.cli.progress import Watch
    from optbench.runner import fill
    from optbench.runner.executors import executor

    begun = time.monotonic()
    watch = Watch()
    end_politely()
    try:
        with executor(jobs, dask, warn=say) as workers, watch:
            progress = fill(store, runs, executor=workers, limits=limits, again=again, watch=watch)
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
    counts = ", ".join(f"{n:,} {status.value}" for status, n in sorted(progress.status.items()))
    say(
        f"{progress.planned:,} runs: {progress.present:,} were in the store, "
        f"{progress.done - progress.elsewhere:,} done in {seconds:.0f} s"
        + (f" ({counts})" if counts else "")
        + (f", {progress.elsewhere:,} by others" if progress.elsewhere else "")
    )
    _name("unmoved", progress.unmoved, "")
    _name("failed", progress.failures, " kinds of failure")
    return 1 if progress.failures else 0


def _name(what: str, results: Sequence[Result], kinds: str) -> None:
    """Name the optimizers and problems of such results with their text, the most frequent first."""
    counts = Counter((r.run.optimizer, r.run.problem, r.error or "") for r in results)
    for (optimizer, problem, error), count in counts.most_common(10):
        say(f"{what}: {optimizer} on {problem}, {count} run{'s' * (count > 1)}: {error}")
    if len(counts) > 10:
        say(f"and {len(counts) - 10} more{kinds}: optbench export lists every run")
