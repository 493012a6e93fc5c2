"""A command that ends with whoever asked for it, with all that it began.

asv begins processes of its own, each leading a group; were this process killed, they would go on,
beside those of the next nightly run. So the command is led by a process that watches over it::

    python -m optbench.nightly.subprocess_group COORDINATOR COMMAND...

in a session of its own. When the coordinator is gone, so is the session.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

LOOK_S = 0.2
"""Seconds between two looks at whether the coordinator is there."""


class TookTooLong(RuntimeError):
    """A command that was ended at its limit."""


def guarded(
    command: Sequence[str],
    folder: Path,
    log: Path,
    *,
    limit_s: float | None = None,
    environment: Mapping[str, str] | None = None,
) -> int:
    """Run a command in a folder, what it prints appended to a log; its exit status.

    Raises
    ------
    TookTooLong
        Where it took longer than ``limit_s`` seconds. It and all that it began are gone then, as
        they are after Ctrl-C.
    """
    leader = [sys.executable, "-m", "optbench.nightly.subprocess_group", str(os.getpid()), *command]
    with log.open("ab") as file:
        process = subprocess.Popen(
            leader,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(environment or {})},
            start_new_session=True,
        )
        try:
            return process.wait(limit_s)
        except subprocess.TimeoutExpired as error:
            raise TookTooLong(f"it took longer than {limit_s:.0f} s") from error
        finally:
            end_session(process.pid)
            process.wait()


def end_session(session: int) -> None:
    """Kill every process of a session, whatever group it is in."""
    proc = Path("/proc")
    if not proc.is_dir():  # not Linux: what made groups of its own is not found
        with contextlib.suppress(ProcessLookupError):
            os.killpg(session, signal.SIGKILL)
        return
    # The leader, which is told of no other, goes last: its end would hide that the others go on.
    processes = [int(each.name) for each in proc.iterdir() if each.name.isdigit()]
    members = [pid for pid in processes if pid != session and _session(pid) == session]
    for pid in (*members, session):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if _session(pid) == session:
                os.kill(pid, signal.SIGKILL)


def _session(pid: int) -> int:
    """Return the session of a process; 0 where it has ended."""
    try:
        return os.getsid(pid)
    except (ProcessLookupError, PermissionError):
        return 0


def main() -> None:
    """Lead the command, and watch."""
    coordinator, command = int(sys.argv[1]), sys.argv[2:]
    process = subprocess.Popen(command)
    while True:
        try:
            code = process.wait(LOOK_S)
        except subprocess.TimeoutExpired:
            if os.getppid() != coordinator:
                end_session(os.getsid(0))
            continue
        sys.exit(code if code >= 0 else 128 - code)


if __name__ == "__main__":
    main()
