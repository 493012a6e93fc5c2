"""The work of a step, counted and not timed: the same on every machine, whoever shares it."""

from __future__ import annotations

import sys
import weakref
from dataclasses import dataclass
from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from optbench.engine.state import bytes_of
from optbench.scenarios.session import Session


@dataclass(frozen=True)
class Work:
    """What a step does."""

    operations: int
    bytes: int
    calls: int


class _Counting(TorchDispatchMode):
    """Counts operations and the bytes of their tensors; follows what is allocated."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.operations = self.bytes = self.live = 0
        self.peak: int = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        inputs = [t for t in tree_leaves((args, kwargs)) if isinstance(t, Tensor)]
        outputs = [t for t in tree_leaves(result) if isinstance(t, Tensor)]
        self.operations += 1
        self.bytes += sum(map(bytes_of, inputs))
        known = {id(t) for t in inputs}
        storages = {_storage(t) for t in inputs}
        for tensor in outputs:
            if id(tensor) not in known and _storage(tensor) not in storages:
                self._follow(tensor)
        return result

    def _follow(self, tensor: Tensor) -> None:
        size = bytes_of(tensor)
        self.live += size
        self.peak = max(self.peak, self.live)
        weakref.finalize(tensor, self._gone, size).atexit = False

    def _gone(self, size: int) -> None:
        self.live -= size


def cheapest_step(session: Session, steps: int = 15) -> Work:
    """Return the minimum of each kind of work over a few steps."""
    seen = []
    for _ in range(steps):
        calls = 0

        def count(frame: Any, event: str, argument: Any) -> None:
            nonlocal calls
            calls += event in ("call", "c_call")

        # In turns, for the dispatch mode makes calls of its own.
        _prepare(session)
        sys.setprofile(count)
        try:
            session.step_once()
        finally:
            sys.setprofile(None)
        _prepare(session)
        with _Counting() as counting:
            session.step_once()
        seen.append(Work(counting.operations, counting.bytes, calls))
    kinds = ("operations", "bytes", "calls")
    return Work(*(min(getattr(w, kind) for w in seen) for kind in kinds))


def _prepare(session: Session) -> None:
    session.step += 1
    if not session.subject.wants.closure:
        session.give_gradients()


def temporaries(session: Session) -> int:
    """Most bytes of temporaries that the next step holds at once."""
    _prepare(session)
    with _Counting() as counting:
        session.step_once()
    return int(counting.peak)


def _storage(tensor: Tensor) -> int:
    return -1 if tensor.is_sparse else tensor.untyped_storage().data_ptr()
