"""Results in a database, and the frames that are read back."""

from optbench.store.errors import StoreError
from optbench.store.store import Store

__all__ = ["Store", "StoreError"]
