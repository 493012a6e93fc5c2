"""In one of several processes that compute a gradient together: what it does beyond its own part.

Every process advances the same lanes by the same optimizer. `torch.nn.parallel`'s
DistributedDataParallel averages the gradients during the backward pass, so that the parameters
stay the same in all of them (Li et al. 2020, PyTorch Distributed).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, distributed

from optbench.problems import Problem

Loss = Callable[[Mapping[str, Tensor], Tensor | None], Tensor]
"""A loss, as `Problem.loss`."""

PATIENCE = timedelta(minutes=4)
"""How long a process waits for the others, in one step or for them to begin. Less than a unit is
given by default, so that what is told is which process failed."""


def join(rank: int, world: int, meeting: Path, device: torch.device) -> None:
    """Meet the others in a file: by gloo on processors, by nccl on GPUs."""
    if device.type == "cuda":
        torch.cuda.set_device(device)
    distributed.init_process_group(
        backend_of(device),
        init_method=meeting.as_uri(),
        rank=rank,
        world_size=world,
        timeout=PATIENCE,
    )


def backend_of(device: torch.device) -> str:
    """Return the communication backend for a device."""
    return "nccl" if device.type == "cuda" else "gloo"


def own_device(device: torch.device, rank: int) -> torch.device:
    """Return the device of a rank: one GPU each, beginning with the run's."""
    if device.type == "cuda":
        return torch.device("cuda", (device.index or 0) + rank)
    return device


class _Part(torch.nn.Module):
    """The loss of this process's part, in the form that DistributedDataParallel wraps."""

    def __init__(self, problem: Problem, params: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.problem = problem
        self.names = list(params)
        self.leaves = torch.nn.ParameterList(params.values())
        self.rank, self.world = distributed.get_rank(), distributed.get_world_size()

    def forward(self, batch: Tensor | None) -> Tensor:
        """Return the losses of the lanes, [K]."""
        params = dict(zip(self.names, self.leaves, strict=True))
        return self.problem.part(params, batch, self.rank, self.world)


def shared_loss(problem: Problem, params: Mapping[str, torch.nn.Parameter]) -> Loss:
    """Return the data-parallel counterpart of `Problem.loss` for these leaves [K, ...].

    Its backward pass leaves in each leaf the gradient of all processes.
    """
    from torch.nn.parallel import DistributedDataParallel

    model = DistributedDataParallel(_Part(problem, params), broadcast_buffers=False)

    def loss(params: Mapping[str, Tensor], batch: Tensor | None) -> Tensor:
        # The model holds the very leaves that it is called with.
        value: Tensor = model(batch)
        return value

    return loss


def agreed(lost: np.ndarray, device: torch.device) -> np.ndarray:
    """Broadcast rank 0's mask of the lanes, [K], so that all ranks stop together."""
    told = torch.as_tensor(lost.astype(np.uint8), device=device)
    distributed.broadcast(told, src=0)
    return told.cpu().numpy().astype(bool)
