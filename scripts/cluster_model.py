"""Coordinators, workers and a store as a discrete-event model.

The loop of a coordinator is that of `optbench.engine.executors.execute` and
`optbench.runner.fill`: it claims and hands out parcels while it has room for more, waits for
the first that are done, and keeps all of these before it looks for room again. It does one thing
at a time, whatever the thing: in Python all of it shares one interpreter lock. SimPy
(simpy.readthedocs.io) has the clock.
"""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from typing import Any

import simpy

Steps = Generator[simpy.Event, Any, Any]
"""What a process of SimPy is."""

LOOK_AGAIN_S = 0.5
"""`optbench.engine.executors.LOOK_AGAIN_S`."""


@dataclass(frozen=True)
class Load:
    """A parcel of work: seconds that a worker takes for it, and its runs."""

    seconds: float
    runs: int


@dataclass(frozen=True)
class Price:
    """Seconds that something takes, for a parcel and for each of its runs."""

    parcel: float = 0.0
    run: float = 0.0

    def of(self, load: Load) -> float:
        """Seconds for one parcel."""
        return self.parcel + self.run * load.runs

    def __add__(self, other: Price) -> Price:
        return Price(self.parcel + other.parcel, self.run + other.run)


@dataclass(frozen=True)
class Coordination:
    """What a coordinator does, in seconds.

    Attributes
    ----------
    before : float
        Until it hands out the first parcel: its start, and the plan.
    claim, hand_out, take_back, keep : Price
        Of a parcel: to claim it, to encode and send it, to receive and decode what comes back, to
        put that into the store.
    refused : Price
        To learn that another coordinator has it.
    server : float
        The share of claiming and keeping that is the database server's work.
    """

    before: float = 0.0
    claim: Price = Price()
    hand_out: Price = Price()
    take_back: Price = Price()
    keep: Price = Price()
    refused: Price = Price()
    server: float = 0.0

    def of(self, load: Load) -> float:
        """Seconds that a coordinator on its own has to do with a parcel."""
        return (self.claim + self.hand_out + self.take_back + self.keep).of(load)


@dataclass(frozen=True)
class Cluster:
    """Where the work is done.

    Attributes
    ----------
    workers : int
        In all; of several coordinators each has its share of them.
    ahead : int
        Parcels that a coordinator holds at a time.
    start_s : float
        Seconds for a worker to begin, and to begin again after it was lost.
    latency_s : float
        Seconds of a message between coordinator and worker, one way.
    per_parcel_s : float
        Seconds of a worker's own for each parcel, besides the work.
    failures_per_hour : float
        How often a worker is lost, with the parcel that it has.
    coordinators : int
        That fill one store.
    divided : bool
        Each has a part of the plan to itself; otherwise all have the whole, and claim from it.
    server_slots : int
        Transactions that the database server works on at the same time.
    processors : int or None
        Shared by coordinators and workers, in equal parts; None: everybody has one of its own.
    """

    workers: int
    ahead: int
    start_s: float = 0.0
    latency_s: float = 0.0
    per_parcel_s: float = 0.0
    failures_per_hour: float = 0.0
    coordinators: int = 1
    divided: bool = False
    server_slots: int = 8
    processors: float | None = None


@dataclass
class Outcome:
    """What came of it.

    Attributes
    ----------
    wall_s : float
        Until the last coordinator was done.
    done : list of int
        How often each parcel was kept.
    lost : int
        Parcels that a worker took down with it.
    work_s : float
        Of the parcels that were kept, in seconds of a worker.
    coordinators_s : float
        That the coordinators were busy with parcels, in all.
    before_s : float
        Until the first parcel was handed out.
    """

    wall_s: float
    done: list[int]
    lost: int
    work_s: float
    coordinators_s: float
    before_s: float
    cluster: Cluster

    @property
    def workers_busy(self) -> float:
        """Share of their time that the workers do work which is kept."""
        return self.work_s / (self.cluster.workers * self.wall_s)

    @property
    def coordinators_busy(self) -> float:
        """Share of their time that the coordinators have to do with parcels."""
        return self.coordinators_s / (self.cluster.coordinators * self.wall_s)


