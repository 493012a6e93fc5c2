"""A benchmark and regression suite for optimizers.

``optbench.load(store)`` gives the frames of a store; the catalogues are
``optbench.optimizers.OPTIMIZERS`` and ``optbench.problems.PROBLEMS``. Importing the package by
itself loads neither torch nor pandas.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from optbench.defaults import DEFAULT_STORE

if TYPE_CHECKING:
    from optbench.analysis import Results

__all__ = ["load"]


def load(store: str = DEFAULT_STORE) -> Results:
    """The frames of a store (a path or a SQLAlchemy URL): runs, targets, traces, and where.

    Raises
    ------
    optbench.store.StoreError
        Where it cannot be opened or is no store of ours.
    """
    from optbench.analysis import Results
    from optbench.store import Store

    with Store(store) as opened:
        return Results(
            runs=opened.runs(),
            targets=opened.targets(),
            traces=opened.traces(),
            problems=opened.problems(),
            environments=opened.environments(),
        )
