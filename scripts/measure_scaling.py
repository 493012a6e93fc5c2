"""How `optbench run` scales on this machine, and what `scripts/simulate_cluster.py` has to know.

    python scripts/measure_scaling.py --rounds 3 --out figures.json
    python scripts/measure_scaling.py --part pieces --postgres postgresql://USER@HOST:PORT/DATABASE

Two parts, of which each replaces its own in the file:

- *commands*: `optbench run --suite quick --seeds 1 --budget 500` as a whole command, its start and
  its plan included, on a new store each time; with one and two worker processes and with Dask
  clusters of one, two and four, in turns. A speed-up is the ratio to the one worker of the same
  round. CPU seconds are those of the command and all that was begun from it (Linux). What everybody
  else on the machine takes meanwhile stands beside it: where that is much, wall times mean little.
- *pieces*: the same work once more, recorded; then what the coordinator does with it, piece by
  piece (`coordinator_costs.py`), on SQLite, and on a PostgreSQL server where one is given, whose
  user may create databases.

Prints Markdown tables.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import json
import multiprocessing
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import coordinator_costs as costs
from sqlalchemy import create_engine, make_url

from optbench.engine.dask_workers import connect
from optbench.engine.environment import environment
from optbench.engine.packing import pack
from optbench.engine.plan import plan
from optbench.engine.suites import SUITES
from optbench.whole_files import write_whole

SUITE, SEEDS, BUDGET = "quick", 1, 500
"""A minute or so of one core."""

SELECTED = ("--suite", SUITE, "--seeds", str(SEEDS), "--budget", str(BUDGET))

COMMANDS = {
    "1 worker": ("--jobs", "1"),
    "2 workers": ("--jobs", "2"),
    "Dask, 1 worker": ("--dask", "local:1"),
    "Dask, 2 workers": ("--dask", "local:2"),
    "Dask, 4 workers": ("--dask", "local:4"),
}
"""The first is what the others are compared with."""

TRIPS = 60
"""Parcels without work."""


def main() -> None:
    """Measure, print, and keep."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--part", choices=("commands", "pieces"), help="only this one")
    parser.add_argument("--postgres", metavar="URL", help="of a server, to measure it as well")
    parser.add_argument("--out", type=Path, default=Path("figures.json"))
    options = parser.parse_args()
    _adopt_orphans()
    found: dict[str, Any] = json.loads(options.out.read_text()) if options.out.exists() else {}
    for part in ("commands", "pieces"):
        if options.part in (None, part):
            with watched() as seen:
                of_part = commands(options.rounds) if part == "commands" else pieces(options)
            found[part] = {"provenance": provenance() | seen, **of_part}
            write_whole(options.out, (json.dumps(found) + "\n").encode())
    if "commands" in found:
        print(table(found["commands"]["rounds"]))
    if "pieces" in found:
        print()
        print(table_of_pieces(found["pieces"]))


def commands(rounds: int) -> dict[str, Any]:
    """Whole commands, in turns."""
    done = []
    for number in range(rounds):
        names = list(COMMANDS)
        # Whoever comes first finds another machine than whoever comes last.
        order = names[number % len(names) :] + names[: number % len(names)]
        here = {name: run(*COMMANDS[name]) for name in order}
        done.append({name: here[name] for name in names})
        for name in names:
            print(f"round {number + 1}, {name}: {here[name]}", file=sys.stderr, flush=True)
    return {"selected": SELECTED, "rounds": done}


