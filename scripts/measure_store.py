"""What a store of many runs costs: prints the table of docs/scaling.md.

    python scripts/measure_store.py [--runs 10000 1000000] [--store FOLDER | URL] [--keep]

Stores of made-up results of the nightly's catalogue (all its optimizers, problems and settings, as
many whole seeds as the number asks for), with traces on the real schedule, by a fixed seed: a decay
with noise whose best rate is the optimizer's own; rates far above it diverge, one run in a thousand
fails. What has not reached a target within the budget is censored.

Five phases, each in a process of its own:

- *insert*: `Store.add`, in units of up to 50 runs of one optimizer and problem; the making up of
  results is not counted.
- *resume*: `Store.missing` of the whole plan, keys included; the plan itself is not counted.
- *export to CSV*, *export to parquet*: the whole command ``optbench export``.
- *report*: the whole command ``optbench report``.

Seconds are of the wall; processor seconds those of the phase's process, without those of a database
server; the peak is the resident memory of the process. The ratios, of seconds and of processor
seconds a run, are to those in the smallest store.

A million runs take two gigabytes of disk, six of memory and six minutes of an idle machine.
``--store postgresql+psycopg://USER@HOST:PORT/NAME`` makes a database NAME_RUNS of each size, and
drops it.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url

from optbench.engine.environment import environment
from optbench.engine.outcome import hits
from optbench.engine.plan import Selection, plan
from optbench.engine.runs import Result, Run, Status, Trace
from optbench.engine.schedule import log_schedule
from optbench.engine.suites import SUITES
from optbench.optimizers import OPTIMIZERS
from optbench.problems import PROBLEMS
from optbench.problems.problem import as_tensor
from optbench.store import Store

UNIT = 50
"""Runs that are added at once."""

FAILED = 1e-3
"""Share of the runs."""

TOO_FAST = 1.5
"""Decades above the best rate from which a run diverges."""

KIB = 1024


@dataclass(frozen=True)
class Cost:
    """What a phase took: seconds, processor seconds, bytes at the peak."""

    seconds: float
    processor: float
    peak: int


# The runs, and what is made up of them.


def runs_of(wanted: int) -> tuple[Run, ...]:
    """The nightly's settings on so many whole seeds that there are ``wanted`` runs or more."""
    one_seed = len(_plan(range(1)))
    return _plan(range(math.ceil(wanted / one_seed)))


def _plan(seeds: Sequence[int]) -> tuple[Run, ...]:
    chosen = [
        Selection.model_validate({**each.model_dump(), "seeds": tuple(seeds)})
        for each in SUITES["nightly"].selections
    ]
    return plan(chosen).runs


def units(runs: Sequence[Run]) -> list[list[Run]]:
    """Parts of one optimizer and problem, in an order that is nobody's."""
    parts: list[list[Run]] = []
    for run in runs:
        last = parts[-1][-1] if parts else None
        new = last is None or (last.optimizer, last.problem) != (run.optimizer, run.problem)
        if new or len(parts[-1]) == UNIT:
            parts.append([])
        parts[-1].append(run)
    order = np.random.default_rng(7).permutation(len(parts))
    return [parts[i] for i in order]


