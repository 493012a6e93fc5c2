"""Several coordinators on one store: who computes what.

A coordinator claims runs before it computes them. A claim is a row; it lasts until the run's
result is in the store, its coordinator lets go of it, or another one finds that its coordinator
is dead. No clock has a part in it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import Connection, delete, insert, select
from sqlalchemy.dialects import postgresql

from optbench.store import schema
from optbench.store.attempts import attempts_of
from optbench.store.batches import batches
from optbench.store.database import Database
from optbench.store.errors import StoreError
from optbench.store.presence import Presence, appear


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

    def __init__(self, database: Database, presence: Presence) -> None:
        self._database, self._presence = database, presence

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
        self._presence.renew()
        # All in one order: two who claim the same runs do not wait for each other.
        keys = sorted(seen)
        return self._database.write(lambda connection: self._claim(connection, keys, seen))

    def _claim(self, connection: Connection, keys: list[str], seen: Mapping[str, int]) -> Claim:
        self._take_over(connection)
        self._claim_free(connection, keys)
        mine = {
            key for key, holder in _holders(connection, keys) if holder == self._presence.number
        }
        # First the claims, then the look at the runs: a result that comes in between is seen.
        now = attempts_of(connection, keys)
        done = {key for key, count in now.items() if count > seen[key]}
        self._delete(connection, mine & done)
        return Claim(mine=frozenset(mine - done), done=frozenset(done))

    def release(self, keys: Iterable[str]) -> None:
        """Let go of claims of this coordinator; those of others stay."""
        names = sorted(keys)
        self._database.write(lambda connection: self._delete(connection, names))

    def release_all(self) -> None:
        """Let go of every claim of this coordinator."""
        mine = schema.claims.c.coordinator == self._presence.number
        self._database.write(
            lambda connection: connection.execute(delete(schema.claims).where(mine))
        )

    def _take_over(self, connection: Connection) -> None:
        """Free the claims of the dead."""
        table = schema.claims.c
        query = select(table.coordinator, table.server).where(
            table.coordinator != self._presence.number
        )
        others: dict[int, set[str | None]] = {}
        for row in connection.execute(query.distinct().order_by(table.coordinator)):
            others.setdefault(row.coordinator, set()).add(row.server)
        for dead in self._presence.gone(others, connection):
            connection.execute(delete(schema.claims).where(table.coordinator == dead))

    def _claim_free(self, connection: Connection, keys: list[str]) -> None:
        held = {key for key, _ in _holders(connection, keys)}
        mine = {
            "coordinator": self._presence.number,
            "server": self._presence.server(connection),
        }
        free = [{"key": key, **mine} for key in keys if key not in held]
        if not free:
            return
        if connection.dialect.name == "postgresql":
            # Others claim at the same time; of a key that both take, one has it.
            statement = postgresql.insert(schema.claims).on_conflict_do_nothing()
            connection.execute(statement, free)
        else:
            connection.execute(insert(schema.claims), free)

    def _delete(self, connection: Connection, keys: Iterable[str]) -> None:
        table = schema.claims.c
        for some in batches(keys):
            connection.execute(
                delete(schema.claims).where(
                    table.coordinator == self._presence.number, table.key.in_(some)
                )
            )


def _holders(connection: Connection, keys: list[str]) -> list[tuple[str, int]]:
    table = schema.claims.c
    query = select(table.key, table.coordinator)
    return [
        (row.key, row.coordinator)
        for some in batches(keys)
        for row in connection.execute(query.where(table.key.in_(some)))
    ]


@contextmanager
def coordinate(database: Database) -> Iterator[Coordinator]:
    """A coordinator, for as long as the context lasts; its claims end with it.

    Raises
    ------
    StoreError
        Where the store cannot be written.
    """
    presence = appear(database)
    coordinator = Coordinator(database, presence)
    try:
        yield coordinator
    finally:
        # Not again as long as for what is to be kept. Claims that cannot be let go of now, with a
        # server that is away or on a full disk, are those of a dead one.
        patience, database.patience_s = database.patience_s, 0.0
        with contextlib.suppress(StoreError):
            coordinator.release_all()
        presence.end()
        database.patience_s = patience