def run(*arguments: str) -> dict[str, float]:
    """One command: its seconds of wall and CPU time, and the processors that others took."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "optbench", "run", *SELECTED]
        before = _cpu_of_children()
        with watched() as seen:
            begun = time.perf_counter()
            subprocess.run(
                [*command, *arguments, "--store", f"{folder}/store.sqlite"],
                check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )  # fmt: skip
            wall = time.perf_counter() - begun
            _reap()
    cpu = _cpu_of_children() - before
    others = max(0.0, float(seen["busy_processors"]) - cpu / wall)
    return {"wall_s": round(wall, 2), "cpu_s": round(cpu, 2), "others": round(others, 2)}


def pieces(options: argparse.Namespace) -> dict[str, Any]:
    """What the simulation is fed with."""
    selections = [
        each.model_copy(update={"seeds": tuple(range(SEEDS)), "budget": BUDGET})
        for each in SUITES[SUITE].selections
    ]
    found: dict[str, Any] = {
        "begin_s": min(_cpu_of(_begin) for _ in range(3)),
        "worker_s": min(_cpu_of(_begin_a_worker) for _ in range(3)),
        "connect_s": {str(n): _cpu_of(lambda n=n: _connect(n)) for n in (1, 2, 4)},
        "nightly": _nightly(),
        "trip": {"local": costs.trip(TRIPS, None), "dask": costs.trip(TRIPS, "local:1")},
    }
    with tempfile.TemporaryDirectory() as folder:
        _reap()
        before = _cpu_of_children()
        recorded = costs.record(selections, f"{folder}/recorded.sqlite")
        _reap()
        worked = _cpu_of_children() - before - found["worker_s"]
        found["units"] = [(round(e, 4), round(s, 4), n) for e, s, n in recorded.units]
        found["runs"] = len(recorded.runs)
        # Seconds of a worker in which it had a processor: on a busy machine it waits for one.
        seconds = sum(unit[1] for unit in recorded.units)
        found["on_a_processor"] = min(1.0, worked / seconds)
        found["messages"] = _priced(costs.messages(recorded))
        urls = [f"{folder}/{workers}.sqlite" for workers in costs.SIZES]
        found["sqlite"] = _with_store(recorded, urls)
    if options.postgres:
        with databases(options.postgres, len(costs.SIZES)) as urls:
            found["postgresql"] = _with_store(recorded, urls)
    return found


def _with_store(recorded: costs.Recorded, urls: Sequence[str]) -> dict[str, Any]:
    observed, planned = costs.with_store(recorded, urls)
    return {
        "plan_s_a_run": planned.cpu_s / planned.runs,
        **_priced(observed),
    }


def _priced(observed: costs.Observations) -> dict[str, Any]:
    return {name: costs.priced(each) for name, each in observed.items()}


def _cpu_of(do: Callable[[], object]) -> float:
    """CPU seconds of the processes that it begins and ends."""
    _reap()
    before = _cpu_of_children()
    do()
    _reap()
    return _cpu_of_children() - before


def _begin() -> None:
    """A command that plans, and runs nothing."""
    command = [sys.executable, "-m", "optbench", "run", *SELECTED, "--dry-run"]
    subprocess.run(command, check=True, capture_output=True)


def _begin_a_worker() -> None:
    """A worker process that does next to nothing."""
    costs.trip(1, None)


def _connect(workers: int) -> None:
    """A Dask cluster that does nothing."""
    with connect(f"local:{workers}"):
        pass


def _nightly() -> dict[str, Any]:
    """The nightly's plan, and its units: [expected seconds, runs, how many such]."""
    begun = time.perf_counter()
    runs = plan(SUITES["nightly"].selections).runs
    seconds = time.perf_counter() - begun
    alike = Counter((float(f"{u.expected_s:.3g}"), len(u.runs)) for u in pack(runs))
    return {
        "runs": len(runs),
        "plan_s": seconds,
        "units": [[*kind, n] for kind, n in sorted(alike.items())],
    }


@contextmanager
def databases(url: str, count: int) -> Iterator[list[str]]:
    """Empty databases on a server, for as long as the context lasts."""
    # psycopg 3 is what optbench has.
    server = make_url(url.replace("postgresql://", "postgresql+psycopg://", 1))
    names = [f"optbench_scaling_{os.getpid()}_{number}" for number in range(count)]
    with closing_engine(server) as connection:
        try:
            for name in names:
                connection.exec_driver_sql(f"CREATE DATABASE {name}")
            yield [
                server.set(database=name).render_as_string(hide_password=False) for name in names
            ]
        finally:
            for name in names:
                connection.exec_driver_sql(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


@contextmanager
def closing_engine(url: Any) -> Iterator[Any]:
    """A connection outside of transactions, in which databases can be made."""
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    try:
        with closing(engine.connect()) as connection:
            yield connection
    finally:
        engine.dispose()


def provenance() -> dict[str, Any]:
    """When, where and of what."""
    here = environment()
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "cpu": here.cpu,
        "cores": here.cores,
        "os": platform.system(),
        "python": here.python,
        "commit": here.commit,
        **{name: version(name) for name in ("optbench", "torch", "SQLAlchemy", "distributed")},
    }


