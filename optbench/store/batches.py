"""Keys in portions that one statement takes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

BATCH = 500
"""Values in one statement; databases limit how many it may have."""

T = TypeVar("T")


def batches(values: Iterable[T]) -> Iterator[list[T]]:
    """The values, at most `BATCH` at a time."""
    left = iter(values)
    while some := list(islice(left, BATCH)):
        yield some
