"""Ctrl-C and worse: what is finished is in the store, and nobody is left behind."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent

import pytest

from optbench.store import Store

pytestmark = [
    pytest.mark.proof,
    pytest.mark.skipif(os.name != "posix", reason="signals and process groups are of POSIX"),
]

STORE = "results.sqlite"
MANY = ("sgd", "momentum", "nesterov", "adam")
"""Two runs each; with those of the optimizer that is stuck it is ten."""

LONG = 60.0
"""Seconds after which a test gives up; on an idle machine each takes a few."""

STUCK = """
    import pathlib
    import time
    import torch

    class Stuck(torch.optim.SGD):
        def step(self, closure=None):
            if pathlib.Path("stuck").exists():
                time.sleep(600)
            return super().step(closure)
"""


@pytest.fixture
def begin(workplace: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts the command in a session of its own, as a terminal does; ends what is left of it."""
    Path("my_stuck.py").write_text(dedent(STUCK))
    Path("stuck").touch()
    begun: list[subprocess.Popen[str]] = []

    def start(**variables: str) -> subprocess.Popen[str]:
        names = [word for name in ("my_stuck:Stuck", *MANY) for word in ("-o", name)]
        process = subprocess.Popen(
            [
                *(Path(sys.executable).with_name("optbench"), "run", *names, "-p", "beale"),
                *("--seeds", "2", "--budget", "5", "--jobs", "2", "--store", STORE),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env={**os.environ, **variables},
        )
        begun.append(process)
        return process

    yield start
    for process in begun:
        # Workers outlive their coordinator's number: the group is still theirs.
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
        process.communicate()


def await_(process: subprocess.Popen[str], condition: Callable[[], bool]) -> None:
    """Wait until the condition holds, as long as the process lives and not for ever."""
    deadline = time.monotonic() + LONG
    while not condition():
        assert time.monotonic() < deadline, "it took too long"
        try:
            process.wait(timeout=0.05)
        except subprocess.TimeoutExpired:
            continue
        raise AssertionError(f"it ended by itself: {process.communicate()[1]}")


def finished() -> int:
    """Runs in the store, read by somebody who has no part in it."""
    if not Path(STORE).exists():
        return 0
    connection = sqlite3.connect(f"file:{STORE}?mode=ro", uri=True)
    try:
        return int(connection.execute("select count(*) from runs").fetchone()[0])
    except sqlite3.OperationalError:
        return 0  # Its tables are yet to be made.
    finally:
        connection.close()


def words_until_all_are_gone(process: subprocess.Popen[str]) -> str:
    """What was said on standard error, which ends when its last holder does: a worker, say."""
    return process.communicate(timeout=LONG / 2)[1]


def all_but_the_stuck() -> bool:
    return finished() == 2 * len(MANY)


def test_an_interrupt_leaves_what_is_finished_and_says_how_to_go_on(
    begin: Callable[..., subprocess.Popen[str]],
) -> None:
    process = begin()
    await_(process, all_but_the_stuck)
    # Ctrl-C goes to the whole group, the workers among it.
    os.killpg(process.pid, signal.SIGINT)
    # Comes back only when the worker that sleeps in a step has gone, too.
    err = words_until_all_are_gone(process)
    assert process.returncode == 130
    assert err.splitlines() == [
        "10 runs to do, 0 in the store",
        "interrupted: 8 of 10 runs are in the store; the same command goes on from there",
    ]
    assert finished() == 8

    Path("stuck").unlink()
    again = begin()
    err = words_until_all_are_gone(again)
    assert again.returncode == 0
    assert "10 runs: 8 were in the store, 2 done" in err


def test_one_that_is_asked_to_end_does_so_as_by_an_interrupt(
    begin: Callable[..., subprocess.Popen[str]],
) -> None:
    process = begin()
    await_(process, all_but_the_stuck)
    # To it alone, as a scheduler of jobs and a CI that cancels do.
    process.terminate()
    err = words_until_all_are_gone(process)
    assert process.returncode == 130
    assert "interrupted: 8 of 10 runs are in the store" in err


def test_a_killed_coordinator_leaves_a_whole_store_and_no_workers(
    begin: Callable[..., subprocess.Popen[str]],
) -> None:
    process = begin()
    await_(process, all_but_the_stuck)
    process.kill()
    assert process.wait(LONG) == -signal.SIGKILL
    with Store(STORE) as store:
        assert store.count() == 8
        assert set(store.runs()["status"]) == {"ok"}
        assert store.traces()["run"].nunique() == 8
    connection = sqlite3.connect(STORE)
    assert connection.execute("pragma integrity_check").fetchall() == [("ok",)]
    assert connection.execute("pragma foreign_key_check").fetchall() == []
    connection.close()
    # One worker idles, the other is in a step: both have to notice.
    process.communicate(timeout=10)


def test_a_worker_that_is_still_starting_leaves_an_interrupt_to_its_coordinator(
    begin: Callable[..., subprocess.Popen[str]], workplace: Path
) -> None:
    # Python runs this before anything else: it tells who starts, be it what workers are forked
    # from, and torch's import takes long.
    (workplace / "early").mkdir()
    (workplace / "early" / "sitecustomize.py").write_text(
        "import os, pathlib, sys\n"
        "if any(way in ' '.join(sys.orig_argv) for way in ('spawn_main', 'forkserver')):\n"
        "    pathlib.Path('starting.tmp').write_text(str(os.getpid()))\n"
        "    pathlib.Path('starting.tmp').rename('starting')\n"
    )
    Path("stuck").unlink()
    paths = [str(workplace / "early"), *filter(None, [os.environ.get("PYTHONPATH")])]
    process = begin(PYTHONPATH=os.pathsep.join(paths))
    await_(process, Path("starting").exists)
    os.kill(int(Path("starting").read_text()), signal.SIGINT)
    err = words_until_all_are_gone(process)
    assert "Traceback" not in err
    assert process.returncode == 0, err
    assert finished() == 10
