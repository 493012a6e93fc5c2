"""Whatever a store lacks is run, and kept parcel by parcel."""

from optbench.runner.fill import Progress, fill

__all__ = ["Progress", "fill"]
