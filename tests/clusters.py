"""Dask clusters for tests: a scheduler and workers as processes of their own, on 127.0.0.1."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from optbench.engine.runs import Run
from optbench.engine.work import Unit
from optbench.runner.packing import Parcel

DEADLINE_S = 60.0


def parcel(seed: int = 0, **fields: Any) -> Parcel:
    """One short run."""
    given = {
        **{"optimizer": "adam", "hyperparameters": (("lr", 0.01),)},
        **{"problem": "rosenbrock-2d", "problem_version": 1, "data": "none", "budget": 40},
    }
    return Parcel((Unit((Run(**{**given, **fields}, seed=seed),)),))


def until(condition: Callable[[], Any], what: str) -> Any:
    """Wait for a condition, and give what it says."""
    deadline = time.monotonic() + DEADLINE_S
    while not (found := condition()):
        assert time.monotonic() < deadline, f"waited in vain: {what}"
        time.sleep(0.02)
    return found


class Cluster:
    """A scheduler, and the workers that are asked for.

    Attributes
    ----------
    file : Path
        The scheduler file.
    """

    def __init__(self, folder: Path, environment: Mapping[str, str], protocol: str) -> None:
        self.file = folder / "scheduler.json"
        self._folder = folder
        self._environment = {**os.environ, **environment}
        self._protocol = protocol
        self._processes: list[subprocess.Popen[bytes]] = []
        self.scheduler = self._begin("dask_scheduler", "--port", "0")
        until(self._address, "no scheduler")

    @property
    def address(self) -> str:
        """Of the scheduler."""
        return str(self._address())

    def _address(self) -> str | None:
        with contextlib.suppress(OSError, ValueError):
            return str(json.loads(self.file.read_text())["address"])
        return None

    def worker(self, *options: str) -> subprocess.Popen[bytes]:
        """Begin one more."""
        return self._begin("dask_worker", "--nthreads", "1", "--memory-limit", "0", *options)

    def _begin(self, module: str, *options: str) -> subprocess.Popen[bytes]:
        command = [
            *(sys.executable, "-m", f"distributed.cli.{module}", *options, "--no-dashboard"),
            *("--host", "127.0.0.1", "--protocol", self._protocol),
            *("--scheduler-file", str(self.file)),
        ]
        with (self._folder / f"{len(self._processes)}.log").open("wb") as log:
            process = subprocess.Popen(
                command,
                env=self._environment,
                cwd=self._folder,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._processes.append(process)
        return process

    def end(self) -> None:
        """End all of it."""
        for process in self._processes:
            # What a nanny began is in its group.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@contextlib.contextmanager
def cluster(
    folder: Path, environment: Mapping[str, str] | None = None, protocol: str = "tcp"
) -> Iterator[Cluster]:
    """A scheduler without workers."""
    made = Cluster(folder, environment or {}, protocol)
    try:
        yield made
    finally:
        made.end()
