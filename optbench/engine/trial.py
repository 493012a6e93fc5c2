"""What an unfamiliar class needs of a run, found out by trying it on small problems.

A class that is named by its path says nothing about itself. Whether it wants a closure, matrices
only or sparse gradients is tried before its runs are planned, in a process of its own, since a
step of it may do anything.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch

from optbench.engine.as_found import torch_as_found
from optbench.engine.compiling import uncompiled
from optbench.engine.lanes import advance
from optbench.engine.stepping import reads_gradients_first
from optbench.optimizers import OPTIMIZERS, Optimizer
from optbench.problems import PROBLEMS
from optbench.process.channel import Channel, Gone, serve_requests
from optbench.process.worker import WorkerProcess, in_a_worker

START_S = 120.0
"""Seconds for a process to import torch and the class's package."""

LIMIT_S = 10.0
"""Seconds for all trials of a class; they take milliseconds. One that hangs is not waited for: its
runs will say so."""

BUDGET = 8
"""Gradient evaluations of a trial: some methods take two a step, and fail in the second."""


@dataclass(frozen=True)
class Needs:
    """How a class has to be run."""

    closure: bool = False
    gradients_first: bool = False
    sparse_gradients: bool = False
    only_matrices: bool = False
    create_graph: bool = False

    def of(self, row: Optimizer) -> Optimizer:
        """Return the row with these requirements."""
        needs = {"only matrices"} if self.only_matrices else set()
        needs |= {"sparse"} if self.sparse_gradients else set()
        needs |= {"create_graph"} if self.create_graph else set()
        return replace(
            row,
            closure=row.closure or self.closure,
            gradients_first=row.gradients_first or self.gradients_first,
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


def probe_needs(row: Optimizer, settings: Mapping[str, Any]) -> Needs | None:
    """Return the first requirements under which a class takes a few steps, or None."""
    for needs, problem in TRIALS:
        if not _steps(needs.of(row), problem, settings):
            continue
        if needs.sparse_gradients and _steps(row, problem, settings):
            return None  # what it did not take is the shapes of the others
        return replace(needs, gradients_first=gradients_come_first(needs.of(row), settings))
    return Needs(create_graph=True) if _steps_in_a_graph(row, settings) else None


def gradients_come_first(row: Optimizer, settings: Mapping[str, Any]) -> bool:
    """Whether a row that takes a closure uses gradients that were there before it calls that."""
    return row.closure and reads_gradients_first(lambda named: row.make(named, settings))


def _steps(row: Optimizer, problem: str, settings: Mapping[str, Any]) -> bool:
    try:
        with torch_as_found(), uncompiled():
            advance(row, PROBLEMS[problem], [settings], [0], BUDGET)
    # Whatever it raises, what it was given is not what it needs.
    except (Exception, SystemExit):  # noqa: BLE001
        return False
    return True


def _steps_in_a_graph(row: Optimizer, settings: Mapping[str, Any]) -> bool:
    """Whether it steps where its gradients can be differentiated again."""
    weight = torch.nn.Parameter(torch.tensor([[0.5, -1.0], [2.0, 0.25]]))
    try:
        with torch_as_found(), uncompiled():
            optimizer = row.make([("layers.0.weight", weight)], settings)
            for _ in range(2):
                optimizer.zero_grad()
                weight.pow(4).sum().backward(create_graph=True)
                optimizer.step()
    except (Exception, SystemExit):  # noqa: BLE001
        return False
    return True


def tried_apart(name: str, settings: Mapping[str, Any]) -> Needs | None:
    """`probe_needs` in a process of its own; None where that hangs, crashes or fails."""
    with tempfile.TemporaryDirectory(prefix="optbench-") as folder:
        worker = WorkerProcess.begin(serve, Path(folder) / "trail")
        channel = Channel(worker)
        try:
            channel.ask((name, dict(settings)), START_S)
            answer = channel.answer(lambda sign: channel.allow(LIMIT_S))
        except Gone:
            answer = None
        finally:
            worker.end()
    return answer.content if answer is not None else None


def serve(pipe: Connection, trail: str) -> None:
    """In the process itself: try the one class that is asked about."""
    with in_a_worker(trail):
        serve_requests(pipe, _tried)


def _tried(
    question: tuple[str, Mapping[str, Any]], begun: Callable[[], None]
) -> tuple[Needs | None, bool]:
    name, settings = question
    row = OPTIMIZERS[name]
    begun()
    return probe_needs(row, settings), False
