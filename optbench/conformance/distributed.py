"""Does it compute the same on two processes as on one?"""

from __future__ import annotations

import os
import pickle
import tempfile
import time
import traceback
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from optbench.engine.compiling import uncompiled
from optbench.engine.stepping import Stepper
from optbench.optimizers.builders import BeforeStep, construct, is_builder, torch_names
from optbench.optimizers.recipe import Factory
from optbench.process.worker import WorkerProcess, in_a_worker
from optbench.scenarios.agreement import require_agreement
from optbench.scenarios.gradients import GradientSequence
from optbench.scenarios.outcomes import CheckFailed, NotApplicable
from optbench.scenarios.session import Session
from optbench.scenarios.subject import Subject, require_determinism

Job = tuple[Factory, dict[str, Any], BeforeStep | None, Sequence[GradientSequence], bool]
"""Task of a process: optimizer, settings, hook, batches, and whether ZeRO is used."""

WORLD = 2
STEPS = 12
PRELOADED = ("torch.distributed.optim",)
"""Modules that the processes also import, which takes longer than all the steps."""

PATIENCE_S = 45
"""Shorter than the time limit of a check, so that the children are gone before it."""


def data_parallel_is_the_joint_batch(subject: Subject) -> str:
    """Two gloo processes under DistributedDataParallel go as one process on both batches."""
    return _compare(subject, zero=False)


def zero_redundancy_is_the_joint_batch(subject: Subject) -> str:
    """Two processes that share the state by ZeroRedundancyOptimizer go as one process."""
    if subject.couples_tensors:
        raise NotApplicable("it is a method of all tensors together, and ZeRO deals them out")
    if not isinstance(subject.factory, type) or is_builder(subject.factory):
        raise NotApplicable("ZeroRedundancyOptimizer takes a class that is given parameters")
    if subject.before_step is not None:
        raise NotApplicable("its hook calls a method that ZeroRedundancyOptimizer has not")
    session = Session(subject, subject.sequence())
    if session.has_modes:
        raise NotApplicable("it has train() and eval(), which ZeroRedundancyOptimizer has not")
    made = len(session.optimizer.param_groups)
    if made != 1:
        raise NotApplicable(
            f"it makes {made} parameter groups of one, and ZeroRedundancyOptimizer counts on those "
            "that it was given"
        )
    return _compare(subject, zero=True)


def _compare(subject: Subject, *, zero: bool) -> str:
    if subject.wants.evaluates_the_loss or subject.wants.sparse:
        raise NotApplicable(f"it wants {subject.wants}")
    require_determinism(subject)
    if not torch.distributed.is_available() or not torch.distributed.is_gloo_available():
        raise NotApplicable("this torch has no gloo")
    batches = [subject.sequence(STEPS, seed=rank) for rank in range(WORLD)]
    start = batches[0].starts
    joint = GradientSequence(
        start,
        tuple(
            sum(b.gradients[i] for b in batches) / WORLD  # type: ignore[misc]
            for i in range(len(start))
        ),
    )
    alone = Session(subject, joint)
    begin = alone.position()
    theirs = alone.trace(STEPS)
    for rank, ours in enumerate(_in_processes(subject, batches, zero)):
        require_agreement(
            ours,
            theirs,
            start=begin,
            who="one process on the joint batch",
            under=f"in process {rank} of {WORLD}"
            + (" under ZeroRedundancyOptimizer" if zero else " under DistributedDataParallel"),
        )
    return f"{WORLD} processes, {STEPS} steps"


