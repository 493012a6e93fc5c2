"""How `optbench run` scales on this machine: the tables of docs/scaling.md.

    python scripts/measure_scaling.py [--rounds 3] [--runs 10000] [--store FOLDER | URL]

- Whole commands, start and plan included, on a new store each time: one and two worker processes,
  and Dask workers on this machine, in turns. A speed-up is the ratio to the one worker of the same
  round; processor seconds are those of the command and of all that it began.
- A store of so many made-up runs of the nightly's catalogue, with traces: what `Store.add` takes in
  units of fifty runs, and `Store.missing` of the whole plan. A URL names an empty database.
"""

from __future__ import annotations

import argparse
import itertools
import math
import resource
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np

from optbench.engine.environment import environment
from optbench.engine.outcome import hits
from optbench.engine.plan import Selection, plan
from optbench.engine.runs import Result, Run, Status, Trace
from optbench.engine.schedule import log_schedule
from optbench.engine.suites import SUITES
from optbench.problems import PROBLEMS
from optbench.store import Store

SELECTED = ("--suite", "quick", "--seeds", "1", "--budget", "500")
"""A minute or so of one core."""

COMMANDS = {
    "1 worker": ("--jobs", "1"),
    "2 workers": ("--jobs", "2"),
    "Dask, 1 worker": ("--dask", "local:1"),
    "Dask, 2 workers": ("--dask", "local:2"),
}
"""The first is what the others are compared with."""

UNIT = 50
"""Runs that are added at once."""


def main() -> None:
    """Measure, and print Markdown tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--store", help="a folder, or a database's URL; else a temporary folder")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        commands(options.rounds, folder)
        where = options.store or folder
        store(where if "://" in where else f"{where}/made_up.sqlite", options.runs)


def commands(rounds: int, folder: str) -> None:
    """Print what whole commands take."""
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in COMMANDS}
    for number, name in itertools.product(range(rounds), COMMANDS):
        where = f"{folder}/{number} {name}.sqlite"
        command = [sys.executable, "-m", "optbench", "run", *SELECTED, *COMMANDS[name]]
        wall, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([*command, "--store", where], check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        taken[name].append((time.perf_counter() - wall, processor))
    first = [wall for wall, _ in taken[next(iter(COMMANDS))]]
    print("| median | wall, s | CPU, s | speed-up |\n|---|--:|--:|--:|")
    for name, each in taken.items():
        speed_up = statistics.median(one / wall for one, (wall, _) in zip(first, each, strict=True))
        wall, processor = map(statistics.median, zip(*each, strict=True))
        print(f"| {name} | {wall:.0f} | {processor:.0f} | {speed_up:.2f} |")


def store(where: str, wanted: int) -> None:
    """Print what a run costs to insert, and to find again."""
    seeds = math.ceil(wanted / len(runs_of(1)))
    runs = runs_of(seeds)
    here = environment()
    insert = 0.0
    with Store(where, create=True) as opened:
        for first in range(0, len(runs), UNIT):
            results = [made_up(run) for run in runs[first : first + UNIT]]
            begun = time.perf_counter()
            opened.add(results, here)
            insert += time.perf_counter() - begun
        begun = time.perf_counter()
        missing = opened.missing(runs)
        resume = time.perf_counter() - begun
    assert not missing
    print(f"\n| {len(runs):,} runs | wall, s | us a run |\n|---|--:|--:|")
    for name, seconds in (("insert", insert), ("resume", resume)):
        print(f"| {name} | {seconds:.1f} | {1e6 * seconds / len(runs):.0f} |")


def runs_of(seeds: int) -> tuple[Run, ...]:
    """The nightly's settings on so many seeds."""
    chosen = [
        Selection.model_validate({**each.model_dump(), "seeds": tuple(range(seeds))})
        for each in SUITES["nightly"].selections
    ]
    return plan(chosen).runs


def made_up(run: Run) -> Result:
    """A run that decays as its seed says."""
    problem = PROBLEMS[run.problem]
    steps = np.asarray(log_schedule(run.budget, problem.observe_every), np.int32)
    gaps = np.exp(-steps * (1 + run.seed % 7) * 2 / run.budget)
    trace = Trace(steps, gaps.astype(np.float32))
    return Result(
        run,
        Status.OK,
        steps=run.budget,
        initial_gap=float(gaps[0]),
        final_gap=float(gaps[-1]),
        hits=hits(steps, gaps, problem.targets),
        traces={"gap": trace, "loss": trace},
        seconds_per_step=1e-5,
        state_bytes=8 * problem.dimension,
    )


if __name__ == "__main__":
    main()
