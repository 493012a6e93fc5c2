"""Transactions: whole or not at all, again where a server was away, in one line where they fail."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, create_engine, event, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import (
    DatabaseError,
    DBAPIError,
    InternalError,
    OperationalError,
    SAWarning,
    SQLAlchemyError,
)

from optbench.store.address import readable, shown
from optbench.store.errors import StoreError, reason

PATIENCE_S = 60.0
"""Seconds that a server may be away, as during a restart."""

BUSY_MS = 30_000
"""Milliseconds to wait for another process's transaction on a SQLite file."""

COLLISIONS = 20
"""Retries of a transaction that collides with others that write the same rows."""

COLLIDED = {"23505", "40001", "40P01"}
"""PostgreSQL's codes for a row that another made meanwhile, and for transactions in each other's
way (postgresql.org/docs/current/errcodes-appendix.html)."""

NOT_OURS = {"25006", "42501", "42P01", "42703", "3F000"}
"""Of those that are no mistake of ours: a server that only reads, a user without the right, tables
that somebody changed."""

BATCH = 500
"""Values in one statement; databases limit how many it may have."""

T = TypeVar("T")


def batches(values: Iterable[T]) -> Iterator[list[T]]:
    """Return the values, at most `BATCH` at a time."""
    left = iter(values)
    while some := list(islice(left, BATCH)):
        yield some


