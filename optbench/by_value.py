"""Objects that no other process can import, sent to worker processes by value.

A class of a notebook, of a script or of a function has no module that a worker could import it
from. It is pickled with its code, and found in the worker under the path that it has here.
"""

from __future__ import annotations

import hashlib
import pickle
import sys
from collections.abc import Mapping
from typing import Any

_pickled: dict[str, bytes] = {}
"""Shared objects with their code, by their paths."""

_fingerprints: dict[str, str] = {}
"""Hashes of them: a registry asks for one at each look-up."""

_loaded: dict[str, Any] = {}
"""What they are in this process."""


def path_of(obj: Any) -> str:
    """Return the path ``package.module:Name`` of a class, which is shared where no import finds it.

    Worker processes that are begun afterwards know a shared object by that path. Of two objects
    that are shared under one path, as when a cell of a notebook is run again, the later counts.
    """
    path = f"{obj.__module__}:{obj.__qualname__}"
    if obj.__module__ == "__main__" or _imported(path) is not obj:
        # Another environment, in which a worker runs, need not have it.
        import cloudpickle

        receive({path: cloudpickle.dumps(obj)})
        _loaded[path] = obj
    return path


def find(path: str) -> Any:
    """Return the shared object of this path; None where none was shared.

    Raises
    ------
    Exception
        Whatever its code raises as it is loaded in a worker process.
    """
    if path in _pickled and path not in _loaded:
        obj = pickle.loads(_pickled[path])
        module, _, name = path.partition(":")
        if module == "__main__":
            # Where its own pickles look for it.
            setattr(sys.modules[module], name, obj)
        _loaded[path] = obj
    return _loaded.get(path)


def fingerprint(path: str) -> str:
    """Return a hash of the code of the shared object; the empty string where none was shared.

    It differs between two sessions: nothing tells whether a notebook's code is still the same.
    """
    return _fingerprints.get(path, "")


def shared() -> dict[str, bytes]:
    """Return all shared objects, pickled, by their paths."""
    return dict(_pickled)


def receive(pickled: Mapping[str, bytes]) -> None:
    """Know the objects that another process has shared; each is loaded when it is first found."""
    for path, content in pickled.items():
        _pickled[path] = content
        _fingerprints[path] = hashlib.sha256(content).hexdigest()[:16]
        _loaded.pop(path, None)


def _imported(path: str) -> Any:
    module, _, name = path.partition(":")
    found: Any = sys.modules.get(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    return found
