"""What an unfamiliar class needs of a run, found out by trying it on small problems.

A class that is named by its path says nothing about itself. Whether it wants a closure, matrices
only or sparse gradients is tried before its runs are planned, in a process of its own, since a
step of it may do anything.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from optbench.engine.as_found import torch_as_found
from optbench.engine.compiling import uncompiled
from optbench.engine.lanes import advance
from optbench.engine.processes import WorkerProcess, in_a_worker
from optbench.optimizers import OPTIMIZERS, Optimizer
from optbench.problems import PROBLEMS

START_S = 120.0
"""Seconds for a process to import torch and the class's package."""

LIMIT_S = 10.0
"""Seconds for all trials of a class; they take milliseconds. One that hangs is not waited for: its
runs will say so."""

BUDGET = 8
"""Gradient evaluations of a trial: some methods take two a step, and fail in the second."""


READY = "ready"


@dataclass(frozen=True)
class Needs:
    """How a class has to be run."""

    closure: bool = False
    sparse_gradients: bool = False
    only_matrices: bool = False

    def of(self, row: Optimizer) -> Optimizer:
        """The row with these needs."""
        needs = {"only matrices"} if self.only_matrices else set()
        needs |= {"sparse"} if self.sparse_gradients else set()
        return replace(
            row,
            closure=row.closure or self.closure,
            sparse_gradients=row.sparse_gradients or self.sparse_gradients,
            needs=row.needs | needs,
        )


TRIALS = (
    (Needs(), "network-2-3-1"),
    (Needs(closure=True), "network-2-3-1"),
    (Needs(only_matrices=True), "matrix-completion"),
    (Needs(closure=True, only_matrices=True), "matrix-completion"),
    (Needs(sparse_gradients=True), "sparse-logistic"),
)
"""Needs to assume, the most usual first, and a problem that meets them."""


def found_by_trying(row: Optimizer, settings: Mapping[str, Any]) -> Needs | None:
    """The first needs under which a class takes a few steps; None where it never does."""
    for needs, problem in TRIALS:
        try:
            with torch_as_found(), uncompiled():
                advance(needs.of(row), PROBLEMS[problem], [settings], [0], BUDGET)
        # Whatever it raises, these needs are not met.
        except (Exception, SystemExit):  # noqa: BLE001
            continue
        return needs
    return None


def tried_apart(name: str, settings: Mapping[str, Any]) -> Needs | None:
    """`found_by_trying` in a process of its own; None where that hangs, crashes or fails."""
    with tempfile.TemporaryDirectory(prefix="optbench-") as folder:
        worker = WorkerProcess.begin(_serve, Path(folder) / "trail", name, dict(settings))
        try:
            # An answer that cannot be read is that of a process which user code took down.
            ready = worker.pipe.poll(START_S) and worker.pipe.recv() == READY
            found = worker.pipe.recv() if ready and worker.pipe.poll(LIMIT_S) else None
        except Exception:  # noqa: BLE001
            found = None
        finally:
            worker.end()
            worker.pipe.close()
    return found if isinstance(found, Needs) else None


def _serve(pipe: Connection, trail: str, name: str, settings: Mapping[str, Any]) -> None:
    with in_a_worker(trail):
        row = OPTIMIZERS[name]
        pipe.send(READY)
        pipe.send(found_by_trying(row, settings))
