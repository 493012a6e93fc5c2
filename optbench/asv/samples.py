"""A tracked value as asv wants it: samples, each positive and finite, lower is better."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TypedDict


class Samples(TypedDict):
    """What a ``track_`` benchmark returns; asv keeps the median and, if told so, the samples."""

    samples: list[float]
    number: int


FEWEST = 8
"""asv compares two commits by a Mann-Whitney test, which six samples a side can never pass."""


def samples(values: Iterable[float]) -> Samples:
    """Return the values as asv takes them.

    Raises
    ------
    ValueError
        For fewer than eight, and for what asv cannot hold: it never finishes publishing an
        infinity, takes NaN for skipped, and has no word for zero being better than one.
    """
    found = [float(value) for value in values]
    if len(found) < FEWEST:
        raise ValueError(f"{len(found)} samples are too few, {FEWEST} are wanted")
    wrong = [value for value in found if not (math.isfinite(value) and value > 0)]
    if wrong:
        raise ValueError(f"tracked values are positive and finite, not {wrong[0]}")
    return {"samples": found, "number": 1}
