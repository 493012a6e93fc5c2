"""What one store has and another lacks, added to it in one transaction."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Table

from optbench.store import Store, StoreError, schema
from optbench.store.sound import FRAMES, sound

PATIENCE_S = 30.0
"""To wait for another process's transaction."""

COMPARED = ("status", "steps", "hits", "final_gap", "seconds_per_step")
"""Columns by which two results of one run are told apart."""

LACKING = "there.runs t LEFT JOIN main.runs h USING (key) WHERE h.key IS NULL"
"""SQL of the runs that are there and not here."""


@dataclass(frozen=True)
class Merged:
    """Numbers of runs.

    Attributes
    ----------
    there : int
        In the store that was read.
    added : int
        Of them that were not here, or only as failed.
    replaced : int
        Of them that were here and differed, and are as there now.
    kept : int
        Of them that are here and differ, and stay so.
    only_here : int
        That the other lacks.
    """

    there: int
    added: int
    replaced: int
    kept: int
    only_here: int

    def __str__(self) -> str:
        text = f"runs: {self.there:,} there, {self.added:,} added"
        for number, what in (
            (self.replaced, "replaced"),
            (self.kept, "differ and are kept (--force replaces them)"),
            (self.only_here, "only here"),
        ):
            text += f", {number:,} {what}" if number else ""
        return text


def check_values(path: Path) -> None:
    """Refuse a store with anything in it that optbench would not have written.

    Raises
    ------
    StoreError
    """
    check_store(path)
    with Store(str(path)) as store:
        for name in FRAMES:
            sound(store, name)


def check_store(path: Path) -> None:
    """Refuse a file that is no whole store, or holds more than tables and their indices.

    Raises
    ------
    StoreError
    """
    Store(str(path)).close()
    connection = _opened(path, "ro")
    try:
        # A view or a trigger is code that somebody sent.
        kinds = connection.execute("SELECT DISTINCT type FROM sqlite_master").fetchall()
        told = [row[0] for row in connection.execute("PRAGMA integrity_check(3)")]
        torn = connection.execute("PRAGMA foreign_key_check").fetchall()
    except sqlite3.Error as error:
        raise StoreError(f"the store {path} is damaged: {error}") from error
    finally:
        connection.close()
    foreign = {kind for (kind,) in kinds} - {"table", "index"}
    if foreign:
        raise StoreError(f"the store {path} holds a {min(foreign)}, which optbench does not make")
    if told != ["ok"] or torn:
        said = told[0].splitlines()[-1] if told != ["ok"] else f"{len(torn)} rows refer to nothing"
        raise StoreError(f"the store {path} is damaged: {said}")


def copy_store(path: Path, copy: Path) -> int:
    """Make a whole and compact copy of a store that others may write to; return its run count.

    Raises
    ------
    StoreError
        Where it is damaged.
    """
    Store(str(path)).close()  # says what is wrong with a file that is no store
    # Of one moment, whatever is in its write-ahead log; the same rows give the same bytes.
    connection = _opened(path, "rw")
    try:
        connection.execute("VACUUM INTO ?", (str(copy),))
        # Who computes what there is no matter of the copy.
        connection.execute("ATTACH ? AS copy", (str(copy),))
        gone = connection.execute("DELETE FROM copy.claims").rowcount
        if gone + connection.execute("DELETE FROM copy.coordinators").rowcount:
            connection.execute("VACUUM copy")
    except sqlite3.Error as error:
        raise StoreError(f"the store {path} cannot be copied: {error}") from error
    finally:
        connection.close()
    check_store(copy)
    with Store(str(copy)) as made:
        return made.count()


def missing_runs(source: Path, into: Path) -> int:
    """Return how many runs of one store the other lacks."""
    connection = _opened(into, "ro")
    try:
        connection.execute("ATTACH ? AS there", (f"{source.resolve().as_uri()}?mode=ro",))
        return _count(connection, LACKING)
    finally:
        connection.close()


def merge(source: Path, into: Path, *, prefer_source: bool = False) -> Merged:
    """Add the runs of one store to another, which is made where there is none.

    In a transaction, not by putting another file in its place: a reader or writer of the old one
    would lose what it does, and a log that a killed process left would be played onto the new.

    Parameters
    ----------
    prefer_source : bool
        Take the source's results also for runs that are here with other ones.
    """
    Store(str(into), create=True).close()
    connection = _opened(into, "rw")
    try:
        connection.execute("ATTACH ? AS there", (f"{source.resolve().as_uri()}?mode=ro",))
        connection.execute("BEGIN IMMEDIATE")
        counts = _merge(connection, prefer_source)
        connection.execute("COMMIT")
    except sqlite3.Error as error:
        raise StoreError(f"nothing was added to the store {into}: {error}") from error
    finally:
        connection.close()
    return counts