def simulate(
    loads: Sequence[Load], coordination: Coordination, cluster: Cluster, seed: int = 0
) -> Outcome:
    """Have a cluster do some work.

    Parameters
    ----------
    loads : sequence of Load
        In the order in which they are handed out.
    seed : int
        Of the failures.
    """
    return _World(loads, coordination, cluster, seed).run()


def workers_at_the_limit(loads: Sequence[Load], coordination: Coordination) -> float:
    """How many workers one coordinator keeps busy: N* = seconds of work / seconds of its own.

    With fewer the workers are the limit, with more the coordinator is.
    """
    own = sum(coordination.of(load) for load in loads)
    return sum(load.seconds for load in loads) / own if own else math.inf


class _World:
    def __init__(
        self, loads: Sequence[Load], coordination: Coordination, cluster: Cluster, seed: int
    ) -> None:
        self.loads = loads
        self.coordination = coordination
        self.cluster = cluster
        self.env = simpy.Environment()
        self.random = random.Random(seed)
        self.server = simpy.Resource(self.env, cluster.server_slots)
        self.shared = (
            Processors(self.env, cluster.processors) if cluster.processors is not None else None
        )
        self.claimed: set[int] = set()
        self.done = [0] * len(loads)
        self.lost = 0
        self.coordinators_s = 0.0

    def run(self) -> Outcome:
        n = self.cluster.coordinators
        everything = list(range(len(self.loads)))
        coordinators = []
        for number in range(n):
            # The remainder goes to the first ones.
            workers = self.cluster.workers // n + (number < self.cluster.workers % n)
            plan = everything[number::n] if self.cluster.divided else everything
            coordinators.append(_Coordinator(self, plan, workers))
        ends = [self.env.process(each.fill()) for each in coordinators]
        for each in coordinators:
            for _ in range(each.workers):
                self.env.process(each.work())
        self.env.run(until=simpy.AllOf(self.env, ends))
        work = sum(load.seconds for load in self.loads)
        return Outcome(
            self.env.now,
            self.done,
            self.lost,
            work,
            self.coordinators_s,
            self.coordination.before,
            self.cluster,
        )

    def compute(self, seconds: float) -> simpy.Event:
        """So many seconds of a processor."""
        if self.shared is None:
            return self.env.timeout(seconds)
        return self.shared.compute(seconds)


