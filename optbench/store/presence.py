"""Whether a coordinator is alive, told by what ends with its process and by no clock.

On a SQLite file it is a lock on a file beside it, on PostgreSQL an advisory lock of a session:
the one is let go of by the system, the other by the server, however the process ends.
"""

from __future__ import annotations

import contextlib
import secrets
import threading
from collections.abc import Mapping, Set
from pathlib import Path
from typing import Protocol

from filelock import FileLock, Timeout
from sqlalchemy import Connection, func, select, text
from sqlalchemy.exc import SQLAlchemyError

from optbench.store.database import Database
from optbench.store.errors import StoreError

Others = Mapping[int, Set[str | None]]
"""Coordinators by number, and on which servers they made their claims."""

PING_S = 1.0
"""How often a coordinator looks whether its server has forgotten it."""

GRACE_S = 5.0
"""How long a server that was started anew waits for those whom it has forgotten."""


class Presence(Protocol):
    """A coordinator's sign of life, and those of others.

    Attributes
    ----------
    number : int
        The coordinator's: drawn, since the numbers of processes come again.
    """

    number: int

    def renew(self) -> None:
        """Give the sign again, where it was lost with a server."""
        ...

    def server(self, connection: Connection) -> str | None:
        """What names the server from its start to its end; None where there is none."""
        ...

    def gone(self, others: Others, connection: Connection) -> list[int]:
        """Those of the others that are dead for as long as this writing transaction lasts."""
        ...

    def end(self) -> None:
        """Take the sign away."""
        ...


def appear(database: Database) -> Presence:
    """Give a sign of life.

    Raises
    ------
    StoreError
        Where the store takes none: it cannot be written.
    """
    number = secrets.randbits(62)
    if database.is_postgresql:
        return SessionLock(number, database)
    file = database.file()
    if file is None:
        return NobodyElse(number)
    return LockFile(number, database, file.with_name(f"{file.name}-coordinators"))


class NobodyElse:
    """The presence in a database that no other process sees."""

    def __init__(self, number: int) -> None:
        self.number = number

    def renew(self) -> None:
        """There is nothing to lose."""

    def server(self, connection: Connection) -> str | None:
        """There is none."""

    def gone(self, others: Others, connection: Connection) -> list[int]:
        """All: nobody else is here."""
        return list(others)

    def end(self) -> None:
        """There is nothing to take away."""


class LockFile:
    """The presence on a SQLite file: a locked file, made and removed by writers alone.

    As one writes at a time, nobody finds a file between its making and its locking, or removes
    the folder from under a file to be.
    """

    def __init__(self, number: int, database: Database, folder: Path) -> None:
        self.number, self._database, self._folder = number, database, folder
        # Of the process, not of the thread that happens to begin it.
        self._lock = FileLock(self._path(number), thread_local=False)
        try:
            database.write(lambda connection: self._begin())
        except OSError as error:
            raise StoreError(f"the store {database.shown} takes no coordinator: {error}") from error

    def renew(self) -> None:
        """A file stays locked; where somebody removed it, it is made anew."""
        if not self._path(self.number).exists():
            self._lock.release(force=True)
            self._database.write(lambda connection: self._begin())

    def server(self, connection: Connection) -> str | None:
        """There is none."""

    def gone(self, others: Others, connection: Connection) -> list[int]:
        """Those whose file nobody holds any more."""
        return [other for other in others if not self._held(self._path(other))]

    def end(self) -> None:
        """Let go of the file, and remove it; the folder goes with the last."""
        self._lock.release()
        # What is left where that fails is swept up by the next who comes.
        with contextlib.suppress(OSError, StoreError):
            self._database.write(lambda connection: self._remove())

    def _begin(self) -> None:
        self._folder.mkdir(exist_ok=True)
        for path in self._folder.glob("*.lock"):
            self._held(path)
        self._lock.acquire(blocking=False)

    def _remove(self) -> None:
        self._path(self.number).unlink(missing_ok=True)
        self._folder.rmdir()

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:016x}.lock"

    def _held(self, path: Path) -> bool:
        """Whether a coordinator holds a file; one that is dead is removed."""
        if not path.exists():
            return False
        try:
            with FileLock(path, thread_local=False, blocking=False):
                path.unlink(missing_ok=True)
        except Timeout:
            return True
        return False


class SessionLock:
    """The presence on PostgreSQL: an advisory lock, held by a session of its own.

    A server that is started anew has forgotten it. A thread gives the sign again, within a moment;
    until then the others wait with taking over what was claimed before. The only clock in it is
    the server's, and all that it can do is to have a run computed twice.
    """

    def __init__(self, number: int, database: Database) -> None:
        self.number, self._database = number, database
        self._session = database.patiently(self._lock)
        self._one_at_a_time = threading.Lock()
        self._ended = threading.Event()
        self._watch = threading.Thread(target=self._stay, name="presence", daemon=True)
        self._watch.start()

    def renew(self) -> None:
        """Lock anew where the session was lost; claims that nobody took meanwhile still hold."""
        self._database.patiently(self._renew)

    def server(self, connection: Connection) -> str | None:
        """When it was started."""
        query = "SELECT CAST(pg_postmaster_start_time() AS text)"
        return str(connection.execute(text(query)).scalar_one())

    def gone(self, others: Others, connection: Connection) -> list[int]:
        """Those whose lock is free, and kept free of them by this transaction."""
        if not others:
            return []
        here = self.server(connection)
        # Without its sign, a clock that was set back would keep the dead alive.
        age = "SELECT abs(extract(epoch FROM clock_timestamp() - pg_postmaster_start_time()))"
        young = connection.execute(text(age)).scalar_one() < GRACE_S
        query = text("SELECT pg_try_advisory_xact_lock(:number)")
        return [
            other
            for other, servers in others.items()
            if (here in servers or not young)
            and connection.execute(query, {"number": other}).scalar_one()
        ]

    def end(self) -> None:
        """End the session, and the lock with it."""
        self._ended.set()
        # It may be at a server that does not answer; it ends with the process at the latest.
        self._watch.join(GRACE_S)
        self._drop()

    def _stay(self) -> None:
        while not self._ended.wait(PING_S):
            # A server that is away now is asked again, and by whoever needs it: that one says so.
            with contextlib.suppress(SQLAlchemyError):
                self._renew()

    def _renew(self) -> None:
        with self._one_at_a_time:
            try:
                self._session.execute(select(1))
            except SQLAlchemyError:
                self._drop()
                self._session = self._lock()

    def _drop(self) -> None:
        if not self._session.closed:
            self._session.invalidate()
            self._session.close()

    def _lock(self) -> Connection:
        session = self._database.connected()
        try:
            session.execution_options(isolation_level="AUTOCOMMIT")
            # Of a machine that lost its power the server hears nothing: after a minute it asks.
            for setting, value in (("idle", 30), ("interval", 10), ("count", 3)):
                session.execute(text(f"SET tcp_keepalives_{setting} = {value}"))
            session.execute(select(func.pg_advisory_lock(self.number)))
        except BaseException:
            session.invalidate()
            session.close()
            raise
        return session
