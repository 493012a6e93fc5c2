"""What an optimizer keeps: its state as a flat sequence of named values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor
from torch.optim import Optimizer


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


def wrapped_in(optimizer: Any) -> list[Any]:
    """Yield the optimizer and those that it holds, such as the one that a wrapper wraps."""
    found = [optimizer]
    for each in found:
        held = [
            leaf for _, leaf in leaves_of({k: v for k, v in vars(each).items() if k != "state"})
        ]
        found += [
            other
            for other in held
            if hasattr(other, "param_groups")
            and hasattr(other, "state")
            and not any(other is known for known in found)
        ]
    return found


def state_bytes(optimizer: Optimizer) -> int:
    """Bytes of the tensors in its state and in any other attribute of it, and of what it wraps.

    The parameters and gradients are not among them; a tensor held in two places counts once.
    """
    tensors: dict[int, Tensor] = {}
    for each in wrapped_in(optimizer):
        own = {k: v for k, v in vars(each).items() if k not in ("param_groups", "defaults")}
        held = leaves_of({**own, "state": dict(each.state)})
        tensors |= {id(leaf): leaf for _, leaf in held if isinstance(leaf, Tensor)}
    return sum(map(bytes_of, tensors.values()))
