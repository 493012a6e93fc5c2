"""A store opens, or says in a line why it does not; a file of somebody else's stays as it was."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from optbench.store import Store, StoreError
from optbench.store.schema import SCHEMA_VERSION


def refusal(url: str | Path, *, create: bool) -> str:
    with pytest.raises(StoreError) as refused:
        Store(str(url), create=create)
    message = str(refused.value)
    assert len(message.splitlines()) == 1
    return message


BOTH = pytest.mark.parametrize("create", [False, True], ids=["reader", "writer"])


def test_a_writer_makes_the_store_and_the_folders_above(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "results.sqlite"
    Store(str(path), create=True).close()
    with Store(str(path)) as reader:
        assert reader.count() == 0


def test_a_writer_opens_again_what_is_there(tmp_path: Path) -> None:
    for _ in range(2):
        Store(str(tmp_path / "results.sqlite"), create=True).close()
    with sqlite3.connect(tmp_path / "results.sqlite") as connection:
        versions = connection.execute("select schema_version from optbench_meta").fetchall()
    assert versions == [(SCHEMA_VERSION,)]


KILLED = """
import os, signal, sys
from sqlalchemy import event
from sqlalchemy.engine import Engine
from optbench.store import Store

@event.listens_for(Engine, "before_cursor_execute")
def before(connection, cursor, statement, parameters, context, many):
    if statement.strip().startswith(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)

