"""A PostgreSQL server of the tests' own: on a free port, gone with the tests, and to be killed."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

LONG = 60.0
"""Seconds to wait for what takes one."""

# Between us and the server, so that it ends however we do: the pipe to us is closed then.
KEEPER = """
import json, signal, subprocess, sys
server = subprocess.Popen(sys.argv[2:], stdin=subprocess.DEVNULL, **json.loads(sys.argv[1]))
print(server.pid, flush=True)
sys.stdin.read()
if server.poll() is None:
    server.send_signal(signal.SIGQUIT)
server.wait()
"""


class PostgresServer:
    """A server in a folder; it writes as safely as it does by default.

    Attributes
    ----------
    port : int
        On 127.0.0.1; the same after another `start`.
    """

    def __init__(self, binaries: Path, folder: Path) -> None:
        self._binaries, self._folder = binaries, folder
        self._data = folder / "data"
        self._keeper: subprocess.Popen[str] | None = None
        self._pid = 0
        self._numbers = itertools.count(1)
        self._user = _unprivileged()
        if self._user:
            shutil.chown(folder, self._user)
        self._run(
            "initdb", "--pgdata", str(self._data), "--username", "optbench", "--auth", "trust",
            "--encoding", "UTF8", "--locale", "C.UTF-8", "--no-sync",
        )  # fmt: skip
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self._begin()
        deadline = time.monotonic() + LONG
        while True:
            try:
                self.execute("SELECT 1")
                return
            except _psycopg().OperationalError:
                assert time.monotonic() < deadline, (self._folder / "log").read_text()
                if self._keeper is None or self._keeper.poll() is not None:
                    # Of the one before, a process still holds the memory: for a moment.
                    self._begin()
                time.sleep(0.05)

    def _begin(self) -> None:
        self._end_keeper()
        server = (
            str(self._binaries / "postgres"), "-D", str(self._data), "-p", str(self.port),
            "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=",
            "-c", "fsync=on", "-c", "max_connections=50",
        )  # fmt: skip
        with (self._folder / "log").open("a") as log:
            self._keeper = subprocess.Popen(
                [sys.executable, "-c", KEEPER, json.dumps(self._as_user()), *server],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True,
                cwd=self._folder, start_new_session=True,
            )  # fmt: skip
        assert self._keeper.stdout is not None
        self._pid = int(self._keeper.stdout.readline())

    def kill9(self) -> None:
        """Kill it as a loss of power would."""
        os.kill(self._pid, signal.SIGKILL)
        self._end_keeper()

    def stop(self, mode: str = "fast") -> None:
        """Stop it as ``pg_ctl`` does: ``fast`` or ``immediate``."""
        self._run("pg_ctl", "stop", "--pgdata", str(self._data), "--mode", mode)
        self._end_keeper()

    def end(self) -> None:
        """Stop it for good, if it runs."""
        self._end_keeper()

    def url(self, database: str = "postgres", scheme: str = "postgresql") -> str:
        """For `optbench.store.Store`."""
        return f"{scheme}://optbench@127.0.0.1:{self.port}/{database}"

    def new(self) -> str:
        """The URL of a place for a new store: a schema, which costs less than a database."""
        name = f"test{next(self._numbers)}"
        self.execute(f"CREATE SCHEMA {name}")
        return f"{self.url()}?options=-csearch_path%3D{name}"

    def execute(self, statement: str, database: str = "postgres") -> list[Any]:
        """Execute a statement, by itself; gives its rows."""
        connection = _psycopg().connect(self.url(database), autocommit=True)
        try:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [str(self._binaries / program), *arguments],
            check=True, cwd=self._folder, stdout=subprocess.DEVNULL, **self._as_user(),
        )  # fmt: skip

    def _as_user(self) -> dict[str, Any]:
        if not self._user:
            return {}
        return {"user": self._user, "group": pwd.getpwnam(self._user).pw_gid, "extra_groups": []}

    def _end_keeper(self) -> None:
        if self._keeper is not None:
            self._keeper.communicate(timeout=LONG)
            self._keeper = None


def _unprivileged() -> str | None:
    """Who runs the server: it refuses to be root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name).pw_name
    raise LookupError("there is no user to run a server: neither postgres nor nobody")


def _psycopg() -> Any:
    import psycopg

    return psycopg


def binaries() -> Path | None:
    """Where the newest PostgreSQL's programs are; None where there are none."""
    found = shutil.which("initdb")
    if found:
        return Path(found).resolve().parent
    # Debian's place, which is on nobody's path.
    debian = sorted(
        Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda p: float(p.parts[-3])
    )
    return debian[-1].parent if debian else None


@contextlib.contextmanager
def running_server() -> Iterator[PostgresServer]:
    """A server that runs, for as long as the context lasts; skips where there is none."""
    pytest.importorskip("psycopg", reason="psycopg is not installed (optbench[postgres])")
    found = binaries()
    if found is None:
        pytest.skip("there is no PostgreSQL server here (on Debian: apt install postgresql)")
    folder = Path(tempfile.mkdtemp(prefix="optbench-postgres-"))
    server = None
    try:
        server = PostgresServer(found, folder)
        server.start()
        yield server
    finally:
        if server is not None:
            server.end()
        shutil.rmtree(folder)


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """The server of a session; who kills it starts it anew."""
    with running_server() as server:
        yield server
