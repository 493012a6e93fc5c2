"""Who computes what, where several fill one store: each run once, and none forgotten."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from test_store import HERE, result, run

from optbench.engine.identity import key
from optbench.store import Store


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


def test_what_is_let_go_of_is_free(store: Store, path: str) -> None:
    with Store(path) as second, store.coordinate() as me, second.coordinate() as other:
        me.claim(NEVER)
        me.release(KEYS[:1])
        other.release(KEYS[1:2])  # not its own: nothing happens
        assert other.claim(NEVER).mine == {KEYS[0]}


def test_leaving_lets_go_of_everything_and_leaves_no_file(
    store: Store, path: str, tmp_path: Path
) -> None:
    with Store(path) as second, second.coordinate() as other:
        with contextlib.suppress(RuntimeError), store.coordinate() as me:
            me.claim(NEVER)
            assert other.claim(NEVER).mine == set()
            raise RuntimeError("in the middle of it")
        assert other.claim(NEVER).mine == set(KEYS)
    left = {each.name for each in tmp_path.iterdir()}
    assert left <= {"results.sqlite", "results.sqlite-wal", "results.sqlite-shm"}


CLAIMS = """
import json, sys
from optbench.store import Store
with Store(sys.argv[1]) as store, store.coordinate() as me:
    print(len(me.claim(json.loads(sys.argv[2])).mine), flush=True)
    sys.stdin.readline()
"""


def test_the_claims_of_a_killed_coordinator_are_taken_over_at_once(store: Store, path: str) -> None:
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
        assert me.claim(NEVER).mine == set(KEYS)
    assert not Path(f"{path}-coordinators").exists()


def test_in_memory_nobody_else_is_there() -> None:
    with Store("sqlite://", create=True) as store, store.coordinate() as me:
        assert me.claim(NEVER).mine == set(KEYS)
