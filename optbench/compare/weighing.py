"""In a side's process: what a step costs, in seconds and in bytes."""

from __future__ import annotations

import gc
import math
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from optbench.conformance.counted_work import cheapest_step, temporaries
from optbench.conformance.course import course
from optbench.conformance.session import Session
from optbench.conformance.subject import Subject
from optbench.engine.state import bytes_of, leaves_of

TENSORS = 10
"""That the parameters of a timed step are cut into: all of one shape, near square."""


class Bench:
    """An optimizer over so many float32 parameters, ready to be timed.

    The gradient is put back before every step, outside of what is timed: some write into it, and
    what grows without bounds is slower to compute with.
    """

    def __init__(self, subject: Subject, parameters: int) -> None:
        each = parameters // TENSORS
        rows = max(1, int(math.sqrt(each)))
        columns = each // rows
        generator = torch.Generator().manual_seed(0)
        self.params = [
            torch.nn.Parameter(torch.randn(rows, columns, generator=generator) * 0.05)
            for _ in range(TENSORS)
        ]
        self._gradients = [torch.randn(rows, columns, generator=generator) for _ in self.params]
        self._sparse = subject.wants.sparse
        self._closure = self._loss if subject.wants.closure else None
        self.optimizer = subject.make(self.params)
        self.first = self.time(1)

    def time(self, steps: int) -> float:
        """Seconds a step: the least of so many, for what interferes only ever adds."""
        seconds = []
        gc.disable()
        try:
            for _ in range(steps):
                self._give()
                begun = time.perf_counter()
                self.optimizer.step(self._closure)  # type: ignore[arg-type]
                seconds.append(time.perf_counter() - begun)
        finally:
            gc.enable()
        return min(seconds)

    def _give(self) -> None:
        for parameter, gradient in zip(self.params, self._gradients, strict=True):
            if self._sparse:
                parameter.grad = gradient.to_sparse(1)
            elif parameter.grad is None or parameter.grad.is_sparse:
                parameter.grad = gradient.clone()
            else:
                parameter.grad.copy_(gradient)

    def _loss(self) -> Tensor:
        """A quadratic about the given gradients, for those who ask for the loss themselves."""
        total = torch.zeros(())
        with torch.no_grad():
            for parameter, gradient in zip(self.params, self._gradients, strict=True):
                parameter.grad = parameter + gradient
                total += ((0.5 * parameter + gradient) * parameter).sum()
        return total


@dataclass(frozen=True)
class Memory:
    """What an optimizer holds, and the work that it does; all counted, nothing timed.

    Attributes
    ----------
    state_bytes : float
        Of the optimizer's tensors, for each parameter.
    temporary_bytes : float
        The most that a step allocates at once, for each parameter.
    growth_bytes : float
        By which everything alive grows with each step, after the first 150.
    operations : int
        Tensor operations of a step.
    operations_after_loading : int
        Of a step after ``load_state_dict``; 0 where it cannot be loaded.
    """

    state_bytes: float
    temporary_bytes: float
    growth_bytes: float
    operations: int
    operations_after_loading: int


def weigh(subject: Subject) -> Memory:
    """Count over 20 tensors of 1,000 float32 elements, and over 500 steps of small ones."""
    shape = (25, 40) if subject.wants.matrices else (1000,)
    large = Session(subject, course((shape,) * 20, 4), dtype=torch.float32).advance(3)
    count = sum(p.numel() for p in large.params)
    state = sum(bytes_of(leaf) for leaf in _held_by(large.optimizer))
    session = Session(subject, subject.course())
    growth = _growth(session)
    operations = 0 if subject.wants.closure else cheapest_step(session, 5).operations
    return Memory(
        state_bytes=state / count,
        temporary_bytes=temporaries(large) / count,
        growth_bytes=growth,
        operations=operations,
        operations_after_loading=_after_loading(session) if operations else 0,
    )


def _held_by(optimizer: torch.optim.Optimizer) -> Iterator[Tensor]:
    """Tensors in the state and in any other attribute, but for the parameters and gradients."""
    own = {k: v for k, v in vars(optimizer).items() if k not in ("param_groups", "defaults")}
    seen: set[int] = set()
    for _, leaf in leaves_of({**own, "state": dict(optimizer.state)}):
        if isinstance(leaf, Tensor) and id(leaf) not in seen:
            seen.add(id(leaf))
            yield leaf


def _growth(session: Session) -> float:
    """Bytes a step that everything alive grows by, at least, over two stretches."""
    session.spend(150)
    sizes = [_everything()]
    for _ in range(2):
        session.spend(175)
        sizes.append(_everything())
    return max(0.0, min(sizes[1] - sizes[0], sizes[2] - sizes[1]) / 175)


def _everything() -> int:
    """Bytes of all that the garbage collector knows, tensors with their storage."""
    gc.collect()
    total = 0
    storages: set[int] = set()
    for each in gc.get_objects():
        kind = type(each)
        if issubclass(kind, Tensor):
            if each.layout is torch.strided and each.device.type == "cpu":
                storage = each.untyped_storage()
                if storage.data_ptr() not in storages:
                    storages.add(storage.data_ptr())
                    total += storage.nbytes()
        elif kind in (list, dict, set, tuple):
            total += sys.getsizeof(each)
    return total


def _after_loading(session: Session) -> int:
    try:
        return cheapest_step(session.resumed().advance(3), 5).operations
    # Another question, which the maths answers.
    except Exception:  # noqa: BLE001
        return 0
