"""A benchmark and regression suite for optimizers.

``list_optimizers`` and ``list_problems`` say what is there; ``run`` runs optimizers on problems
and gives `Results`, whose figures `plot` draws; ``check`` tests one against the contract;
``compare`` compares two versions of a package, ``bisect`` finds the commit that changed one, and
``history`` looks back over commits; ``report`` writes a page. For test suites there are
``parametrize_with_checks`` and ``assert_converges``.

Everything is loaded when it is first asked for: importing the package loads neither torch nor
pandas.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

from optbench.defaults import DEFAULT_STORE
from optbench.errors import OptbenchError

if TYPE_CHECKING:
    from optbench.analysis import Results
    from optbench.api import plot
    from optbench.api.catalogues import (
        list_optimizers,
        list_problems,
        list_schedules,
        list_suites,
    )
    from optbench.api.check import check
    from optbench.api.compare import bisect, compare
    from optbench.api.history import history
    from optbench.api.report import compare_stores, report
    from optbench.api.run import run
    from optbench.conformance.assert_converges import assert_converges
    from optbench.conformance.pytest_plugin import parametrize_with_checks
    from optbench.scenarios.outcomes import CheckFailed

    __version__: str

__all__ = [
    "CheckFailed",
    "OptbenchError",
    "Results",
    "__version__",
    "assert_converges",
    "bisect",
    "check",
    "compare",
    "compare_stores",
    "history",
    "list_optimizers",
    "list_problems",
    "list_schedules",
    "list_suites",
    "load",
    "parametrize_with_checks",
    "plot",
    "report",
    "run",
]

_HOMES = {
    "CheckFailed": "optbench.scenarios.outcomes",
    "Results": "optbench.analysis",
    "assert_converges": "optbench.conformance.assert_converges",
    "bisect": "optbench.api.compare",
    "check": "optbench.api.check",
    "compare": "optbench.api.compare",
    "compare_stores": "optbench.api.report",
    "history": "optbench.api.history",
    "list_optimizers": "optbench.api.catalogues",
    "list_problems": "optbench.api.catalogues",
    "list_schedules": "optbench.api.catalogues",
    "list_suites": "optbench.api.catalogues",
    "parametrize_with_checks": "optbench.conformance.pytest_plugin",
    "report": "optbench.api.report",
    "run": "optbench.api.run",
}


def __getattr__(name: str) -> Any:
    """Load what is asked for."""
    if name == "__version__":
        from importlib.metadata import version

        return version("optbench")
    if name == "plot":
        return importlib.import_module("optbench.api.plot")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def load(store: str = DEFAULT_STORE) -> Results:
    """Return the frames of a store: runs, targets, traces, problems, environments.

    Parameters
    ----------
    store : str
        Path of a SQLite file, or SQLAlchemy URL.

    Raises
    ------
    optbench.store.StoreError
        If the store cannot be opened, is not an optbench store, or contains invalid values.
    """
    from optbench.store.errors import no_store

    name = str(store)
    # Before a database's libraries are imported, for which a misspelt path would wait.
    is_path = name.isprintable() and "://" not in name and name not in ("", ":memory:")
    if is_path and not os.path.exists(name):  # noqa: PTH110 - a name that is too long is not there
        raise no_store(name)
    from optbench.store import Store

    with Store(name) as opened:
        # Here, so that a store that cannot be opened is refused at once.
        from optbench.analysis import Results
        from optbench.store.sound import FRAMES, sound

        return Results(**{name: sound(opened, name) for name in FRAMES})
