"""What a cluster of up to a thousand workers would do: the model of `cluster_model.py`, fed with
what `measure_scaling.py` measured.

    python scripts/simulate_cluster.py [FIGURES.json] [--figure docs/figures/scaling.png]

Prints the tables of docs/scaling.md: what the model says of the commands that were measured, with
its error; the nightly and a million runs on 1 to 1,024 workers; what the coordinator's limit is,
and what moves it. Seeds are fixed: the same file gives the same tables.

Assumed, where nothing could be measured: a message takes 0.5 ms one way, a round trip to the
database 0.2 ms, and its server has eight processors.
"""

from __future__ import annotations

import argparse
import bisect
import json
import random
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cluster_model import (
    Cluster,
    Coordination,
    Load,
    Outcome,
    Price,
    simulate,
    workers_at_the_limit,
)

from optbench.engine.packing import parcels
from optbench.engine.runs import Run
from optbench.engine.work import Unit

FIGURES = Path(__file__).with_name("scaling_figures.json")

LATENCY_S = 0.0005
ROUND_TRIP_S = 0.0002

WORKERS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)

MILLION = 18
"""Nightlies, each with seeds of its own: 995,688 runs."""

LIKE = 24
"""Measured units that a unit may be like: a tenth of them."""

STEADY = 4
"""Millions of runs, where start and end are to weigh little."""

Figures = dict[str, Any]


@dataclass(frozen=True)
class Piece:
    """A unit: what it was expected to take and what it takes, in seconds, and its runs."""

    expected_s: float
    seconds: float
    runs: int


def main() -> None:
    """Print the tables, and draw the figure."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split(":", 1)[0])
    parser.add_argument("figures", type=Path, nargs="?", default=FIGURES)
    parser.add_argument("--figure", type=Path, help="where to draw it, as PNG")
    options = parser.parse_args()
    figures = read(options.figures)
    for title, lines in tables(figures):
        print(f"\n### {title}\n", *lines, sep="\n", flush=True)
    if options.figure:
        from figure_scaling import draw

        options.figure.parent.mkdir(parents=True, exist_ok=True)
        draw(curves(figures), options.figure)


def read(path: Path) -> Figures:
    """What was measured: the pieces, and beside them the commands."""
    found = json.loads(path.read_text("utf-8"))
    return {**found["pieces"], "commands": found["commands"]}


def tables(figures: Figures) -> Iterator[tuple[str, list[str]]]:
    """Titles, and lines of Markdown."""
    yield "The model and the machine", validation(figures)
    million = pieces(figures, MILLION)
    yield "The nightly", one_coordinator(figures, pieces(figures, 1))
    yield "A million runs", one_coordinator(figures, million)
    yield "Where the coordinator is the limit", limits(figures, million)
    yield f"A million runs on {WORKERS[-1]:,} workers", remedies(figures, million)
    yield "Workers that are lost, a million runs on 256", losses(figures, million)


def coordination(
    figures: Figures, store: str, runs: int, *, via: str = "dask", nearby: bool = False
) -> Coordination:
    """What a coordinator of so many runs does; ``nearby``: on one machine, as it was measured."""
    kept, messages, trip = figures[store], figures["messages"], figures["trip"][via]
    # Of what a parcel costs there and back, whatever is in it, one half each.
    each_way = Price(trip["cpu_s"] / 2)
    claim, keep, refused = (_priced(kept[name]) for name in ("claim", "keep", "refused"))
    planning = figures["nightly"]["plan_s"] / figures["nightly"]["runs"]
    if store == "postgresql" and not nearby:
        claim, keep, refused = (
            price + Price(ROUND_TRIP_S * kept[name]["statements"]["parcel"])
            for name, price in (("claim", claim), ("keep", keep), ("refused", refused))
        )
    return Coordination(
        before=figures["begin_s"] + runs * (kept["plan_s_a_run"] + planning),
        claim=claim,
        hand_out=_priced(messages[f"{via} hand out"]) + each_way,
        take_back=_priced(messages[f"{via} take back"]) + each_way,
        keep=keep,
        refused=refused,
        server=_waits(kept) if store == "postgresql" else 0.0,
    )


def _priced(measured: Figures) -> Price:
    return Price(**measured["cpu_s"]) + Price(**measured["waits_s"])


def _waits(kept: Figures) -> float:
    """The share of a coordinator's time with its server in which the server works."""
    hundred = Load(0.0, 100)
    waits, own = (
        sum(Price(**kept[name][what]).of(hundred) for name in ("claim", "keep"))
        for what in ("waits_s", "cpu_s")
    )
    return waits / (waits + own)


def cluster(figures: Figures, workers: int, **more: Any) -> Cluster:
    """So many workers of Dask's, each on a processor of its own."""
    return Cluster(
        workers,
        2 * workers,
        start_s=figures["worker_s"],
        latency_s=LATENCY_S,
        per_parcel_s=figures["trip"]["dask"]["wall_s"],
        **more,
    )


