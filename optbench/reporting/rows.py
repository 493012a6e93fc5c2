"""Walking down a frame that is small enough to be shown."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd


def rows(frame: pd.DataFrame) -> Iterator[Any]:
    """Rows as named tuples. Their fields are Any: a frame's types are not known statically."""
    return iter(frame.itertuples(index=False, name="Row"))


def by(frame: pd.DataFrame, column: str) -> dict[str, pd.DataFrame]:
    """Return the parts of a frame by a column of names, which are sorted."""
    return {str(name): part for name, part in frame.groupby(column)}