def made_up(unit: Sequence[Run], generator: np.random.Generator) -> list[Result]:
    """Results of runs of one optimizer on one problem."""
    problem = PROBLEMS[unit[0].problem]
    budget, count = unit[0].budget, len(unit)
    steps = log_schedule(budget, problem.observe_every)
    names = sorted(row.name for row in OPTIMIZERS)
    best = -1.0 - names.index(unit[0].optimizer) % 3
    # An optimizer without a learning rate has NaN for it.
    rates = np.array([run.settings["lr"] for run in unit], dtype=float)
    away = np.nan_to_num(np.log10(np.where(rates > 0, rates, np.nan)) - best)
    speed = 12 / budget * np.exp(-(away**2) + generator.normal(0, 0.3, count))
    start = np.exp(generator.normal(2, 0.5, count))
    noise = generator.normal(0, 0.1, (count, len(steps)))
    noise[:, 0] = 0
    gaps = start[:, None] * np.exp(noise - np.minimum(speed[:, None] * steps, 40))
    grown = start[:, None] * np.exp(np.minimum(30 * steps / budget, 60))
    gaps = np.where(away[:, None] > TOO_FAST, grown, gaps)
    seconds = 1e-5 * (1 + names.index(unit[0].optimizer)) * np.exp(generator.normal(0, 0.05, count))
    failed = generator.random(count) < FAILED
    metrics = METRICS[problem.name]
    results = []
    for i, run in enumerate(unit):
        if failed[i]:
            results.append(Result(run, Status.FAILED, error="RuntimeError: made up to fail"))
            continue
        lost = gaps[i] > 1e6 * start[i]
        end = int(lost.argmax()) if lost.any() else len(steps) - 1
        upto = steps[: end + 1].astype(np.int32)
        seen = gaps[i, : end + 1]
        share = (seen / start[i]).astype(np.float32)
        kept = {"gap": Trace(upto, seen.astype(np.float32))}
        kept |= {name: Trace(upto, np.minimum(share, 1)) for name in metrics}
        results.append(
            Result(
                run,
                Status.DIVERGED if lost.any() else Status.OK,
                steps=int(upto[-1]),
                initial_gap=float(seen[0]),
                final_gap=float(seen[-1]),
                hits=hits(upto, seen, problem.targets),
                traces=kept,
                seconds_per_step=float(seconds[i]),
                state_bytes=8 * problem.dimension,
            )
        )
    return results


def metrics_of(name: str) -> tuple[str, ...]:
    """What a problem logs beside the gap."""
    cpu = torch.device("cpu")
    bound = PROBLEMS[name].bind(torch.float32, cpu)
    start = bound.start(np.random.default_rng(0))
    lane = {k: as_tensor(np.asarray(v)[None], torch.float32, cpu) for k, v in start.items()}
    return tuple(bound.metrics(lane))


METRICS: dict[str, tuple[str, ...]] = {}


# The phases; each is the body of a process.


def insert(store: str, wanted: int) -> tuple[int, float, float]:
    """Runs, and seconds of wall and processor within `Store.add`."""
    runs = runs_of(wanted)
    METRICS.update({name: metrics_of(name) for name in {run.problem for run in runs}})
    generator = np.random.default_rng(20261123)
    here = replace(environment(), commit="0" * 40, dirty=False)
    wall = processor = 0.0
    with Store(store, create=True) as opened:
        for done, unit in enumerate(units(runs)):
            results = made_up(unit, generator)
            begun, used = time.perf_counter(), time.process_time()
            opened.add(results, here)
            wall += time.perf_counter() - begun
            processor += time.process_time() - used
            if done % 2000 == 1999:
                print(f"{done + 1:,} units in {wall:.0f} s", file=sys.stderr, flush=True)
    return len(runs), wall, processor


def resume(store: str, wanted: int) -> tuple[int, float, float]:
    """Runs, and seconds of wall and processor within `Store.missing`."""
    runs = runs_of(wanted)
    with Store(store) as opened:
        begun, used = time.perf_counter(), time.process_time()
        missing = opened.missing(runs)
        taken = time.perf_counter() - begun, time.process_time() - used
    failed = len(missing) / len(runs)
    if not 0 < failed < 5 * FAILED:
        raise SystemExit(f"{len(missing)} of {len(runs)} runs are missing")
    return len(runs), *taken


PHASES = {"insert": insert, "resume": resume}


def within(phase: str, store: str, wanted: int) -> tuple[int, Cost]:
    """A phase that is part of a process."""
    command = [sys.executable, __file__, "--phase", phase, "--runs", str(wanted), "--store", store]
    finished = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    told = json.loads(finished.stdout)
    return told["runs"], Cost(told["seconds"], told["processor"], told["peak"])


