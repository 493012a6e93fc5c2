"""Who computes what, where several fill one store: each run once, and none forgotten."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, select, true, update
from test_store import HERE, result, run

from optbench.engine.identity import key
from optbench.store import Store, coordination, schema
from optbench.store.coordination import STALE_S


@pytest.fixture(params=["sqlite", "postgresql"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "postgresql":
        return str(request.getfixturevalue("postgres").new())
    return str(tmp_path / "results.sqlite")


@pytest.fixture
def store(path: str) -> Store:
    return Store(path, create=True)


RUNS = [run(seed=seed) for seed in range(4)]
KEYS = [key(each) for each in RUNS]
NEVER = dict.fromkeys(KEYS, 0)


def test_what_is_free_is_mine_and_what_is_another_s_is_not(store: Store, path: str) -> None:
    with Store(path) as second, store.coordinate() as me, second.coordinate() as other:
        first = me.claim(dict.fromkeys(KEYS[:3], 0))
        assert first.mine == set(KEYS[:3])
        assert first.done == set()
        rest = other.claim(NEVER)
        assert rest.mine == {KEYS[3]}
        assert rest.done == set()
        # Mine stay mine, asked again.
        assert me.claim(NEVER).mine == set(KEYS[:3])


def test_what_was_done_since_it_was_seen_is_done(store: Store, path: str) -> None:
    with Store(path) as second, store.coordinate() as me, second.coordinate() as other:
        me.claim(dict.fromkeys(KEYS[:2], 0))
        store.add([result(RUNS[0])], HERE)
        said = other.claim(NEVER)
        assert said.done == {KEYS[0]}
        assert said.mine == {KEYS[2], KEYS[3]}


def test_a_run_that_is_done_again_is_claimed_by_what_was_seen_of_it(store: Store) -> None:
    store.add([result(RUNS[0])], HERE)
    with store.coordinate() as me:
        assert me.claim({KEYS[0]: 1}).mine == {KEYS[0]}
        store.add([result(RUNS[0])], HERE)
        assert me.claim({KEYS[0]: 1}).done == {KEYS[0]}
        assert me.claim({KEYS[0]: 2}).mine == {KEYS[0]}
    assert store.attempts(KEYS) == {KEYS[0]: 2}


def test_leaving_lets_go_of_everything(store: Store, path: str) -> None:
    with Store(path) as second, second.coordinate() as other:
        with contextlib.suppress(RuntimeError), store.coordinate() as me:
            me.claim(NEVER)
            assert other.claim(NEVER).mine == set()
            raise RuntimeError("in the middle of it")
        assert other.claim(NEVER).mine == set(KEYS)
    for table in (schema.claims, schema.coordinators):
        assert store._database.read(lambda c, table=table: c.execute(select(table)).all()) == []


def shift(store: Store, seconds: int, number: int | None = None) -> None:
    """Change when a coordinator gave its last heartbeat; of every one, without its number."""
    table = schema.coordinators
    of = true() if number is None else table.c.number == number
    later = update(table).where(of).values(heartbeat=table.c.heartbeat + seconds)
    store._database.write(lambda connection: connection.execute(later))


class OneBeat(threading.Event):
    """A wait that ends at once, and the next of which finds that all is over."""

    def wait(self, timeout: float | None = None) -> bool:
        over = self.is_set()
        self.set()
        return over


def test_a_heartbeat_keeps_a_coordinator_alive(store: Store, path: str) -> None:
    with Store(path) as second, store.coordinate() as me, second.coordinate() as other:
        me.claim(dict.fromkeys(KEYS[:3], 0))
        shift(store, STALE_S // 2 - STALE_S, me._number)
        assert other.claim(NEVER).mine == {KEYS[3]}
        shift(store, -STALE_S, me._number)
        me.beat(OneBeat())
        assert other.claim(NEVER).mine == {KEYS[3]}


def test_heartbeats_are_given_while_the_context_lasts(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(coordination, "HEARTBEAT_S", 0.0)
    given, write = threading.Semaphore(0), store._database.write

    def noted(work: Callable[[Connection], Any]) -> Any:
        done = write(work)
        if threading.current_thread().name == "heartbeat":
            given.release()
        return done

    monkeypatch.setattr(store._database, "write", noted)
    with store.coordinate():
        assert given.acquire(timeout=60)
        assert given.acquire(timeout=60)
    for thread in threading.enumerate():
        if thread.name == "heartbeat":
            thread.join(60)
            assert not thread.is_alive()


@pytest.mark.parametrize("hours", [-5, 5])
def test_a_clock_that_jumps_costs_at_most_that_a_run_is_computed_twice(
    store: Store, path: str, hours: int
) -> None:
    with Store(path) as second, store.coordinate() as me, second.coordinate() as other:
        assert me.claim(NEVER).mine == set(KEYS)
        shift(store, hours * 3600)
        # Both take the other for dead, and whoever comes first takes all.
        assert other.claim(NEVER).mine == set(KEYS)
        assert me.claim(NEVER).mine == set()
        for _ in range(2):
            store.add([result(RUNS[0])], HERE)
        assert other.claim(NEVER).done == {KEYS[0]}
        assert me.claim(NEVER).done == {KEYS[0]}
        assert store.count() == 1
    with store.coordinate() as me:
        assert me.claim(NEVER).mine == set(KEYS[1:])


CLAIMS = """
import json, sys
from optbench.store import Store
with Store(sys.argv[1]) as store, store.coordinate() as me:
    print(len(me.claim(json.loads(sys.argv[2])).mine), flush=True)
    sys.stdin.readline()
"""


def test_the_claims_of_a_killed_coordinator_are_taken_over_once_its_heartbeat_is_stale(
    store: Store, path: str
) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", CLAIMS, path, json.dumps(dict.fromkeys(KEYS[:3], 0))],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "3\n"
    with store.coordinate() as me:
        assert me.claim(NEVER).mine == {KEYS[3]}
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert me.claim(NEVER).mine == {KEYS[3]}
        shift(store, -STALE_S - 1)
        assert me.claim(NEVER).mine == set(KEYS)


def test_in_memory_nobody_else_is_there() -> None:
    with Store("sqlite://", create=True) as store, store.coordinate() as me:
        assert me.claim(NEVER).mine == set(KEYS)
