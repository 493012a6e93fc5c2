"""When a run is looked at, and when what is seen is kept."""

from __future__ import annotations

import numpy as np

PER_DECADE = 20
"""Logged steps a decade: 58 for a budget of 2000."""


def log_schedule(budget: int, every: int = 1) -> np.ndarray:
    """Return the steps to log: 0, then evenly spaced on a log scale, up to the budget.

    Parameters
    ----------
    budget : int
        The last step.
    every : int
        Steps between observations; only multiples of it (and the last) are logged.
    """
    decades = np.log10(max(budget, 1))
    exponents = np.linspace(0, decades, int(np.ceil(PER_DECADE * decades)) + 1)
    rounded = np.rint(10**exponents / every).astype(np.int64) * every
    return np.unique(np.concatenate([[0], rounded[rounded < budget], [budget]]))