class Database:
    """A database, and transactions on it.

    Parameters
    ----------
    url : URL
        Of SQLAlchemy's.
    writes : bool
        Whether it is going to be written; a file that is only read may be where nobody writes.

    Attributes
    ----------
    shown : str
        The URL as it may be shown.
    patience_s : float
        How long a server may be away: not at all at first, when its name may be wrong.
    """

    def __init__(self, url: URL, *, writes: bool) -> None:
        self.url = url
        self.shown = shown(url)
        self.patience_s = 0.0
        self._identity: tuple[int, int] | None = None
        try:
            with warnings.catch_warnings():
                # Of an option that SQLite does not have it is said, and not that it is passed over.
                warnings.simplefilter("error", SAWarning)
                self.engine = create_engine(url if writes else readable(url))
        except (SQLAlchemyError, SAWarning, ImportError, ValueError, TypeError) as error:
            text = f"cannot open the store {self.shown}: {reason(error)}"
            if isinstance(error, ImportError) and url.drivername == "postgresql+psycopg":
                text += " (pip install 'optbench[postgres]')"
            raise StoreError(text) from error
        if self.is_sqlite:
            event.listen(self.engine, "connect", _configure_sqlite)
            event.listen(self.engine, "begin", _begin_sqlite)

    @property
    def is_sqlite(self) -> bool:
        """Whether it is a file, or in memory."""
        return self.url.get_backend_name() == "sqlite"

    @property
    def is_postgresql(self) -> bool:
        """Whether it is PostgreSQL."""
        return self.url.get_backend_name() == "postgresql"

    def close(self) -> None:
        """Let go of it."""
        self.engine.dispose()

    def file(self) -> Path | None:
        """Return the file that SQLite has opened; None where there is none."""
        if not self.is_sqlite:
            return None
        listed = self.read(
            lambda connection: connection.execute(text("PRAGMA database_list")).all()
        )
        name = next(row[2] for row in listed if row[1] == "main")
        return Path(name) if name else None

    def pin(self) -> None:
        """From now on nothing is written into a file that has lost its name.

        Who holds a deleted file open could go on writing for hours, into nothing.
        """
        if self.file() is not None:
            self._identity = self._identity_now()

    def _identity_now(self) -> tuple[int, int] | None:
        """Of the file that has the store's name; None where there is none."""
        try:
            found = Path(str(self.url.database)).stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino

    def read(self, work: Callable[[Connection], T]) -> T:
        """Return what ``work`` reads, from one snapshot where the database is a file.

        Raises
        ------
        StoreError
            Where the database cannot be read, or holds what no store wrote.
        """
        return self.patiently(lambda: self._transaction(work, "DEFERRED"))

    def write(self, work: Callable[[Connection], T]) -> T:
        """Do ``work`` in one transaction, kept when it returns and undone when it raises.

        It is done again where a server went away or another transaction was in the way, so that
        it has to begin from what it reads.

        Raises
        ------
        StoreError
            Where the database cannot be written, or holds what no store wrote; nothing is
            changed then.
        """
        return self.patiently(lambda: self._transaction(work, "IMMEDIATE"))

    def _transaction(self, work: Callable[[Connection], T], begin: str) -> T:
        with self.connected() as connection:
            connection.execution_options(sqlite_begin=begin)
            with connection.begin():
                done = work(connection)
                if begin == "IMMEDIATE" and self._identity is not None:
                    self._require_the_same_file()
                return done

    def _require_the_same_file(self) -> None:
        if self._identity_now() != self._identity:
            raise StoreError(
                f"the store {self.shown} was deleted or replaced while it was in use: what was "
                "kept before went with it, and the same command begins anew"
            )

    def connected(self) -> Connection:
        """Open a connection, which the caller closes."""
        try:
            return self.engine.connect()
        except OperationalError as error:
            if not self.is_sqlite:
                error.connection_invalidated = True  # there is none: as good as lost
            raise

    def patiently(self, attempt: Callable[[], T]) -> T:
        """Call ``attempt`` until the database is there, and no other is in the way.

        Raises
        ------
        StoreError
            Where it is not there for so long, or the fault is of another kind.
        """
        collisions, pause, deadline = 0, 0.05, None
        while True:
            try:
                return attempt()
            except (ValueError, KeyError, TypeError) as error:
                # JSON cut short, a text where a number was, steps that nobody kept; and what
                # SQLite says of a damaged file may quote the damage.
                text = f"the store {self.shown} is damaged: {reason(error)}"
                raise StoreError(text) from error
            except DBAPIError as error:
                if error.connection_invalidated:
                    now = time.monotonic()
                    deadline = now + self.patience_s if deadline is None else deadline
                    if now >= deadline:
                        raise StoreError(self._away(error)) from error
                    time.sleep(pause)
                    pause = min(2 * pause, 1.0)
                elif _code(error) in COLLIDED and collisions < COLLISIONS:
                    collisions += 1
                elif _is_ours(error):
                    raise
                else:
                    text = f"the store {self.shown} cannot be used: {reason(error)}"
                    raise StoreError(text) from error

    def _away(self, error: DBAPIError) -> str:
        if not self.patience_s:
            return f"cannot open the store {self.shown}: {reason(error)}"
        return (
            f"the store {self.shown} was away for {self.patience_s:.0f} s, and is yet "
            f"({reason(error)}): what is in it stays, and the same command goes on from there"
        )


def _code(error: DBAPIError) -> str | None:
    return getattr(error.orig, "sqlstate", None)


def _is_ours(error: DBAPIError) -> bool:
    """Whether it is a mistake of this program: a row or a statement that is wrong."""
    fault = type(error) in (DatabaseError, InternalError, OperationalError)
    return not fault and _code(error) not in NOT_OURS


def _configure_sqlite(connection: Any, _record: object) -> None:
    # Begin and commit are ours: Python's module begins late, and not before a CREATE TABLE
    # (docs.sqlalchemy.org, dialects/sqlite, "Enabling Non-Legacy SQLite Transactional Modes").
    connection.isolation_level = None
    cursor = connection.cursor()
    # Of the connection alone; nothing here writes to a file that may be somebody else's.
    for pragma in ("synchronous=NORMAL", f"busy_timeout={BUSY_MS}", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    # A writer says so at once: one that finds out late that another writes cannot wait for it.
    begin = connection.get_execution_options().get("sqlite_begin", "DEFERRED")
    connection.exec_driver_sql(f"BEGIN {begin}")