def _merge(connection: sqlite3.Connection, prefer_source: bool) -> Merged:
    differ = " OR ".join(f't."{name}" IS NOT h."{name}"' for name in COMPARED)
    both = "there.runs t JOIN main.runs h USING (key)"
    heals = "h.status = 'failed' AND t.status <> 'failed'"
    other = f"({differ}) AND NOT ({heals})"
    counts = Merged(
        there=_count(connection, "there.runs"),
        added=_count(connection, LACKING) + _count(connection, f"{both} WHERE {heals}"),
        replaced=_count(connection, f"{both} WHERE {other}") if prefer_source else 0,
        kept=0 if prefer_source else _count(connection, f"{both} WHERE {other}"),
        only_here=_count(
            connection, "main.runs h LEFT JOIN there.runs t USING (key) WHERE t.key IS NULL"
        ),
    )
    taken = f"{heals} OR {other}" if prefer_source else heals
    connection.execute(
        "CREATE TEMP TABLE taken AS "
        f"SELECT t.id, t.key FROM {LACKING} UNION ALL SELECT t.id, t.key FROM {both} WHERE {taken}"
    )
    connection.execute("CREATE UNIQUE INDEX temp.taken_by_id ON taken (id)")
    old = "SELECT h.id FROM main.runs h JOIN temp.taken USING (key)"
    connection.execute(f"DELETE FROM main.traces WHERE run_id IN ({old})")
    connection.execute(f"DELETE FROM main.runs WHERE id IN ({old})")
    for table in (schema.environments, schema.problems, schema.codes, schema.schedules):
        names = _columns(table, "id")
        connection.execute(
            f"INSERT OR IGNORE INTO main.{table.name} ({names}) "
            f"SELECT {names} FROM there.{table.name} ORDER BY id"
        )
    # The numbers of rows are each store's own; what they stand for is not.
    same_problem = " AND ".join(
        f'hp."{name}" = tp."{name}"' for name in ("problem", "problem_version", "data")
    )
    numbers = ("id", "problem_id", "environment_id", "code_id")
    listed, read = (_columns(schema.runs, *numbers, of=of) for of in ("", "t."))
    connection.execute(
        f"INSERT INTO main.runs ({listed}, problem_id, environment_id, code_id) "
        f"SELECT {read}, hp.id, he.id, hc.id FROM temp.taken JOIN there.runs t USING (id) "
        f"JOIN there.problems tp ON tp.id = t.problem_id JOIN main.problems hp ON {same_problem} "
        "JOIN there.environments te ON te.id = t.environment_id "
        "JOIN main.environments he ON he.digest = te.digest "
        "JOIN there.codes tc ON tc.id = t.code_id JOIN main.codes hc ON hc.code = tc.code "
        "ORDER BY t.id"
    )
    listed, read = (_columns(schema.traces, "run_id", "schedule_id", of=of) for of in ("", "t."))
    connection.execute(
        f"INSERT INTO main.traces (run_id, schedule_id, {listed}) SELECT h.id, hs.id, {read} "
        "FROM temp.taken k "
        "JOIN main.runs h ON h.key = k.key JOIN there.traces t ON t.run_id = k.id "
        "JOIN there.schedules ts ON ts.id = t.schedule_id "
        "JOIN main.schedules hs ON hs.digest = ts.digest"
    )
    return counts


def _count(connection: sqlite3.Connection, rows: str) -> int:
    return int(connection.execute(f"SELECT count(*) FROM {rows}").fetchone()[0])


def _columns(table: Table, *but: str, of: str = "") -> str:
    names = (column.name for column in table.columns if column.name not in but)
    return ", ".join(f'{of}"{name}"' for name in names)


def _opened(path: Path, mode: str) -> sqlite3.Connection:
    # Without implicit transactions: the one that there is, is written out.
    connection = sqlite3.connect(
        f"{path.resolve().as_uri()}?mode={mode}", uri=True, timeout=PATIENCE_S, isolation_level=None
    )
    # What a schema may do when it is only read (sqlite.org/security.html).
    connection.execute("PRAGMA trusted_schema = OFF")
    connection.execute("PRAGMA synchronous = NORMAL")
    return connection