def pieces(figures: Figures, nights: int, seed: int = 0) -> list[Piece]:
    """The units of so many nightlies.

    What each takes is what was expected of it, times how far off one of the `LIKE` measured units
    nearest to it in size was; all together as much as the measured ones say.
    """
    drawn = random.Random(seed)
    measured = sorted(figures["units"])
    sizes = [expected for expected, _, _ in measured]
    errors = [seconds / expected for expected, seconds, _ in measured]
    found = []
    for expected, runs, count in figures["nightly"]["units"]:
        first = bisect.bisect(sizes, expected) - LIKE // 2
        first = max(0, min(first, len(sizes) - LIKE))
        for error in drawn.choices(errors[first : first + LIKE], k=count * nights):
            found.append(Piece(expected, expected * error, runs))
    pace = sum(s for _, s, _ in measured) / sum(sizes) * figures["on_a_processor"]
    scale = pace * sum(each.expected_s for each in found) / sum(each.seconds for each in found)
    return [replace(each, seconds=each.seconds * scale) for each in found]


def loads(units: Sequence[Piece], workers: int) -> list[Load]:
    """Parcels for so many workers, in the order of the engine: it is asked to make them."""
    any_run = Run("any", (), "any", 1, "", 0, 1)
    takes: dict[int, float] = {}
    stand_ins = []
    for each in sorted(units, key=lambda each: each.expected_s, reverse=True):
        unit = Unit((any_run,) * each.runs, expected_s=each.expected_s)
        takes[id(unit)] = each.seconds
        stand_ins.append(unit)
    return [
        Load(sum(takes[id(unit)] for unit in parcel.units), sum(len(u.runs) for u in parcel.units))
        for parcel in parcels(stand_ins, workers)
    ]


def merged(work: Sequence[Load], together: int) -> list[Load]:
    """Parcels so many times as long."""
    groups = [work[first : first + together] for first in range(0, len(work), together)]
    return [Load(sum(e.seconds for e in g), sum(e.runs for e in g)) for g in groups]


def one_coordinator(figures: Figures, units: Sequence[Piece]) -> list[str]:
    """From one worker to a thousand."""
    lines = [
        "| workers | wall | speed-up | efficiency | workers busy | coordinator busy | parcels |",
        "|---|---|---|---|---|---|---|",
    ]
    first = None
    for workers in WORKERS:
        outcome = with_one(figures, units, workers)
        first = first or outcome
        speed_up = first.wall_s / outcome.wall_s
        lines.append(
            f"| {workers:,} | {duration(outcome.wall_s)} | {speed_up:,.1f} "
            f"| {speed_up / workers:.0%} | {outcome.workers_busy:.0%} "
            f"| {outcome.coordinators_busy:.0%} | {len(outcome.done):,} |"
        )
    return lines


def with_one(figures: Figures, units: Sequence[Piece], workers: int) -> Outcome:
    """One coordinator on SQLite."""
    own = coordination(figures, "sqlite", sum(each.runs for each in units))
    return simulate(loads(units, workers), own, cluster(figures, workers))


