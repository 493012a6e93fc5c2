"""A command that ends with whoever asked for it, with all that it began."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from optbench.nightly.subprocess_group import TookTooLong, guarded

SPAWNS = """
import os, subprocess, sys
# As asv does: a process of its own group.
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], process_group=0)
print(child.pid, os.getpid(), flush=True)
child.wait()
"""


def gone(pid, seconds=20.0):
    """Whether a process ends in time; a zombie has ended."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return True
        if state == "Z":
            return True
        os.sched_yield()
    return False


def pids(log, count=2):
    end = time.monotonic() + 30
    while time.monotonic() < end:
        found = log.read_text().split() if log.exists() else []
        if len(found) == count:
            return [int(pid) for pid in found]
        os.sched_yield()
    raise AssertionError("nothing was begun")


def test_exit_status_and_output(tmp_path):
    log = tmp_path / "log"
    code = guarded([sys.executable, "-c", "print('said'); raise SystemExit(7)"], tmp_path, log)
    assert code == 7
    assert log.read_text() == "said\n"


def test_at_its_limit_everything_is_gone(tmp_path):
    log = tmp_path / "log"
    with pytest.raises(TookTooLong, match="longer than 2 s"):
        guarded([sys.executable, "-c", SPAWNS], tmp_path, log, limit_s=2.0)
    assert all(gone(pid) for pid in pids(log))


def test_a_killed_coordinator_takes_everything_along(tmp_path):
    log = tmp_path / "log"
    code = (
        "import sys; from pathlib import Path;"
        "from optbench.nightly.subprocess_group import guarded;"
        f"guarded([sys.executable, '-c', {SPAWNS!r}], Path({str(tmp_path)!r}), Path({str(log)!r}))"
    )
    coordinator = subprocess.Popen([sys.executable, "-c", code])
    found = pids(log)
    coordinator.send_signal(signal.SIGKILL)
    coordinator.wait()
    assert all(gone(pid) for pid in found)