class _Coordinator:
    def __init__(self, world: _World, plan: Sequence[int], workers: int) -> None:
        self.world, self.env = world, world.env
        self.workers = workers
        self.ahead = max(1, round(world.cluster.ahead * workers / world.cluster.workers))
        self.waiting = list(plan)
        self.position = 0
        self.theirs: list[int] = []
        # The longest first; one that was lost comes before what is shorter than it.
        self.queue = simpy.PriorityStore(self.env)
        self.finished: list[int] = []
        self.news = self.env.event()

    def fill(self) -> Steps:
        """The loop of `execute`, with what `fill` does around it."""
        own, loads = self.world.coordination, self.world.loads
        yield self.world.compute(own.before)
        running: set[int] = set()
        more = True
        while more or running:
            idle = False
            while more and not idle and len(running) < self.ahead:
                found = yield from self._next()
                if found is None:
                    more = bool(self.waiting)
                    idle = more
                    continue
                running.add(found)
                yield from self._busy(own.hand_out.of(loads[found]))
                self._after(self.world.cluster.latency_s, self._arrive, found)
            if idle and not running:
                yield self.env.timeout(LOOK_AGAIN_S)
            elif running and not self.finished:
                self.news = self.env.event()
                patience = [self.env.timeout(LOOK_AGAIN_S)] if idle else []
                yield simpy.AnyOf(self.env, [self.news, *patience])
            batch, self.finished = self.finished, []
            for index in batch:
                running.remove(index)
                yield from self._busy(own.take_back.of(loads[index]))
                yield from self._busy(own.keep.of(loads[index]), own.server)
                self.world.done[index] += 1

    def _next(self) -> Generator[simpy.Event, Any, int | None]:
        """A parcel that is ours now; None: none for the moment, or none at all."""
        world = self.world
        while self.position < len(self.waiting):
            index = self.waiting[self.position]
            self.position += 1
            if index in world.claimed:
                refused = world.coordination.refused.of(world.loads[index])
                yield from self._busy(refused, world.coordination.server)
                if not world.done[index]:
                    self.theirs.append(index)
                continue
            world.claimed.add(index)
            claim = world.coordination.claim.of(world.loads[index])
            yield from self._busy(claim, world.coordination.server)
            return index
        self.waiting, self.theirs, self.position = self.theirs, [], 0
        return None

    def _busy(self, seconds: float, server: float = 0.0) -> Steps:
        self.world.coordinators_s += seconds
        if seconds > 0:
            yield self.world.compute(seconds * (1 - server))
        if seconds > 0 and server > 0:
            with self.world.server.request() as slot:
                yield slot
                yield self.world.compute(seconds * server)

    def work(self) -> Steps:
        """A worker."""
        world, cluster = self.world, self.world.cluster
        life = self._life()
        parcel = yield self.queue.get()
        yield world.compute(cluster.start_s)
        while True:
            seconds = world.loads[parcel].seconds + cluster.per_parcel_s
            if seconds > life:
                yield world.compute(life)
                world.lost += 1
                yield self.queue.put(parcel)
                yield world.compute(cluster.start_s)
                life = self._life()
            else:
                yield world.compute(seconds)
                life -= seconds
                self._after(cluster.latency_s, self._return, parcel)
            parcel = yield self.queue.get()

    def _life(self) -> float:
        """Seconds of work until a worker is lost."""
        rate = self.world.cluster.failures_per_hour / 3600
        return self.world.random.expovariate(rate) if rate else math.inf

    def _arrive(self, index: int) -> None:
        self.queue.put(index)

    def _return(self, index: int) -> None:
        self.finished.append(index)
        if not self.news.triggered:
            self.news.succeed()

    def _after(self, seconds: float, do: Any, index: int) -> None:
        if not seconds:
            do(index)
            return
        self.env.timeout(seconds).callbacks.append(lambda _: do(index))


@dataclass(order=True)
class _Share:
    ends: float
    number: int
    event: simpy.Event = field(compare=False)


class Processors:
    """Processors that whoever computes shares in equal parts, at most one to each.

    Processor sharing in virtual time: what a task has got by now is what every other that was
    there as long has got, so that one heap says who is done next (Kleinrock 1976, vol. 2, 4.4).
    """

    def __init__(self, env: simpy.Environment, number: float) -> None:
        self.env, self.number = env, number
        self._tasks: list[_Share] = []
        self._given = 0.0
        self._at = env.now
        self._count = 0
        self._version = 0

    def compute(self, seconds: float) -> simpy.Event:
        """An event for when a task has had so many seconds."""
        self._advance()
        self._count += 1
        share = _Share(self._given + seconds, self._count, self.env.event())
        heapq.heappush(self._tasks, share)
        self._schedule()
        return share.event

    @property
    def _rate(self) -> float:
        return min(1.0, self.number / len(self._tasks)) if self._tasks else 0.0

    def _advance(self) -> None:
        self._given += self._rate * (self.env.now - self._at)
        self._at = self.env.now

    def _schedule(self) -> None:
        self._version += 1
        if self._tasks:
            left = max(0.0, self._tasks[0].ends - self._given) / self._rate
            version = self._version
            self.env.timeout(left).callbacks.append(lambda _: self._end(version))

    def _end(self, version: int) -> None:
        if version != self._version:
            return  # somebody came since, and it is another one's turn, or later
        self._advance()
        first = heapq.heappop(self._tasks)
        # Not a rounding less: it has had all of its seconds.
        self._given = max(self._given, first.ends)
        first.event.succeed()
        self._schedule()
