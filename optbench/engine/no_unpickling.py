"""While this process talks to a cluster, no pickle makes it look up a class or a function.

Dask unpickles on many of its ways, some of which no option closes: an exception of a task, the
type of a result, a part of any message. Whoever answers in a scheduler's place could so run what
they like here. A pickle does nothing without looking something up by its name, and Python tells an
audit hook of that beforehand (PEP 578), whoever the caller is; the hook refuses it.
"""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Iterator

INERT = {("builtins", "bytes"), ("builtins", "bytearray"), ("builtins", "str")}
"""What may be looked up: Dask says of bytes that they are bytes by a pickle of the type."""


class UnpicklingRefused(TypeError):
    """Something from outside asked for a class or a function by name."""


_lock = threading.Lock()
_guards = 0
_hooked = False


@contextlib.contextmanager
def no_unpickling() -> Iterator[None]:
    """In here, unpickling raises `UnpicklingRefused` in every thread, but for `INERT` types."""
    global _guards, _hooked
    with _lock:
        if not _hooked:
            sys.addaudithook(_refuse)  # for good: no hook can be taken away
            _hooked = True
        _guards += 1
    try:
        yield
    finally:
        with _lock:
            _guards -= 1


def _refuse(event: str, arguments: tuple[object, ...]) -> None:
    if event == "pickle.find_class" and _guards and arguments not in INERT:
        module, name = arguments
        raise UnpicklingRefused(f"a pickle from outside asks for {module}.{name}")
