"""Objects that no other process can import, sent to worker processes by value.

A class of a notebook, of a script or of a function has no module that a worker could import it
from. It is pickled with its code, and found in the worker under the path that it has here.
"""

from __future__ import annotations

import hashlib
import pickle
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import cloudpickle


@dataclass(frozen=True)
class _Pickled:
    """An object with its code, and what it is in this process."""

    content: bytes
    loaded: list[Any] = field(default_factory=list)


_shared: dict[str, _Pickled] = {}


def path_of(obj: Any) -> str:
    """Return the path ``package.module:Name`` of a class, which is shared where no import finds it.

    Worker processes that are begun afterwards know a shared object by that path. Of two objects
    that are shared under one path, as when a cell of a notebook is run again, the later counts.
    """
    path = f"{obj.__module__}:{obj.__qualname__}"
    if obj.__module__ == "__main__" or _imported(path) is not obj:
        _shared[path] = _Pickled(cloudpickle.dumps(obj), [obj])
    return path


def find(path: str) -> Any:
    """Return the shared object of this path; None where none was shared.

    Raises
    ------
    Exception
        Whatever its code raises as it is loaded in a worker process.
    """
    shared = _shared.get(path)
    if shared is None:
        return None
    if not shared.loaded:
        obj = pickle.loads(shared.content)
        module, _, name = path.partition(":")
        if module == "__main__":
            # Where its own pickles look for it.
            setattr(sys.modules[module], name, obj)
        shared.loaded.append(obj)
    return shared.loaded[0]


def fingerprint(path: str) -> str:
    """Return a hash of the code of the shared object; the empty string where none was shared.

    It differs between two sessions: nothing tells whether a notebook's code is still the same.
    """
    shared = _shared.get(path)
    return hashlib.sha256(shared.content).hexdigest()[:16] if shared else ""


def shared() -> dict[str, bytes]:
    """Return all shared objects, pickled, by their paths."""
    return {path: each.content for path, each in _shared.items()}


def receive(pickled: Mapping[str, bytes]) -> None:
    """Know the objects that another process has shared; each is loaded when it is first found."""
    _shared.update({path: _Pickled(content) for path, content in pickled.items()})


def _imported(path: str) -> Any:
    module, _, name = path.partition(":")
    found: Any = sys.modules.get(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    return found