Store(sys.argv[1], create=True)
"""


@pytest.mark.parametrize("statement", ["CREATE TABLE traces", "INSERT INTO optbench_meta"])
def test_a_kill_while_a_store_is_made_leaves_a_file_to_make_it_in(
    tmp_path: Path, statement: str
) -> None:
    path = tmp_path / "results.sqlite"
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, str(path), statement], capture_output=True, check=False
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == []
    connection.close()
    with Store(str(path), create=True) as store:
        assert store.count() == 0


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_of_those_who_make_a_store_at_once_one_does_and_the_others_go_on(
    tmp_path: Path, kind: str, request: pytest.FixtureRequest
) -> None:
    url = str(tmp_path / "results.sqlite")
    if kind == "postgresql":
        url = request.getfixturevalue("postgres").new()
    barrier = threading.Barrier(4)

    def open_it() -> int:
        barrier.wait()
        with Store(url, create=True) as store:
            return store.count()

    with ThreadPoolExecutor(4) as pool:
        assert [each.result() for each in [pool.submit(open_it) for _ in range(4)]] == [0] * 4


@pytest.mark.parametrize("form", ["{}", "sqlite:///{}", "sqlite+pysqlite:///{}"])
def test_a_path_and_a_url_name_the_same_store(tmp_path: Path, form: str) -> None:
    path = tmp_path / "results.sqlite"
    Store(form.format(path), create=True).close()
    assert path.is_file()
    Store(str(path)).close()


def test_a_uri_of_sqlite_s_own_makes_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sub").mkdir()
    Store("sqlite:///file:sub/results.sqlite?uri=true", create=True).close()
    assert [path.name for path in tmp_path.iterdir()] == ["sub"]
    Store("sub/results.sqlite").close()


def test_a_reader_makes_no_store_of_a_mistyped_path(tmp_path: Path) -> None:
    message = refusal(tmp_path / "sub" / "reslts.sqlite", create=False)
    assert message.startswith(f"there is no store at {tmp_path}/sub/reslts.sqlite")
    assert "optbench run --store" in message
    assert list(tmp_path.iterdir()) == []


@BOTH
def test_a_folder_is_no_store(tmp_path: Path, create: bool) -> None:
    message = refusal(tmp_path, create=create)
    assert message == f"the store {tmp_path} is a folder; name a file, such as " + str(
        tmp_path / "results.sqlite"
    )


@BOTH
def test_no_name_is_no_store(create: bool) -> None:
    assert "the store has no name" in refusal("", create=create)


def test_a_file_cannot_be_the_folder_of_a_store(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    message = refusal(tmp_path / "file" / "results.sqlite", create=True)
    assert message.startswith(f"cannot make the folder of the store {tmp_path}/file/results.sqlite")


@BOTH
@pytest.mark.parametrize(
    "content",
    [b"optimizer,problem,lr\n" * 200, b"x", bytes(range(256)) * 32],
    ids=["text", "one byte", "bytes"],
)
def test_a_file_that_is_no_database_is_refused_and_left_alone(
    tmp_path: Path, create: bool, content: bytes
) -> None:
    path = tmp_path / "results.csv"
    path.write_bytes(content)
    assert "results.csv: file is not a database" in refusal(path, create=create)
    assert path.read_bytes() == content
    assert [each.name for each in tmp_path.iterdir()] == ["results.csv"]


@BOTH
def test_somebody_else_s_database_is_refused_by_its_tables_and_left_alone(
    tmp_path: Path, create: bool
) -> None:
    path = tmp_path / "shop.sqlite"
    connection = sqlite3.connect(path)
    for table in ("runs", "customers", "orders"):
        connection.execute(f"create table {table} (id integer)")
    connection.commit()
    connection.close()
    before = path.read_bytes()
    message = refusal(path, create=create)
    assert message.endswith("is not an optbench store: it holds customers, orders, runs")
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["shop.sqlite"]


def test_an_empty_file_becomes_a_store_for_a_writer_alone(tmp_path: Path) -> None:
    path = tmp_path / "results.sqlite"
    path.touch()
    assert "it holds nothing" in refusal(path, create=False)
    assert path.stat().st_size == 0
    Store(str(path), create=True).close()
    Store(str(path)).close()


@BOTH
@pytest.mark.parametrize("version", [SCHEMA_VERSION + 1, SCHEMA_VERSION - 1, 0])
def test_another_schema_version_is_named_with_what_to_do(
    tmp_path: Path, create: bool, version: int
) -> None:
    path = tmp_path / "results.sqlite"
    Store(str(path), create=True).close()
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        connection.execute(text(f"UPDATE optbench_meta SET schema_version = {version}"))
    engine.dispose()
    message = refusal(path, create=create)
    assert f"has schema {version}, this optbench reads {SCHEMA_VERSION}" in message
    assert "run again into a new store, or use the optbench that wrote it" in message


@BOTH
def test_a_store_without_its_version_is_refused(tmp_path: Path, create: bool) -> None:
    path = tmp_path / "results.sqlite"
    Store(str(path), create=True).close()
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM optbench_meta"))
    engine.dispose()
    assert f"cannot open the store sqlite:///{path}: " in refusal(path, create=create)


@BOTH
@pytest.mark.parametrize("url", ["foo://x", "sqlite+foo:///x", "://x", "http://a:b", "a b://c"])
def test_an_unknown_scheme_is_no_store(url: str, create: bool) -> None:
    assert refusal(url, create=create).startswith(f"{url!r} is not a store: ")


@BOTH
@pytest.mark.parametrize(
    ("url", "driver", "help"),
    [
        (
            "postgresql+psycopg://u:secret@localhost/x",
            "psycopg",
            "pip install 'optbench[postgres]'",
        ),
        ("postgresql://u:secret@localhost/x", "psycopg", "pip install 'optbench[postgres]'"),
        ("mysql://u:secret@h/x", "MySQLdb", "MySQLdb"),
    ],
)
def test_a_driver_that_is_not_installed_is_named_and_the_password_is_not(
    url: str, driver: str, help: str, create: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    # An import of what is None in there fails, though it may be installed.
    monkeypatch.setitem(sys.modules, driver, None)
    message = refusal(url, create=create)
    assert driver in message
    assert help in message
    assert "u:***@" in message
    assert "secret" not in message


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:secret@h:port/x",
        "foo://u:secret@h/x?password=secret",
        "postgresql://u:sec@ret@h:port/x",
        "postgresql://127.0.0.1:1/x?password=secret",
        "postgresql://u:secret@127.0.0.1:1/x",
    ],
)
def test_no_refusal_shows_a_password(url: str) -> None:
    pytest.importorskip("psycopg")
    message = refusal(url, create=True)
    assert "secret" not in message
    assert "sec@" not in message
    assert "ret@" not in message


@BOTH
def test_an_option_that_sqlite_does_not_have_is_named(workplace: Path, create: bool) -> None:
    (workplace / "results.sqlite").touch()
    said = refusal("sqlite:///results.sqlite?cache_size=7", create=create)
    assert "'cache_size' are not accepted by the pysqlite driver" in said


needs_permissions = pytest.mark.skipif(
    hasattr(os, "geteuid") and os.geteuid() == 0, reason="root may write where nobody else may"
)


@needs_permissions
def test_a_folder_that_may_not_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir()
    (tmp_path / "closed").chmod(0o500)
    message = refusal(tmp_path / "closed" / "results.sqlite", create=True)
    assert "unable to open database file" in message
    message = refusal(tmp_path / "closed" / "sub" / "results.sqlite", create=True)
    assert "Permission denied" in message


@needs_permissions
@BOTH
def test_a_file_that_may_not_be_read_is_refused(tmp_path: Path, create: bool) -> None:
    path = tmp_path / "results.sqlite"
    Store(str(path), create=True).close()
    path.chmod(0)
    assert "unable to open database file" in refusal(path, create=create)


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="this system has no /proc")
def test_a_place_that_takes_no_files_is_refused_even_to_root() -> None:
    assert "unable to open database file" in refusal("/proc/results.sqlite", create=True)
    assert "cannot make the folder" in refusal("/proc/sub/results.sqlite", create=True)


def test_a_refused_file_is_not_kept_open(tmp_path: Path) -> None:
    descriptors = Path("/proc/self/fd")
    if not descriptors.exists():
        pytest.skip("this system does not list a process's open files in /proc")
    path = tmp_path / "shop.sqlite"
    connection = sqlite3.connect(path)
    connection.execute("create table customers (id integer)")
    connection.close()
    with pytest.raises(StoreError) as refused:
        Store(str(path))
    held = [str(each.readlink()) for each in descriptors.iterdir() if each.is_symlink()]
    assert str(path) not in held, refused
