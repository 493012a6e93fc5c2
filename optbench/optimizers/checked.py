"""The one check of a hyperparameter's range that our own optimizers share."""

from __future__ import annotations

import math


def check_range(name: str, value: float, *, below: float = math.inf) -> None:
    """Refuse a value outside [0, below); NaN is always outside.

    Raises
    ------
    ValueError
        With the name, the value and the range.
    """
    if not 0 <= value < below:
        raise ValueError(f"{name} must be in [0, {below:g}), not {value!r}")
