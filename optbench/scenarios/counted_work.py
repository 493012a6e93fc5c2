"""The work of a step, counted and not timed: the same on every machine, whoever shares it."""

from __future__ import annotations

import gc
import hashlib
import re
import sys
import weakref
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from optbench.engine.bench import Bench
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


class _ByFunction(TorchDispatchMode):
    """Counts operations and the bytes that they read by the function that asks for them."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.operations: Counter[str] = Counter()
        self.bytes: Counter[str] = Counter()
        self.digest = hashlib.blake2b(digest_size=16)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = str(func)
        if name.startswith("profiler."):  # marks around the step
            return func(*args, **(kwargs or {}))
        inputs = [t for t in tree_leaves((args, kwargs)) if isinstance(t, Tensor)]
        function = _asking(sys._getframe(1))
        # A kernel over lists does the work of one for each tensor, and on a CPU often is a loop.
        over_lists = name.startswith(("aten._foreach_", "aten._fused_"))
        self.operations[function] += len(args[0]) if over_lists else 1
        self.bytes[function] += sum(map(bytes_of, inputs))
        self.digest.update(repr((name, [_layout(t) for t in inputs])).encode())
        return func(*args, **(kwargs or {}))


def work_by_function(
    bench: Bench, steps: int = 10
) -> tuple[dict[str, tuple[float, float, float]], str]:
    """Count operations, bytes read and Python calls of steps, by the function that asks for them.

    A call within torch or the standard library is the work of the function that calls into those;
    torch's optimizers are functions as others are. The counts are means over so many steps after
    the first three: a method may do more now and then.

    Returns
    -------
    dict
        Functions to operations, bytes and calls.
    str
        A digest of the operations in their order, with shapes, types and strides.
    """
    calls: Counter[str] = Counter()

    def count(frame: FrameType, event: str, argument: Any) -> None:
        if event == "c_call":
            calls[_asking(frame)] += 1
        elif event == "call":
            calls[_asking(frame.f_back)] += 1

    bench.time(2)
    with _without_collection():
        for _ in range(steps):
            bench.give()
            _profiled(bench.step, count)
        counting = _ByFunction()
        for _ in range(steps):
            bench.give()
            with counting:
                bench.step()
    operations = counting.operations
    work = {
        name: (operations[name] / steps, counting.bytes[name] / steps, calls[name] / steps)
        for name in sorted({*operations, *calls})
    }
    return work, counting.digest.hexdigest()


def _profiled(step: Callable[[], Any], count: Callable[[FrameType, str, Any], None]) -> None:
    sys.setprofile(count)
    try:
        step()
    finally:
        sys.setprofile(None)


@contextmanager
def _without_collection() -> Iterator[None]:
    """Keep the garbage collector, which calls finalizers, from running."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _asking(frame: FrameType | None) -> str:
    """Return the qualified name of the nearest function that is no library's."""
    while frame is not None and _of_a_library(frame.f_globals.get("__name__", "")):
        frame = frame.f_back
    return _IN_PLACE.sub("", frame.f_code.co_qualname) if frame else "?"


_IN_PLACE = re.compile(r"(\.<locals>)?\.<(listcomp|dictcomp|setcomp|genexpr|lambda)>")


def _of_a_library(module: str) -> bool:
    top = module.partition(".")[0]
    if top == "torch":
        return not module.startswith("torch.optim")
    return top == "numpy" or top in sys.stdlib_module_names


def _layout(tensor: Tensor) -> tuple[Any, ...]:
    strides = () if tensor.layout != torch.strided else tensor.stride()
    return tuple(tensor.shape), str(tensor.dtype), strides


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
        _profiled(session.step_once, count)
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
