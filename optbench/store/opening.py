"""A database becomes a store: its tables are made, or are those of the schema of today."""

from __future__ import annotations

import time
from typing import Any

from sqlalchemy import Connection, func, insert, inspect, select

from optbench.store import schema
from optbench.store.database import BUSY_MS, Database
from optbench.store.errors import StoreError, reason

CHANGING = 0x6F7074626E6368
"""PostgreSQL's number for the lock of whoever makes the tables."""


def open_store(database: Database, *, create: bool) -> None:
    """Make sure that the tables are those of `optbench.store.schema`.

    Parameters
    ----------
    create : bool
        Make them where there are none.

    Raises
    ------
    StoreError
        Where it is no store, or one of another schema.
    """
    version = database.read(lambda connection: _version(connection, database.shown))
    if version is None:
        if not create:
            raise StoreError(f"{database.shown} is not an optbench store: it holds nothing")
        database.write(lambda connection: _make(connection, database.shown))
    elif version != schema.SCHEMA_VERSION:
        raise StoreError(
            f"{database.shown} has schema {version}, this optbench reads {schema.SCHEMA_VERSION}: "
            "run again into a new store, or use the optbench that wrote it"
        )
    if create and database.is_sqlite:
        # WAL: a report may read while a run writes, and a killed writer loses at most its
        # batch. The mode stays with the file, which by now is known to be one of ours.
        _keep_a_log(database)


def _version(connection: Connection, shown: str) -> int | None:
    """Of its schema; None where the database is empty."""
    tables = inspect(connection).get_table_names()
    if not tables:
        return None
    if schema.meta.name not in tables:
        held = ", ".join(sorted(tables)[:4])
        raise StoreError(f"{shown} is not an optbench store: it holds {held}")
    return int(connection.execute(select(schema.meta.c.schema_version)).scalar_one())


def _make(connection: Connection, shown: str) -> None:
    # On a file, a writer is alone anyway.
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(CHANGING)))
    if _version(connection, shown) is not None:
        return  # another process was faster
    schema.metadata.create_all(connection)
    connection.execute(insert(schema.meta).values(schema_version=schema.SCHEMA_VERSION))


def _keep_a_log(database: Database) -> None:
    # SQLite waits for others before a transaction, but not before it changes this mode.
    deadline = time.monotonic() + BUSY_MS / 1000
    while True:
        with database.engine.connect() as connection:
            driver: Any = connection.connection.driver_connection
            try:
                driver.execute("PRAGMA journal_mode=WAL").close()
                return
            except driver.Error as error:
                if "locked" not in str(error) or time.monotonic() > deadline:
                    text = f"cannot open the store {database.shown}: {reason(error)}"
                    raise StoreError(text) from error
        time.sleep(0.01)
