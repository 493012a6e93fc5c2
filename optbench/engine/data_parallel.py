"""Runs whose gradients are computed by several processes, each on a part of the batch (``ddp``)."""

from __future__ import annotations

import os
import socket
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from multiprocessing.connection import Connection, wait
from pathlib import Path

import torch

from optbench.engine import ranks
from optbench.engine.error_text import describe
from optbench.engine.runs import Result, Run
from optbench.optimizers.of_the_run import DDP
from optbench.process import pulse
from optbench.process.worker import WorkerProcess, in_a_worker

GRACE_S = 2.0
"""Seconds between a first bad answer and the last: what a process says of a neighbour that went
away may come before that one's own last words."""

Perform = Callable[[list[Run], bool], list[Result]]
"""Does the runs of a unit, whose second argument is `Unit.certify`; a function that can be sent."""


class RankFailed(RuntimeError):
    """One of the processes raised or went away; the text says which, and how."""


def perform_together(do: Perform, runs: Sequence[Run], certify: bool) -> list[Result]:
    """``do(runs, certify)`` in as many processes as the runs' ``ddp`` says; the results of rank 0.

    All processes are new, and none is this one: a process group is not taken apart, for gloo hangs
    at its farewell now and then, but ended with its processes.

    Raises
    ------
    RankFailed
        Where one of them raises or goes away. All are ended then.
    """
    world = int(runs[0].settings[DDP])
    random = torch.get_rng_state().numpy().tobytes()
    # What they say to each other stays on this machine, also where its name cannot be resolved.
    environment = {"GLOO_SOCKET_IFNAME": loopback} if (loopback := _loopback()) else {}
    workers: list[WorkerProcess] = []
    with tempfile.TemporaryDirectory(prefix="optbench-") as folder:
        meeting = Path(folder) / "meeting"
        try:
            for rank in range(world):
                workers.append(
                    WorkerProcess.begin(
                        serve, Path(folder) / f"trail-{rank}", rank, world, str(meeting),
                        do, tuple(runs), certify, random, environment=environment,
                    )
                )  # fmt: skip
            results = _answer(workers)
        finally:
            for worker in workers:
                worker.end()
    # Each process has a device of its own; the runs are those that were asked for.
    return [replace(result, run=run) for result, run in zip(results, runs, strict=True)]


def _answer(workers: Sequence[WorkerProcess]) -> list[Result]:
    """Return rank 0's results, once all ranks have answered."""
    waiting = {worker.pipe: rank for rank, worker in enumerate(workers)}
    results: list[Result] = []
    failures: dict[int, str] = {}
    deadline = None
    while waiting:
        patience = None if deadline is None else max(0.0, deadline - time.monotonic())
        heard = wait(list(waiting), patience)
        if not heard:
            break
        for pipe in heard:
            assert isinstance(pipe, Connection)
            rank = waiting.pop(pipe)
            answer: list[Result] | str | None
            try:
                answer = pipe.recv()
            except (EOFError, OSError):
                answer = workers[rank].how_it_ended()
            if answer is None:
                # A sign of life: steps that they take are steps of the process that waits.
                pulse.beats += 1
                waiting[pipe] = rank
                continue
            if isinstance(answer, str):
                failures[rank] = answer
                deadline = deadline or time.monotonic() + GRACE_S
            elif rank == 0:
                results = answer
    if failures:
        # What a process says of a neighbour that went away is not the cause.
        rank = min(failures, key=lambda each: (_is_hearsay(failures[each]), each))
        raise RankFailed(f"in process {rank} of {len(workers)}: {failures[rank]}")
    return results


def _is_hearsay(text: str) -> bool:
    return any(word in text for word in ("gloo", "Connection", "NCCL", "DistBackendError"))


def serve(
    pipe: Connection,
    trail: str,
    rank: int,
    world: int,
    meeting: str,
    do: Perform,
    runs: tuple[Run, ...],
    certify: bool,
    random: bytes,
) -> None:
    """In one of the processes: do the runs with the others, answer, and wait for the end."""
    with in_a_worker(trail):
        speech = pulse.tell(pipe, None)
        try:
            device = ranks.own_device(torch.device(runs[0].device), rank)
            ranks.join(rank, world, Path(meeting), device)
            # An optimizer that draws random numbers draws the same in all of them.
            torch.set_rng_state(torch.frombuffer(bytearray(random), dtype=torch.uint8))
            own = [replace(run, device=str(device)) for run in runs]
            results = do(own, certify)
            answer: list[Result] | str = results if rank == 0 else []
        # Whatever a stranger's optimizer raises is the answer of this process.
        except BaseException as error:  # noqa: BLE001
            answer = describe(error)
        with speech:
            pipe.send(answer)
        # Its neighbours may still need it. It is ended when all have answered.
        pipe.poll(None)
        os._exit(0)


def _loopback() -> str | None:
    names = {name for _, name in socket.if_nameindex()} if hasattr(socket, "if_nameindex") else ()
    return next((name for name in ("lo", "lo0") if name in names), None)