def whole(*arguments: str, folder: Path) -> Cost:
    """A command of optbench, from its start to its end."""
    command = [sys.executable, "-m", "optbench", *arguments]
    begun = time.perf_counter()
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    taken = time.perf_counter() - begun
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with status {process.returncode}")
    return Cost(taken, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * KIB)


def measure(store: str, wanted: int, folder: Path) -> Iterator[tuple[str, int, Cost]]:
    """Every phase in turn."""
    for name in PHASES:
        runs, cost = within(name, store, wanted)
        yield name, runs, cost
    for form in ("csv", "parquet"):
        file = folder / f"runs.{form}"
        yield (
            f"export to {form}",
            runs,
            whole("export", "--store", store, "--out", str(file), folder=folder),
        )
        file.unlink()
    out = folder / "report"
    yield "report", runs, whole("report", "--store", store, "--out", str(out), folder=folder)
    shutil.rmtree(out)


# Where stores are made, and the table.


def made(store: str | None, wanted: int, folder: Path) -> str:
    """A place for a store of this size; a database is made anew."""
    if store is None or "://" not in store:
        file = Path(store or folder) / f"measured-{wanted}.sqlite"
        for each in (file, *(file.with_name(file.name + end) for end in ("-wal", "-shm"))):
            each.unlink(missing_ok=True)
        return str(file)
    url = make_url(store)
    name = f"{url.database}_{wanted}"
    _administer(store, f'DROP DATABASE IF EXISTS "{name}"', f'CREATE DATABASE "{name}"')
    return url.set(database=name).render_as_string(hide_password=False)


def removed(store: str) -> None:
    """Take a store away again."""
    if "://" in store:
        _administer(store, f'DROP DATABASE "{make_url(store).database}"')
    else:
        Path(store).unlink()


def _administer(store: str, *statements: str) -> None:
    engine = create_engine(make_url(store).set(database="postgres"), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for statement in statements:
            connection.execute(text(statement))
    engine.dispose()


def line(phase: str, runs: int, cost: Cost, least: tuple[int, Cost]) -> str:
    """A row of the table; ``least`` is the phase in the smallest store."""
    share = least[0] / runs
    return (
        f"| {phase} | {runs:,} | {cost.seconds:,.1f} | {cost.processor:,.1f} "
        f"| {cost.peak / 1e9:.2f} | {cost.seconds / runs * 1e6:,.0f} "
        f"| {cost.seconds / least[1].seconds * share:.2f} "
        f"| {cost.processor / least[1].processor * share:.2f} |"
    )


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--runs", type=int, nargs="+", default=[10_000, 1_000_000])
    parser.add_argument("--store", help="a folder for SQLite files, or a PostgreSQL URL")
    parser.add_argument("--keep", action="store_true", help="leave the stores where they are")
    parser.add_argument("--phase", choices=PHASES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.phase:
        runs, seconds, processor = PHASES[options.phase](options.store, options.runs[0])
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * KIB
        print(json.dumps({"runs": runs, "seconds": seconds, "processor": processor, "peak": peak}))
        return
    rows: dict[str, list[tuple[int, Cost]]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as made_here:
        folder = Path(made_here)
        for wanted in sorted(options.runs):
            store = made(options.store, wanted, folder)
            for phase, runs, cost in measure(store, wanted, folder):
                rows[phase].append((runs, cost))
                print(line(phase, runs, cost, rows[phase][0]), file=sys.stderr, flush=True)
            if not options.keep:
                removed(store)
    print("| phase | runs | seconds | processor | peak GB | µs a run | ratio | of processor |")
    print("|---|--:|--:|--:|--:|--:|--:|--:|")
    for phase, measured in rows.items():
        for runs, cost in measured:
            print(line(phase, runs, cost, measured[0]))


if __name__ == "__main__":
    main()