def with_several(
    figures: Figures, units: Sequence[Piece], workers: int, coordinators: int, *, divided: bool
) -> Outcome:
    """Several coordinators on PostgreSQL, each with its part of the workers."""
    runs = sum(each.runs for each in units)
    own = coordination(figures, "postgresql", runs // coordinators if divided else runs)
    return simulate(
        loads(units, workers if divided else workers // coordinators),
        own,
        cluster(figures, workers, coordinators=coordinators, divided=divided),
    )


def limits(figures: Figures, million: Sequence[Piece]) -> list[str]:
    """N* by the formula and in the model, where workers and coordinator are busy alike."""
    lines = [
        "| work | store | a run, ms | the coordinator's, us a run | N* | at N* workers busy "
        "| at 2 N* |",
        "|---|---|---|---|---|---|---|",
    ]
    for store in ("sqlite", "postgresql"):
        for times, name in ((1, "the nightly's runs"), (10, "ten times as long")):
            units = [replace(e, seconds=times * e.seconds) for e in million]
            runs = sum(each.runs for each in units)
            own = replace(coordination(figures, store, runs), before=0.0)
            work = loads(units, 1)
            limit = workers_at_the_limit(work, own)
            seconds = sum(load.seconds for load in work)
            busy = [
                simulate(work * STEADY, own, cluster(figures, round(limit * k))).workers_busy
                for k in (1, 2)
            ]
            lines.append(
                f"| {name} | {store} | {1e3 * seconds / runs:.0f} "
                f"| {1e6 * sum(own.of(load) for load in work) / runs:.0f} | {limit:,.0f} "
                f"| {busy[0]:.0%} | {busy[1]:.0%} |"
            )
    return lines


def remedies(figures: Figures, units: Sequence[Piece]) -> list[str]:
    """What a million runs take on many workers, and what helps."""
    workers = WORKERS[-1]
    sqlite = coordination(figures, "sqlite", sum(each.runs for each in units))
    work = loads(units, workers)
    asked: list[tuple[str, Outcome]] = []
    for together in (1, 4, 16):
        outcome = simulate(merged(work, together), sqlite, cluster(figures, workers))
        how = f"one, SQLite, parcels {together} times as long" if together > 1 else "one, SQLite"
        asked.append((how, outcome))
    for coordinators in (1, 2, 4, 8, 16):
        for divided in (False, True)[coordinators == 1 :]:
            how = "a part of the plan each" if divided else "the whole plan each"
            how = f"{coordinators} on PostgreSQL" + (f", {how}" if coordinators > 1 else "")
            outcome = with_several(figures, units, workers, coordinators, divided=divided)
            asked.append((how, outcome))
    longer = [replace(load, seconds=10 * load.seconds) for load in work]
    asked.append(
        ("one, SQLite, runs ten times as long", simulate(longer, sqlite, cluster(figures, workers)))
    )
    lines = [
        "| coordinators | wall | before the first parcel | workers busy | coordinators busy |",
        "|---|---|---|---|---|",
    ]
    for name, outcome in asked:
        lines.append(
            f"| {name} | {duration(outcome.wall_s)} | {duration(outcome.before_s)} "
            f"| {outcome.workers_busy:.0%} | {outcome.coordinators_busy:.0%} |"
        )
    return lines


def losses(figures: Figures, units: Sequence[Piece]) -> list[str]:
    """Workers that go away."""
    workers = 256
    own = coordination(figures, "sqlite", sum(each.runs for each in units))
    lines = ["| losses an hour and worker | parcels done again | wall |", "|---|---|---|"]
    for rate in (0.0, 0.1, 1.0, 10.0):
        outcome = simulate(
            loads(units, workers), own, cluster(figures, workers, failures_per_hour=rate)
        )
        lines.append(f"| {rate:g} | {outcome.lost:,} | {duration(outcome.wall_s)} |")
    return lines


def validation(figures: Figures) -> list[str]:
    """What the model says of the commands that were measured."""
    commands = figures["commands"]
    lines = ["| | measured, s | modelled, s | error | least | most |", "|---|---|---|---|---|---|"]
    for name in commands["rounds"][0]:
        pairs = [(r[name]["wall_s"], modelled(figures, r, name)) for r in commands["rounds"]]
        errors = [model / measured - 1 for measured, model in pairs]
        lines.append(
            f"| {name} | {statistics.median(p[0] for p in pairs):.0f} "
            f"| {statistics.median(p[1] for p in pairs):.0f} | {statistics.median(errors):+.0%} "
            f"| {min(errors):+.0%} | {max(errors):+.0%} |"
        )
    return lines


def modelled(figures: Figures, of_round: Figures, name: str) -> float:
    """Wall seconds of a command in a round, as the model has them.

    Workers and coordinator share the processors in equal parts, less what others took meanwhile.
    How much work there is, is told by the CPU seconds of the one worker in that round; the others
    are what is foretold.
    """
    workers = int(next(word for word in name.split() if word.isdigit()))
    via = "dask" if name.startswith("Dask") else "local"
    trip = figures["trip"][via]
    own = coordination(figures, "sqlite", figures["runs"], via=via, nearby=True)
    processors = figures["provenance"]["cores"] - of_round[name]["others"]
    if via == "dask":
        # A scheduler, then its workers side by side.
        begun = figures["connect_s"]
        each = (begun["4"] - begun["1"]) / 3
        begin = begun["1"] - each + each * max(1.0, workers / processors)
        own = replace(own, before=own.before + begin)
    units = [Piece(*each) for each in figures["units"]]
    alone = of_round[next(iter(of_round))]["cpu_s"] - figures["begin_s"]
    alone -= figures["worker_s"]
    scale = alone / sum(each.seconds for each in units)
    units = [replace(each, seconds=scale * each.seconds) for each in units]
    outcome = simulate(
        loads(units, workers),
        own,
        Cluster(
            workers,
            2 * workers if via == "dask" else workers + 1,
            start_s=figures["worker_s"],
            per_parcel_s=trip["wall_s"],
            processors=processors,
        ),
    )
    return outcome.wall_s


def curves(figures: Figures) -> dict[str, Any]:
    """What the figure shows: seconds by workers, and how busy everybody is."""
    units = pieces(figures, MILLION)
    own = coordination(figures, "sqlite", sum(each.runs for each in units))
    found: dict[str, Any] = {
        "workers": WORKERS,
        "nightly": [with_one(figures, pieces(figures, 1), n) for n in WORKERS],
        "million": [with_one(figures, units, n) for n in WORKERS],
        "several": [
            with_several(figures, units, n, 8, divided=True) if n >= 8 else None for n in WORKERS
        ],
        "limit": workers_at_the_limit(loads(units, 1), replace(own, before=0.0)),
    }
    first = next(iter(figures["commands"]["rounds"][0]))
    found["measured"] = {
        name: statistics.median(
            r[first]["wall_s"] / r[name]["wall_s"] for r in figures["commands"]["rounds"]
        )
        for name in figures["commands"]["rounds"][0]
    }
    return found


def duration(seconds: float) -> str:
    """For people."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.1f} min"
    return f"{seconds / 3600:.1f} h"


if __name__ == "__main__":
    main()