@contextmanager
def watched() -> Iterator[dict[str, Any]]:
    """Say how many processors were busy meanwhile, whoever kept them so."""
    seen: dict[str, Any] = {}
    before, begun = _busy(), time.perf_counter()
    yield seen
    seen["busy_processors"] = round((_busy() - before) / (time.perf_counter() - begun), 2)


def _busy() -> float:
    """Seconds that all processors together were busy since the machine began (proc(5))."""
    user, nice, system, _, _, irq, softirq, steal, *_ = map(
        int, Path("/proc/stat").read_text("ascii").splitlines()[0].split()[1:]
    )
    ticks = user + nice + system + irq + softirq + steal
    return float(ticks / os.sysconf("SC_CLK_TCK"))


def _cpu_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _adopt_orphans() -> None:
    """Be the parent of whoever loses one: what nobody waited for is counted here, too."""
    PR_SET_CHILD_SUBREAPER = 36
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "cannot adopt orphans, whose CPU time is to be counted")


def _reap() -> None:
    """Wait for all that was begun from here, so that its CPU time is counted."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        multiprocessing.active_children()  # its own first: it would miss their exit status
        left = _children()
        if not left:
            return
        for process in left:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(process, os.WNOHANG)
        time.sleep(0.02)
    raise TimeoutError("something that was begun from here does not end")


def _children() -> list[int]:
    """Of this process and its threads, without the one that multiprocessing keeps till the end."""
    found = []
    for listed in Path("/proc/self/task").glob("*/children"):
        for process in listed.read_text("ascii").split():
            with contextlib.suppress(OSError):
                said = Path(f"/proc/{process}/cmdline").read_bytes()
                if b"resource_tracker" not in said:
                    found.append(int(process))
    return found


def table(rounds: Sequence[dict[str, dict[str, float]]]) -> str:
    """Of the commands; seconds as the median, and the least and the most in brackets."""
    first = next(iter(COMMANDS))
    lines = [
        f"| {len(rounds)} rounds | wall, s | CPU, s | speed-up | a worker | others' processors |",
        "|---|---|---|---|---|---|",
    ]
    for name in COMMANDS:
        of = {what: [r[name][what] for r in rounds] for what in ("wall_s", "cpu_s", "others")}
        ratios = [r[first]["wall_s"] / r[name]["wall_s"] for r in rounds]
        workers = int(next(word for word in name.split() if word.isdigit()))
        lines.append(
            f"| {name} | {_spread(of['wall_s'], 0)} | {_spread(of['cpu_s'], 0)} "
            f"| {_spread(ratios, 2)} | {statistics.median(ratios) / workers:.2f} "
            f"| {statistics.median(of['others']):.1f} |"
        )
    return "\n".join(lines)


def _spread(values: Sequence[float], digits: int) -> str:
    middle, least, most = statistics.median(values), min(values), max(values)
    return f"{middle:.{digits}f} ({least:.{digits}f} to {most:.{digits}f})"


def table_of_pieces(found: dict[str, Any]) -> str:
    """What the coordinator does."""
    lines = [
        "| the coordinator | CPU: ms a parcel | and us a run | waiting: ms a parcel | and us a run "
        "| statements |",
        "|---|---|---|---|---|---|",
    ]
    rows = list(found["messages"].items())
    for store in ("sqlite", "postgresql"):
        if store in found:
            rows += [(f"{store}: {name}", found[store][name]) for name in _OF_STORE]
    for name, of in rows:
        sent = of["statements"]["parcel"]
        cells = [
            f"{scale * of[what][each]:.{digits}f}"
            for what in ("cpu_s", "waits_s")
            for each, scale, digits in (("parcel", 1e3, 2), ("run", 1e6, 0))
        ]
        lines.append(f"| {name} | {' | '.join(cells)} | {f'{sent:.0f}' if sent else ''} |")
    for where, trip in found["trip"].items():
        lines.append(
            f"| {where}: there and back | {1e3 * trip['cpu_s']:.2f} | "
            f"| {1e3 * (trip['wall_s'] - trip['cpu_s']):.1f} | | |"
        )
    return "\n".join(lines)


_OF_STORE = ("claim", "keep", "refused")


if __name__ == "__main__":
    main()
