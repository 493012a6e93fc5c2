"""Several coordinators on one store: who computes what.

A coordinator claims runs before it computes them. A claim is a row; it lasts until the run's
result is in the store, its coordinator leaves, or the coordinator's heartbeat is stale. The only
clock is the database's, and all that its errors can do is to have a run computed twice.
"""

from __future__ import annotations

import contextlib
import secrets
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BigInteger, Connection, cast, delete, extract, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from optbench.store import schema
from optbench.store.database import Database, batches
from optbench.store.errors import StoreError

HEARTBEAT_S = 5.0
"""Seconds between two heartbeats of a coordinator."""

STALE_S = 30
"""Age in seconds at which the last heartbeat of a coordinator means that it is dead."""

NOW = cast(extract("epoch", func.now()), BigInteger)

INSERT: dict[str, Any] = {"postgresql": postgresql.insert, "sqlite": sqlite.insert}
"""The INSERT of each dialect, which knows ON CONFLICT."""


@dataclass(frozen=True)
class Claim:
    """What became of a claim, by the runs' keys; what is in neither is another coordinator's.

    Attributes
    ----------
    mine : frozenset of str
        To be computed by who claimed them.
    done : frozenset of str
        Done by others since they were seen.
    """

    mine: frozenset[str]
    done: frozenset[str]


class Coordinator:
    """One of those who fill a store; made by `optbench.store.Store.coordinate`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        # Drawn: one that the database counts could come again once its row is gone.
        self._number = secrets.randbits(62)

    def claim(self, seen: Mapping[str, int]) -> Claim:
        """Claim runs that nobody computes and nobody has computed.

        Parameters
        ----------
        seen : mapping of str to int
            The runs' keys, and how often each was done when it was planned (`Store.attempts`; 0:
            never). What was done more often now is done.

        Raises
        ------
        StoreError
            Where the store cannot be written.
        """
        return self._database.write(lambda connection: self._claim(connection, seen))

    def _claim(self, connection: Connection, seen: Mapping[str, int]) -> Claim:
        self.appear(connection)
        age = NOW - schema.coordinators.c.heartbeat
        # A clock that was set back would keep the dead alive.
        stale = ~age.between(-STALE_S, STALE_S)
        connection.execute(delete(schema.coordinators).where(stale))
        # All in one order: two who claim the same runs do not wait for each other.
        keys = sorted(seen)
        free = INSERT[connection.dialect.name](schema.claims).on_conflict_do_nothing()
        c = schema.claims.c
        held = select(c.key).where(c.coordinator == self._number)
        mine: set[str] = set()
        for some in batches(keys):
            rows = [{"key": key, "coordinator": self._number} for key in some]
            connection.execute(free, rows)
            mine.update(connection.execute(held.where(c.key.in_(some))).scalars())
        # First the claims, then the look at the runs: a result that comes in between is seen.
        now = attempts_of(connection, keys)
        done = {key for key, count in now.items() if count > seen[key]}
        for some in batches(mine & done):
            connection.execute(delete(schema.claims).where(c.key.in_(some)))
        return Claim(mine=frozenset(mine - done), done=frozenset(done))

    def appear(self, connection: Connection) -> None:
        """Be one of the coordinators, with a heartbeat of now; also again, if taken for dead."""
        row = {"number": self._number, "heartbeat": NOW}
        insert = INSERT[connection.dialect.name](schema.coordinators).values(row)
        connection.execute(insert.on_conflict_do_update(index_elements=["number"], set_=row))

    def leave(self, connection: Connection) -> None:
        """Be none of the coordinators; the claims go with it."""
        mine = schema.coordinators.c.number == self._number
        connection.execute(delete(schema.coordinators).where(mine))

    def beat(self, left: threading.Event) -> None:
        """Give a heartbeat every `HEARTBEAT_S`, until it has left."""
        table = schema.coordinators
        beat = update(table).where(table.c.number == self._number).values(heartbeat=NOW)
        while not left.wait(HEARTBEAT_S):
            # A store that is away now is asked again, and by whoever needs it: that one says so.
            with contextlib.suppress(StoreError):
                self._database.write(lambda connection: connection.execute(beat))


def attempts_of(connection: Connection, keys: Iterable[str]) -> dict[str, int]:
    """How often each run that is here was done, by key."""
    r = schema.runs.c
    query = select(r.key, r.attempts)
    return {
        row.key: row.attempts
        for some in batches(keys)
        for row in connection.execute(query.where(r.key.in_(some)))
    }


@contextmanager
def coordinate(database: Database) -> Iterator[Coordinator]:
    """Register a coordinator for the context; its claims end with it.

    Raises
    ------
    StoreError
        Where the store cannot be written.
    """
    coordinator = Coordinator(database)
    database.write(coordinator.appear)
    left = threading.Event()
    heart = threading.Thread(target=coordinator.beat, args=[left], name="heartbeat", daemon=True)
    # In memory nobody else is there, and every thread has a database of its own.
    if database.is_postgresql or database.file() is not None:
        heart.start()
    try:
        yield coordinator
    finally:
        # Not again as long as for what is to be kept. A coordinator that cannot leave now, with a
        # server that is away or on a full disk, is a dead one.
        patience, database.patience_s = database.patience_s, 0.0
        left.set()
        with contextlib.suppress(StoreError):
            database.write(coordinator.leave)
        if heart.is_alive():
            # It may be at a server that does not answer; it ends with the process at the latest.
            heart.join(HEARTBEAT_S)
        database.patience_s = patience
