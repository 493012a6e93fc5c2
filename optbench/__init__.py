"""A benchmark and regression suite for optimizers.

``optbench.load(store)`` gives the frames of a store; the catalogues are
``optbench.optimizers.OPTIMIZERS`` and ``optbench.problems.PROBLEMS``. For tests of optimizers
there are ``optbench.parametrize_with_checks`` and ``optbench.assert_converges``. Importing the
package by itself loads neither torch nor pandas nor pytest.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from optbench.defaults import DEFAULT_STORE
from optbench.errors import OptbenchError

if TYPE_CHECKING:
    from optbench.analysis import Results
    from optbench.conformance.convergence import assert_converges
    from optbench.conformance.pytest_plugin import parametrize_with_checks

__all__ = ["OptbenchError", "assert_converges", "load", "parametrize_with_checks"]

_HOMES = {
    "assert_converges": "optbench.conformance.convergence",
    "parametrize_with_checks": "optbench.conformance.pytest_plugin",
}


def __getattr__(name: str) -> Any:
    """What needs torch or pytest, imported when it is asked for."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])


def load(store: str = DEFAULT_STORE) -> Results:
    """The frames of a store (a path or a SQLAlchemy URL): runs, targets, traces, and where.

    Raises
    ------
    optbench.store.StoreError
        Where it cannot be opened, is no store of ours, or holds what nothing of ours has written.
    """
    from optbench.store import Store

    with Store(store) as opened:
        # Of a store that cannot be opened one hears at once.
        from optbench.analysis import Results
        from optbench.store.sound import FRAMES, sound

        return Results(**{name: sound(opened, name) for name in FRAMES})
