"""PostgreSQL: a server that goes away and comes back, and stores of it that are like a file."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from postgres_server import LONG, PostgresServer
from test_coordination import KEYS, NEVER, RUNS
from test_store import HERE, result, run

from optbench.engine.runs import Result, Status
from optbench.store import Store, StoreError, coordination


@pytest.fixture
def store(postgres: PostgresServer) -> Iterator[Store]:
    with Store(postgres.new(), create=True) as made:
        yield made


@contextmanager
def starting(server: PostgresServer) -> Iterator[None]:
    """The server comes back while what is within is waiting for it."""
    thread = threading.Thread(target=server.start)
    thread.start()
    try:
        yield
    finally:
        thread.join()


@pytest.mark.parametrize("how", ["kill -9", "stop"])
def test_a_store_waits_for_a_server_that_comes_back(
    store: Store, postgres: PostgresServer, how: str
) -> None:
    store.add([result(RUNS[0])], HERE)
    postgres.kill9() if how == "kill -9" else postgres.stop("immediate")
    with starting(postgres):
        if how == "stop":
            assert len(store.runs()) == 1
        store.add([result(RUNS[1])], HERE)
    assert store.missing(RUNS) == RUNS[2:]
    assert store.attempts(KEYS) == {KEYS[0]: 1, KEYS[1]: 1}


def test_a_server_that_stays_away_is_said_to(store: Store, postgres: PostgresServer) -> None:
    store.add([result(RUNS[0])], HERE)
    store._database.patience_s = 0.2
    postgres.stop()
    try:
        with pytest.raises(StoreError, match="was away for 0 s, and is yet") as refused:
            store.count()
        assert len(str(refused.value).splitlines()) == 1
        with pytest.raises(StoreError, match="cannot open the store"):
            Store(postgres.url())
    finally:
        postgres.start()
    assert store.count() == 1


@pytest.mark.parametrize("committed", [False, True])
def test_a_commit_whose_answer_is_lost_is_done_once(
    store: Store, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch, committed: bool
) -> None:
    store.add([result(RUNS[0])], HERE)
    dialect = store._database.engine.dialect
    commit, lost = dialect.do_commit, []

    def lose(connection: Any) -> None:
        if not lost:
            lost.append(connection.driver_connection.info.backend_pid)
            if committed:
                commit(connection)
            postgres.execute(f"SELECT pg_terminate_backend({lost[0]}, 5000)")
            connection.execute("SELECT 1")
        commit(connection)

    monkeypatch.setattr(dialect, "do_commit", lose)
    store.add([result(RUNS[0]), result(RUNS[1])], HERE)
    assert lost
    assert store.attempts(KEYS) == {KEYS[0]: 2, KEYS[1]: 1}
    assert len(store.runs()) == 2


def test_a_coordinator_stays_one_when_its_server_comes_back(
    store: Store, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    # However long a busy machine takes for what follows.
    monkeypatch.setattr(coordination, "STALE_S", 10 * LONG)
    with Store(store.url.render_as_string()) as second, store.coordinate() as me:
        with second.coordinate() as other:
            me.claim(dict.fromkeys(KEYS[:3], 0))
            postgres.kill9()
            postgres.start()
            assert other.claim(NEVER).mine == {KEYS[3]}
            assert me.claim(NEVER).mine == set(KEYS[:3])
        assert me.claim(NEVER).mine == set(KEYS)


def test_frames_are_those_of_a_file(store: Store, tmp_path: Path) -> None:
    results = [
        result(run(name, problem, seed=seed, device=device), seconds=0.5)
        for name in ("sgd", "adam[fused]", "adam")
        for problem in ("quadratic", "beale")
        for seed in (3, 0)
        for device in ("cpu", "CPU")
    ]
    results.append(Result(run("lion"), Status.FAILED, error="—"))
    with Store(str(tmp_path / "results.sqlite"), create=True) as file:
        for one in (store, file):
            one.add(results, HERE)
        for name in ("runs", "targets", "traces", "problems", "environments"):
            frames = [getattr(one, name)() for one in (store, file)]
            for frame in frames:
                assert not frame.empty
            pd.testing.assert_frame_equal(*frames)
        assert store.costs() == file.costs()


def test_a_server_that_only_reads_is_said_to(postgres: PostgresServer) -> None:
    url = postgres.new()
    Store(url, create=True).close()
    with Store(f"{url}%20-cdefault_transaction_read_only%3Don") as reader:
        assert reader.count() == 0
        with pytest.raises(StoreError, match="read-only transaction"):
            reader.add([result()], HERE)
