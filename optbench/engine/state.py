"""What an optimizer keeps: its state as a flat sequence of named values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor


def leaves_of(state: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every value in nested mappings, lists and tuples, with the path that leads to it.

    Whatever is neither of them is a leaf, a set too.

    >>> list(leaves_of({"step": 3, "history": [1.0, {"best": 2.0}]}))
    [('step', 3), ('history[0]', 1.0), ('history[1].best', 2.0)]
    """
    if isinstance(state, Mapping):
        for place, (key, value) in enumerate(state.items()):
            # torch keys a state by its parameters, one of which would fill a page if written out.
            name = f"[{place}]" if isinstance(key, Tensor) else f".{key}" if path else str(key)
            yield from leaves_of(value, path + name)
    elif isinstance(state, list | tuple):
        for place, value in enumerate(state):
            yield from leaves_of(value, f"{path}[{place}]")
    else:
        yield path, state


def bytes_of(tensor: Tensor) -> int:
    """Bytes of all elements, also of those that a sparse tensor does not hold."""
    return tensor.numel() * tensor.element_size()
