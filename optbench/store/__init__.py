"""Results in a database, and the frames that are read back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from optbench.store.errors import StoreError

if TYPE_CHECKING:
    from optbench.store.store import Store

__all__ = ["Store", "StoreError"]


def __getattr__(name: str) -> Any:
    """Load the store when it is first asked for: SQLAlchemy and NumPy take half a second."""
    if name != "Store":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from optbench.store.store import Store

    return Store
