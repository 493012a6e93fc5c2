"""What a Dask worker is told about the processes that our parcels run in."""

from __future__ import annotations

import functools
import multiprocessing
import multiprocessing.util
import os
from typing import Any

import distributed

from optbench.engine import isolation
from optbench.engine.remote_work import OURS

TRIM = ("MALLOC_TRIM_THRESHOLD_", "65536")
"""Variable that Dask's nannies set, and to what: memory goes back to the system at once, and every
step asks for it anew. Runs take a third longer so, and a process of ours is soon gone anyway."""


class EndsItsProcesses(distributed.WorkerPlugin):
    """Ends the processes of parcels with the worker, and with a task that is taken back."""

    def setup(self, worker: Any) -> None:
        """Called where a worker is given the plug-in."""
        self._worker = worker

    def transition(self, key: Any, start: str, finish: str, **rest: Any) -> None:
        """Called whenever the state of a task changes."""
        taken_back = str(key).startswith(f"{OURS}-") and finish in ("released", "cancelled")
        # Where several threads work, the processes of the others would go, too.
        if taken_back and start == "executing" and self._worker.state.nthreads == 1:
            isolation.close()

    def teardown(self, worker: Any) -> None:
        """Called before a worker ends, which would wait for its parcel."""
        isolation.close()


@functools.cache
def prepare_this_worker() -> None:
    """Let the Dask worker that this thread belongs to have processes, which end when it does."""
    # Dask begins its workers as daemons, to which multiprocessing allows no children.
    multiprocessing.current_process().daemon = False
    name, by_dask = TRIM
    if os.environ.get(name) == by_dask:
        del os.environ[name]
    # An exit handler would come too late: before those, multiprocessing waits for the children.
    multiprocessing.util.Finalize(None, isolation.close, exitpriority=100)
    worker = distributed.get_worker()
    worker.loop.add_callback(worker.plugin_add, EndsItsProcesses(), name=OURS)
