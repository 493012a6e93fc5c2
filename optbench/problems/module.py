"""A user's own ``torch.nn.Module`` as a problem."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.func import functional_call

from optbench.plain_text import shown
from optbench.problems.batches import index_batches
from optbench.problems.problem import LOSS_TARGETS, Problem

LossFunction = Callable[[Any, Tensor], Tensor]


class ModuleProblem(Problem):
    """Train a module on a data set. Made by `module_problem`, which says what it takes."""

    family = "network"
    max_lanes = 1
    minimum_is_bound = True

    def __init__(
        self,
        name: str,
        module: Callable[[], torch.nn.Module],
        loss: LossFunction,
        train: tuple[np.ndarray, np.ndarray],
        held_out: tuple[np.ndarray, np.ndarray],
        *,
        batch_size: int,
        observe_every: int,
        data: str,
        version: int,
        **row: Any,
    ) -> None:
        super().__init__(name, **row)
        self.make_module = module
        self.loss_function = loss
        self.train = train
        self.held_out = held_out
        self.batch_size = batch_size
        self.observe_every = observe_every
        self.version = version
        self._data = data

    @property
    def data(self) -> str:
        return self._data

    def start(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        # The module draws its own start, from torch's generator; seeded from ours, and put back.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(rng.integers(2**31)))
            module = self.make_module()
        return {name: p.detach().double().numpy() for name, p in module.named_parameters()}

    def bind(self, dtype: torch.dtype, device: torch.device) -> Problem:
        bound = super().bind(dtype, device)
        assert isinstance(bound, ModuleProblem)
        # One lane's own copy: its buffers (running statistics) are that lane's.
        with torch.random.fork_rng(devices=[]):
            bound.module = self.make_module().to(device=device, dtype=dtype).requires_grad_(False)
        bound.draws = bound.seeded_by = 0
        return bound

    def rescored(self, dtype: torch.dtype, device: torch.device) -> Problem:
        # A copy with the module of the run itself: its running statistics are what training left.
        return super().bind(dtype, device)

    module: torch.nn.Module
    draws: int
    seeded_by: int

    def arrays(self) -> dict[str, np.ndarray]:
        return dict(zip(("x", "y", "held_x", "held_y"), (*self.train, *self.held_out), strict=True))

    def batches(self, rng: np.random.Generator) -> Iterator[np.ndarray]:
        return index_batches(rng, len(self.train[0]), self.batch_size)

    def _value(self, params: Mapping[str, Tensor], x: Tensor, y: Tensor) -> Tensor:
        lane = {name: p[0] for name, p in params.items()}
        return self.loss_function(functional_call(self.module, lane, (x,)), y).reshape(1)

    def _buffers(self, dtype: torch.dtype) -> dict[str, Tensor]:
        """Return the module's buffers that are of another dtype than what it is scored in."""
        named = self.module.named_buffers()
        return {
            k: b.to(dtype)[None] for k, b in named if b.is_floating_point() and b.dtype != dtype
        }

    def loss(self, params: Mapping[str, Tensor], batch: Tensor | None) -> Tensor:
        assert batch is not None
        self.module.train()
        self.draws += 1
        # Dropout and the like draw from torch's generator: seeded by the run's own data order,
        # they draw the same in every run of a seed, and leave the generator as it was.
        if self.draws == 1 or batch.device.type == "cpu":
            # To ask a GPU in every step would be to wait for it.
            self.seeded_by = int(batch[0, 0])
        gpus = [batch.device] if batch.device.type == "cuda" else []
        with torch.random.fork_rng(devices=gpus):
            torch.manual_seed(self.draws * 1_000_003 + self.seeded_by)
            return self._value(params, self.tensors["x"][batch[0]], self.tensors["y"][batch[0]])

    def objective(self, params: Mapping[str, Tensor]) -> Tensor:
        self.module.eval()
        dtype = next(iter(params.values())).dtype
        state = {**params, **self._buffers(dtype)}
        return self._value(state, self.tensors["held_x"], self.tensors["held_y"])


def module_problem(
    name: str,
    module: Callable[[], torch.nn.Module],
    loss: LossFunction,
    train: tuple[Any, Any],
    held_out: tuple[Any, Any],
    *,
    budget: int,
    batch_size: int = 32,
    observe_every: int = 10,
    target: float = 0.5,
    targets: tuple[float, ...] = LOSS_TARGETS,
    minimum: float = 0.0,
    data: str = "user",
    version: int = 1,
    cite: str = "",
    summary: str = "",
) -> Problem:
    """Make a problem of a module, a loss and a data set.

    Parameters
    ----------
    name : str
        As it is looked up; name it by its path, or declare it under an entry point.
    module : callable
        Makes the module; called without arguments, under a seed of the run's.
    loss : callable
        ``loss(output, y)`` gives a scalar tensor, as the functions of ``torch.nn.functional`` do.
    train, held_out : (x, y)
        Arrays or tensors with the examples along the first dimension. The run is scored by the
        loss over all of ``held_out``, with the module in evaluation mode.
    budget : int
        The most gradient evaluations of a run.
    batch_size : int
        Examples a step.
    observe_every : int
        Steps between two looks at the held-out loss.
    target, targets : float, tuple of float
        Relative gaps: shares of the run's own initial held-out loss above ``minimum``.
    minimum : float
        A lower bound of the held-out loss.
    data, version :
        Name of the data and version of the definition: change them when those change.
    cite, summary : str
        For tables and pages.

    Raises
    ------
    ValueError
        Where x and y differ in length, or a batch is larger than the training set.
    """
    parts = []
    for part, (x, y) in (("train", train), ("held_out", held_out)):
        x, y = np.asarray(x), np.asarray(y)
        if len(x) != len(y) or not len(x):
            raise ValueError(f"{name}: {part} has {len(x)} inputs and {len(y)} labels")
        parts.append((x, y))
    for what, number in (("batch_size", batch_size), ("observe_every", observe_every)):
        if not isinstance(number, int):
            raise ValueError(f"{name}: {what} must be a whole number, not {shown(number)}")
    if observe_every < 1:
        raise ValueError(f"{name}: observe_every must be at least 1, not {observe_every}")
    if not 1 <= batch_size <= len(parts[0][0]):
        raise ValueError(f"{name}: {batch_size=} of {len(parts[0][0])} training examples")
    return ModuleProblem(
        name, module, loss, parts[0], parts[1], budget=budget, batch_size=batch_size,
        observe_every=observe_every, target=target, targets=targets, minimum=minimum, data=data,
        version=version, cite=cite, summary=summary,
    )  # fmt: skip
