"""Fewer points a line: what lies nearer together than a reader can see only makes a page heavy."""

from __future__ import annotations

import numpy as np
import pandas as pd

POINTS = 40
"""Points of a grey line or a band in a small axis, which is some 150 points of print wide."""

FINE = 80
"""Points of a line in colour."""


def thinned(
    frame: pd.DataFrame, column: str = "step", points: int = POINTS, *, log: bool = True
) -> pd.DataFrame:
    """Return the rows at a few of a column's values, evenly spread, with the first and the last.

    Rows are kept or left out whole and for all lines at the same places. Nothing is averaged: what
    is drawn was measured, and a spike between two places is not drawn.

    Parameters
    ----------
    frame : DataFrame
    column : str
        What the horizontal axis shows.
    points : int
        At most so many different values of it are kept, and the first.
    log : bool
        Whether the axis is logarithmic; a value of 0 or less is then kept as the first one.
    """
    values = np.unique(frame[column].to_numpy(dtype=float))
    if len(values) <= points:
        return frame
    axis = values[values > 0] if log else values
    place = np.log(axis) if log else axis
    even = np.linspace(place[0], place[-1], points)
    right = np.clip(np.searchsorted(place, even), 1, len(place) - 1)
    nearest = right - (even - place[right - 1] < place[right] - even)
    kept = np.concatenate([values[:1], axis[np.unique(nearest)]])
    return frame[frame[column].isin(kept)]
