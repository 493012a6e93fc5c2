"""In a side's process: what a step costs, in seconds and in bytes."""

from __future__ import annotations

import gc
import sys
from dataclasses import dataclass

import torch
from torch import Tensor

from optbench.conformance.counted_work import cheapest_step, temporaries
from optbench.conformance.course import course
from optbench.conformance.session import Session
from optbench.conformance.subject import Subject
from optbench.engine.state import state_bytes


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
    state = state_bytes(large.optimizer)
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
