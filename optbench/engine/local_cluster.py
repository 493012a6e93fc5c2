"""A Dask cluster of worker processes on this machine, for as long as somebody holds it."""

from __future__ import annotations

import contextlib
import tempfile
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from optbench.process.worker import WorkerProcess, in_a_worker

START_S = 120.0
"""Seconds for scheduler and workers to begin."""


CLOSE_S = 10.0
"""Seconds for them to end by themselves."""


class LocalCluster:
    """A scheduler with so many workers of one thread, in a process apart.

    It listens on 127.0.0.1 alone, and only to whoever holds the certificate that is made for it:
    without one, everybody with an account on this machine could run code as its owner.
    It is gone when its coordinator is, however that ended.

    Attributes
    ----------
    address : str
        Of the scheduler.
    security : mapping
        Arguments of `distributed.Security` for its clients.
    """

    def __init__(self, workers: int) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="optbench-")
        self._process = WorkerProcess.begin(serve, Path(self._folder.name) / "trail", workers)
        try:
            said: Any = self._process.pipe.recv() if self._process.pipe.poll(START_S) else None
        except (EOFError, OSError):
            said = self._process.how_it_ended()
        if not isinstance(said, tuple):
            self.close()
            raise RuntimeError(f"no Dask cluster could be begun here: {said or 'it is too slow'}")
        self.address, self.security = said

    def close(self) -> None:
        """End it with its workers."""
        # Asked to, it takes its semaphores along, whose loss would be announced.
        self._process.pipe.close()
        self._process.process.join(CLOSE_S)
        self._process.end()
        self._folder.cleanup()


def serve(pipe: Connection, trail: str, workers: int) -> None:
    """In the process itself: hold the cluster until the coordinator closes the pipe."""
    with in_a_worker(trail):
        import distributed

        security = distributed.Security.temporary()
        with distributed.LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            host="127.0.0.1",
            security=security,
            dashboard_address=None,
            memory_limit=0,
            local_directory=str(Path(trail).parent),
        ) as cluster:
            names = ("tls_ca_file", "tls_client_cert", "tls_client_key")
            pipe.send((cluster.scheduler_address, {n: getattr(security, n) for n in names}))
            with contextlib.suppress(EOFError):
                pipe.recv()
