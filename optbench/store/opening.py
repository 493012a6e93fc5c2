"""A database becomes a store: its tables are made, or brought to the schema of today."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, delete, func, insert, inspect, select, text, update
from sqlalchemy.exc import OperationalError

from optbench.store import schema
from optbench.store.database import BUSY_MS, Database
from optbench.store.errors import StoreError, reason

CHANGING = 0x6F7074626E6368
"""PostgreSQL's number for the lock of whoever makes or changes the tables."""


class Older(Exception):
    """A file of an older schema, opened by somebody who only reads."""


def open_store(database: Database, *, create: bool) -> None:
    """Make sure that the tables are those of `optbench.store.schema`.

    Parameters
    ----------
    create : bool
        Make them where there are none.

    Raises
    ------
    StoreError
        Where it is no store, one of a newer schema, or one of an older that may not be written.
    Older
        As it says: a reader brings a copy to the schema of today, and leaves the file alone.
    """
    version = database.read(lambda connection: _version(connection, database.shown))
    if version is None:
        if not create:
            raise StoreError(f"{database.shown} is not an optbench store: it holds nothing")
        database.write(lambda connection: _make(connection, database.shown))
    elif not 1 <= version <= schema.SCHEMA_VERSION:
        raise StoreError(
            f"{database.shown} has schema {version}, this optbench reads "
            f"{schema.SCHEMA_VERSION}: use the optbench that wrote it, or another store"
        )
    elif version < schema.SCHEMA_VERSION:
        if not create and database.file() is not None:
            raise Older
        _bring_to_head(database, version)
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
    _alone(connection)
    if _version(connection, shown) is not None:
        return  # another process was faster
    schema.metadata.create_all(connection)
    connection.execute(insert(schema.meta).values(schema_version=schema.SCHEMA_VERSION))
    head = schema.revision(schema.SCHEMA_VERSION)
    connection.execute(insert(schema.alembic_version).values(version_num=head))


def _bring_to_head(database: Database, version: int) -> None:
    if database.is_sqlite:
        _refuse_code(database)
    try:
        with database.engine.connect() as connection:
            if database.is_sqlite:
                # A table that is copied and dropped is missed for a moment by those that refer
                # to it; to be set before the transaction (sqlite.org/lang_altertable.html, 7).
                driver: Any = connection.connection.driver_connection
                driver.execute("PRAGMA foreign_keys=OFF")
            connection.execution_options(sqlite_begin="IMMEDIATE")
            try:
                with connection.begin():
                    _migrate(connection, database.shown)
            finally:
                connection.invalidate()  # with its settings
    except OperationalError as error:
        raise StoreError(
            f"{database.shown} has schema {version}, and cannot be brought to "
            f"{schema.SCHEMA_VERSION} where it is ({reason(error)}): open a copy of it in a place "
            "that may be written"
        ) from error
    if database.is_sqlite:
        # The old tables' room is given back. Where others are at work it stays for new rows.
        with contextlib.suppress(StoreError):
            _outside_transactions(database, "VACUUM")


def _migrate(connection: Connection, shown: str) -> None:
    # Here, as it takes as long to import as all else that opens a store.
    from alembic import command
    from alembic.config import Config

    _alone(connection)
    version = _version(connection, shown)
    if version == schema.SCHEMA_VERSION:
        return  # another process was faster
    assert version is not None
    schema.alembic_version.create(connection, checkfirst=True)
    connection.execute(delete(schema.alembic_version))
    connection.execute(insert(schema.alembic_version).values(version_num=schema.revision(version)))
    config = Config()
    migrations = str(Path(__file__).parent / "migrations")
    config.set_main_option("script_location", migrations.replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, schema.revision(schema.SCHEMA_VERSION))
    connection.execute(update(schema.meta).values(schema_version=schema.SCHEMA_VERSION))
    if connection.dialect.name == "sqlite":
        torn = connection.execute(text("PRAGMA foreign_key_check")).all()
        if torn:
            raise StoreError(f"{shown} is damaged: {len(torn)} rows refer to nothing")


def _alone(connection: Connection) -> None:
    """Until the transaction ends; on a file, a writer is alone anyway."""
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(CHANGING)))


def _refuse_code(database: Database) -> None:
    # A view or a trigger is code, and would run while tables are changed.
    kinds = database.read(
        lambda connection: (
            connection.execute(text("SELECT DISTINCT type FROM sqlite_master")).scalars().all()
        )
    )
    foreign = set(kinds) - {"table", "index"}
    if foreign:
        raise StoreError(f"{database.shown} holds a {min(foreign)}, which is none of ours")


def _keep_a_log(database: Database) -> None:
    # SQLite waits for others before a transaction, but not before it changes this mode.
    deadline = time.monotonic() + BUSY_MS / 1000
    while True:
        try:
            return _outside_transactions(database, "PRAGMA journal_mode=WAL")
        except StoreError as error:
            if "locked" not in str(error.__cause__) or time.monotonic() > deadline:
                raise
        time.sleep(0.01)


def _outside_transactions(database: Database, statement: str) -> None:
    with database.engine.connect() as connection:
        driver: Any = connection.connection.driver_connection
        try:
            driver.execute(statement).close()
        except driver.Error as error:
            raise StoreError(f"cannot open the store {database.shown}: {reason(error)}") from error
