"""Runs into units, and units into what a worker is given at once."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from optbench.engine.environment import Environment
from optbench.engine.runs import Result, Run, canonical
from optbench.engine.work import Unit, max_lanes
from optbench.optimizers import OPTIMIZERS, Route
from optbench.optimizers.schedules import LR_SCHEDULE
from optbench.problems import PROBLEMS

PARCEL_S = 10.0
"""Seconds of work that a worker is given at once: long beside what it costs to hand it over, short
beside what a power cut may cost."""

TURNS = 8
"""Parcels for each worker, where there is less work than that: the last ones end together."""

COST_S = 1.1e-4
"""Seconds that one unit of `estimated_cost` takes where nothing was measured (one core of 2023)."""

VARIED = ("lr", LR_SCHEDULE)
"""Hyperparameters that lanes of one unit may differ in."""

ALONE = ("bfloat16",)
"""Dtypes whose runs share no unit: in bfloat16 torch's ``add`` with a factor, which SGD is made of,
rounds what fills a vector register otherwise than the rest: a lane's bits depend on its place."""


@dataclass(frozen=True)
class Parcel:
    """Units that a worker is given at once: ten seconds of work, or one unit that takes longer."""

    units: tuple[Unit, ...]

    @property
    def runs(self) -> tuple[Run, ...]:
        """Of all its units."""
        return tuple(run for unit in self.units for run in unit.runs)

    @property
    def expected_s(self) -> float:
        """Seconds that it will take, as far as can be told."""
        return sum(unit.expected_s for unit in self.units)

    @property
    def title(self) -> str:
        """For people."""
        more = f" and {len(self.units) - 1} more" if len(self.units) > 1 else ""
        return self.units[0].title + more


@dataclass(frozen=True)
class Performed:
    """What came of a parcel.

    Attributes
    ----------
    results : tuple of Result
        One for each of its runs, in their order.
    environment : Environment or None
        Where, if that was not the coordinator's machine.
    """

    results: tuple[Result, ...]
    environment: Environment | None = None


class Pace:
    """How long runs will take, by how long their like took.

    Parameters
    ----------
    measured : mapping
        (optimizer, problem, dtype, device) to seconds a gradient evaluation and run, as runs that
        shared a tensor program took them (`optbench.store.Store.costs`).
    """

    def __init__(self, measured: Mapping[tuple[str, str, str, str], float] | None = None) -> None:
        self._measured = dict(measured or {})

    def seconds(self, runs: Sequence[Run]) -> float:
        """Of runs that advance together."""
        first = runs[0]
        known = self._measured.get((first.optimizer, first.problem, first.dtype, first.device))
        if known is not None:
            return known * first.budget * len(runs)
        return COST_S * estimated_cost(runs)


def pack(runs: Iterable[Run], pace: Pace | None = None, *, certify: bool = False) -> list[Unit]:
    """Group runs into units, the longest first; ``certify`` as in `Unit`.

    Lanes of one setting stand together, and a lane's bits do not depend on its company, so how
    runs are packed changes nothing but the time. Lanes that would take much longer than a parcel
    are split, as far as there are lanes.
    """
    pace = pace or Pace()
    together: dict[tuple[object, ...], list[Run]] = defaultdict(list)
    for run in runs:
        others = canonical({k: v for k, v in run.settings.items() if k not in VARIED})
        together[run.optimizer, run.problem, others, run.budget, run.dtype, run.device].append(run)
    units = []
    for group in together.values():
        optimizer, problem = OPTIMIZERS[group[0].optimizer], PROBLEMS[group[0].problem]
        group.sort(key=lambda run: (canonical(run.settings), run.seed))
        faster = certify and ":" in optimizer.name
        size = problem.max_lanes if faster else max_lanes(optimizer, problem)
        if group[0].dtype in ALONE:
            size = 1
        most = group[:size]
        expected = pace.seconds(most)
        if expected > 1.5 * PARCEL_S:
            size = max(1, math.floor(len(most) * PARCEL_S / expected))
        for first in range(0, len(group), size):
            lanes = tuple(group[first : first + size])
            units.append(Unit(lanes, certify, pace.seconds(lanes)))
    return sorted(units, key=lambda unit: unit.expected_s, reverse=True)


def parcels(units: Sequence[Unit], workers: int) -> list[Parcel]:
    """Units as they are handed out, the longest first: about `PARCEL_S` of work, or one unit.

    Less where there is little work: each of the workers comes `TURNS` times.
    """
    enough = min(PARCEL_S, sum(unit.expected_s for unit in units) / (workers * TURNS))
    found: list[Parcel] = []
    gathered: list[Unit] = []
    for unit in units:
        gathered.append(unit)
        if sum(each.expected_s for each in gathered) >= enough:
            found.append(Parcel(tuple(gathered)))
            gathered = []
    if gathered:
        found.append(Parcel(tuple(gathered)))
    return sorted(found, key=lambda parcel: parcel.expected_s, reverse=True)


def trimmed(parcel: Parcel, runs: set[Run]) -> Parcel | None:
    """Return the part of a parcel with these runs; None where nothing is left."""
    units = []
    for unit in parcel.units:
        kept = tuple(run for run in unit.runs if run in runs)
        if kept:
            units.append(replace(unit, runs=kept))
    return Parcel(tuple(units)) if units else None


def estimated_cost(runs: Sequence[Run]) -> float:
    """Relative cost of runs that advance together, where nobody has measured it.

    A step's overhead counts once for the shared loss and half for each optimizer call; the
    arithmetic counts by lanes and dimension. Within a factor of two of what was measured.
    """
    run = runs[0]
    optimizer, problem = OPTIMIZERS[run.optimizer], PROBLEMS[run.problem]
    lanes = len(runs)
    if optimizer.closure:
        overhead = 1.5 * lanes
    else:
        calls = len({r.hyperparameters for r in runs}) if optimizer.route is Route.STACK else lanes
        overhead = 1 + 0.5 * calls
    return run.budget * (overhead + lanes * problem.dimension / 40_000)
