"""A store of an older schema opens with all that is in it, or stays as it was."""

from __future__ import annotations

import json
import math
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd
import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine

from optbench.store import Store, StoreError, schema

DATA = Path(__file__).parent / "data"
FRAMES = json.loads((DATA / "schema-1.json").read_text("utf-8"))
"""What the optbench that wrote the store read from it."""


@pytest.fixture
def old(tmp_path: Path) -> Path:
    return Path(shutil.copy(DATA / "schema-1.sqlite", tmp_path / "old.sqlite"))


def rows(frame: pd.DataFrame, columns: list[str]) -> list[list[object]]:
    return [
        [None if isinstance(value, float) and math.isnan(value) else value for value in row]
        for row in frame[columns].astype(object).to_numpy().tolist()
    ]


def version(path: Path) -> int:
    connection = sqlite3.connect(path)
    try:
        return int(connection.execute("SELECT schema_version FROM optbench_meta").fetchone()[0])
    finally:
        connection.close()


@pytest.mark.parametrize("create", [False, True], ids=["reader", "writer"])
def test_every_frame_of_an_older_store_is_what_it_was(old: Path, create: bool) -> None:
    with Store(str(old), create=create) as store:
        for name, told in FRAMES.items():
            frame = getattr(store, name)()
            assert list(frame.columns)[: len(told["columns"])] == told["columns"]
            assert rows(frame, told["columns"]) == told["rows"]
            assert told["rows"]
        runs = store.runs()
    assert runs["status"].value_counts().to_dict() == {"ok": 8, "diverged": 1, "failed": 1}
    assert runs["attempts"].tolist() == [1] * 10
    assert runs["seconds"].isna().all()
    assert version(old) == (schema.SCHEMA_VERSION if create else 1)


def test_a_migrated_store_has_the_tables_of_a_new_one(old: Path, tmp_path: Path) -> None:
    Store(str(old), create=True).close()
    Store(str(tmp_path / "new.sqlite"), create=True).close()
    for path in (old, tmp_path / "new.sqlite"):
        engine = create_engine(f"sqlite:///{path}")
        with engine.connect() as connection:
            context = MigrationContext.configure(connection, opts={"compare_type": True})
            assert context.get_current_revision() == schema.revision(schema.SCHEMA_VERSION)
            found = compare_metadata(context, schema.metadata)
        engine.dispose()
        # Alembic's own table is none of ours to it.
        assert [each for each in found if each[1] is not schema.alembic_version] == []
        with sqlite3.connect(path) as raw:
            (sql,) = raw.execute("SELECT sql FROM sqlite_master WHERE name = 'traces'").fetchone()
        assert "WITHOUT ROWID" in sql


def test_the_last_migration_leads_to_the_schema_of_today() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(schema.__file__).parent / "migrations"))
    script = ScriptDirectory.from_config(config)
    assert script.get_current_head() == schema.revision(schema.SCHEMA_VERSION)
    assert [each.revision for each in script.walk_revisions()] == ["0003", "0002", "0001"]


OPEN = """
import sys
from optbench.store import Store
for path in sys.argv[1:]:
    Store(path, create=True).close()
assert "alembic" not in sys.modules
"""


def test_a_store_of_today_opens_without_alembic(tmp_path: Path) -> None:
    there, new = tmp_path / "there.sqlite", tmp_path / "new.sqlite"
    Store(str(there), create=True).close()
    subprocess.run([sys.executable, "-c", OPEN, str(there), str(new)], check=True)


KILLED = """
import os, signal, sys
from sqlalchemy import event
from sqlalchemy.engine import Engine
from optbench.store import Store

@event.listens_for(Engine, "before_cursor_execute")
def before(connection, cursor, statement, parameters, context, many):
    if statement.strip().startswith(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)

Store(sys.argv[1])
"""


@pytest.mark.parametrize("statement", ["DROP TABLE traces", "UPDATE optbench_meta"])
def test_a_kill_in_the_middle_leaves_the_older_store(old: Path, statement: str) -> None:
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, str(old), statement], capture_output=True, check=False
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert version(old) == 1
    with sqlite3.connect(old) as connection:
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
    assert not tables & {"schedules", "codes", "claims", "alembic_version"}
    with Store(str(old)) as store:
        assert rows(store.traces(), FRAMES["traces"]["columns"]) == FRAMES["traces"]["rows"]


@pytest.mark.parametrize("new", [False, True], ids=["migrated", "made"])
def test_of_those_who_open_at_once_one_works_and_the_others_go_on(old: Path, new: bool) -> None:
    if new:
        old.unlink()
    barrier = threading.Barrier(4)

    def open_it() -> tuple[int, int]:
        barrier.wait()
        with Store(str(old), create=True) as store:
            return store.count(), len(store.traces())

    with ThreadPoolExecutor(4) as pool:
        said = [each.result() for each in [pool.submit(open_it) for _ in range(4)]]
    assert said == [(0, 0) if new else (10, len(FRAMES["traces"]["rows"]))] * 4


def test_an_older_store_with_code_in_it_is_left_alone(old: Path) -> None:
    with sqlite3.connect(old) as connection:
        connection.execute("CREATE TRIGGER x AFTER INSERT ON runs BEGIN DELETE FROM runs; END")
    connection.close()
    with pytest.raises(StoreError, match="holds a trigger, which is none of ours"):
        Store(str(old))
    assert version(old) == 1


def test_an_older_store_whose_rows_refer_to_nothing_is_left_alone(old: Path) -> None:
    with sqlite3.connect(old) as connection:
        connection.execute("DELETE FROM environments")
    connection.close()
    with pytest.raises(StoreError, match="is damaged: 10 rows refer to nothing"):
        Store(str(old))
    assert version(old) == 1


def test_a_reader_leaves_an_older_store_as_it_is(old: Path) -> None:
    before = old.read_bytes()
    with Store(str(old)) as store:
        assert "attempts" in store.runs()
        assert str(old) in store.url.render_as_string()
    assert old.read_bytes() == before
    assert [path.name for path in old.parent.iterdir()] == [old.name]
    Store(str(old), create=True).close()
    assert old.read_bytes() != before
