"""Two processes fill one store at once: each run is done by one of them, and all are done."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from test_store import HERE, result, run

from optbench.engine.identity import key
from optbench.store import Store, coordination

RUNS = {key(one): one for one in (run(seed=seed) for seed in range(120))}


def fill_up(url: str) -> int:
    """Do what is to be done, three at a time, and wait for what the other does; gives how many."""
    left, done = dict(RUNS), 0
    deadline = time.monotonic() + 60
    with Store(url) as store, store.coordinate() as me:
        while left:
            assert time.monotonic() < deadline
            before = len(left)
            for first in range(0, len(RUNS), 3):
                some = list(left)[first : first + 3]
                claim = me.claim(dict.fromkeys(some, 0))
                # Told before it is kept: who is killed now has claims.
                print(done, flush=True)
                store.add([result(RUNS[name]) for name in sorted(claim.mine)], HERE)
                done += len(claim.mine)
                for name in claim.mine | claim.done:
                    del left[name]
            if len(left) == before:
                time.sleep(0.01)
    return done


OTHER = """
import sys
sys.path[:0] = sys.argv[2:]
from test_two_coordinators import fill_up
fill_up(sys.argv[1])
"""


@pytest.mark.proof
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_each_run_is_done_once_and_those_of_the_dead_by_another(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = str(tmp_path / "results.sqlite")
    if kind == "postgresql":
        url = request.getfixturevalue("postgres").new()
    Store(url, create=True).close()
    folder = Path(__file__).parent
    with Store(url) as store, store.coordinate() as me:
        # Held before the other begins, which therefore cannot be through before it is killed.
        claim = me.claim(dict.fromkeys(list(RUNS)[-6:], 0))
        assert len(claim.mine) == 6
        other = subprocess.Popen(
            [sys.executable, "-c", OTHER, url, str(folder), str(folder.parent)],
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert other.stdout is not None
        while int(other.stdout.readline()) < 30:
            pass
        other.send_signal(signal.SIGKILL)
        other.communicate()
        # From now on nobody else is there who could be taken for dead.
        monkeypatch.setattr(coordination, "STALE_S", 2)
        store.add([result(RUNS[name]) for name in claim.mine], HERE)
    by_other = len(RUNS) - fill_up(url) - len(claim.mine)
    with Store(url) as store:
        assert store.attempts(RUNS) == dict.fromkeys(RUNS, 1)
        assert store.count() == len(RUNS)
        assert by_other >= 30
        with store.coordinate() as me:
            assert me.claim(dict.fromkeys(RUNS, 1)).mine == set(RUNS)