def _in_processes(
    subject: Subject, batches: Sequence[GradientSequence], zero: bool
) -> Iterator[Tensor]:
    job = (subject.factory, dict(subject.settings), subject.before_step, batches, zero)
    try:
        sent = pickle.dumps(job)
    except Exception as error:
        raise NotApplicable(f"it cannot be sent to another process: {error}") from error
    # By its path, as pickle writes what it does not send.
    if b"__main__" in sent:
        raise NotApplicable("it is of __main__, which other processes do not import")
    workers: list[WorkerProcess] = []
    with tempfile.TemporaryDirectory(prefix="optbench-") as folder:
        try:
            for rank in range(WORLD):
                trail, meeting = Path(folder) / f"trail-{rank}", Path(folder) / "meeting"
                workers.append(
                    WorkerProcess.begin(serve, trail, rank, meeting, job, preload=PRELOADED)
                )
            deadline = time.monotonic() + PATIENCE_S
            answers = [_received(worker, deadline) for worker in workers]
        finally:
            for worker in workers:
                worker.end()
    failed = [a for a in answers if isinstance(a, str)]
    if failed:
        # What the first process says of a neighbour that went away is not the cause.
        raise CheckFailed(min(failed, key=lambda text: "Connection" in text))
    yield from (torch.tensor(a, dtype=torch.float64) for a in answers)


def _received(worker: WorkerProcess, deadline: float) -> Any:
    if not worker.pipe.poll(max(0.0, deadline - time.monotonic())):
        return f"no answer within {PATIENCE_S} s"
    try:
        return worker.pipe.recv()
    except EOFError:
        return worker.how_it_ended()


class _Linear(nn.Module):
    """A loss whose gradient is the given one, as DistributedDataParallel can hook it."""

    def __init__(self, sequence: GradientSequence) -> None:
        super().__init__()
        self.weights = nn.ParameterList(torch.from_numpy(start.copy()) for start in sequence.starts)

    def forward(self, gradients: list[Tensor]) -> Tensor:
        """Return the sum of products, a scalar."""
        return torch.stack(
            [(g * w).sum() for g, w in zip(gradients, self.weights, strict=True)]
        ).sum()


def serve(pipe: Connection, trail: str, rank: int, meeting: Path, job: Job) -> None:
    """In one of the processes: train with the other, answer with the path, and wait for the end."""
    with in_a_worker(trail):
        try:
            # Two processes compile at once, each for itself, and one waits for the other.
            with uncompiled():
                answer: Any = _train(rank, meeting, *job).tolist()
        # Whatever a stranger's optimizer raises is the answer of this process.
        except BaseException as error:  # noqa: BLE001
            answer = f"in process {rank}: {traceback.format_exception_only(error)[-1].strip()}"
        pipe.send(answer)
        # The neighbour may still need this one. When both have answered, or the asker is gone, an
        # end without a farewell: to take a process group of gloo apart hangs, at times.
        pipe.poll(PATIENCE_S)
        os._exit(0)


def _train(
    rank: int,
    meeting: Path,
    factory: Factory,
    settings: dict[str, Any],
    before_step: BeforeStep | None,
    batches: Sequence[GradientSequence],
    zero: bool,
) -> Tensor:
    from torch import distributed
    from torch.distributed.optim import ZeroRedundancyOptimizer
    from torch.nn.parallel import DistributedDataParallel

    distributed.init_process_group(
        "gloo", init_method=meeting.as_uri(), rank=rank, world_size=WORLD
    )
    model = DistributedDataParallel(_Linear(batches[0]))
    params = list(model.parameters())
    optimizer: torch.optim.Optimizer = (
        ZeroRedundancyOptimizer(params, factory, **settings)  # type: ignore[arg-type]
        if zero
        else construct(factory, torch_names(params), settings)
    )
    stepper = Stepper(optimizer, before_step)
    batch, cpu = batches[rank], torch.device("cpu")
    gradients = [batch.tensors(i, torch.float64, cpu) for i in range(len(batch.starts))]
    positions = []
    for step in range(STEPS):
        optimizer.zero_grad()
        model([g for each in gradients if (g := each[step]) is not None]).backward()
        stepper.step()
        positions.append(torch.cat([p.detach().reshape(-1) for p in params]))
    return torch.stack(positions)
