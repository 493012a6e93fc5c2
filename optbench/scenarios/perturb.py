"""Other values for a hyperparameter: what "every option on, every number disturbed" means."""

from __future__ import annotations

import enum
import math
from collections.abc import Iterator, Mapping
from typing import Any


def perturbations(hyperparameters: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Each hyperparameter with another value, one at a time: what "every option on" means.

    A switch is flipped, a number goes to a neighbour that any constructor ought to take; what
    is None or text has no neighbour.
    """
    for name, value in hyperparameters.items():
        for other in nearby_values(name, value):
            yield name, other


LARGE = 16
"""More than the tensors here have rows, or most of the checks steps between two looks."""


def nearby_values(name: str, value: Any) -> Iterator[Any]:
    """Yield other values for a hyperparameter, the most natural first."""
    if isinstance(value, enum.Enum):
        yield from (other for other in type(value) if other is not value)
    elif isinstance(value, bool):
        yield not value
    elif isinstance(value, int) and name != "lr":
        # Below zero it stands for "none": any number is another.
        yield from (1, 2) if value < 0 else (value + 1, 2 * value + 2)
        if value > 1:
            yield value - 1
        # A size or an interval that is larger than all that is tried here.
        if value > LARGE:
            yield from (2, 5)
    elif isinstance(value, int | float):
        yield from _numbers(name, float(value))
    elif isinstance(value, tuple | list) and value:
        for index, each in enumerate(value):
            for other in nearby_values(f"{name}[{index}]", each):
                yield with_item(value, index, other)


def _numbers(name: str, value: float) -> Iterator[float]:
    if value == 0:
        yield from (0.1, 0.5, 1e-3)
    elif not math.isfinite(value):
        yield 1.0
    elif name.startswith("eps") or (0 < abs(value) < 1e-4 and name != "lr"):
        # An eps matters where it is not small.
        others = (value * 1e4, value * 100, value / 100, 1e-3, 1.0)
        yield from (other for other in others if other != value)
    elif 0.5 < value < 1:
        yield from (1 - 2 * (1 - value) if value > 0.6 else 0.9 * value, 1 - (1 - value) / 2)
    else:
        yield from (value / 2, value * 2, value * 0.9)


def with_item(value: Any, index: int, item: Any) -> Any:
    """Return a tuple, list or named tuple with one item replaced."""
    items = [*value[:index], item, *value[index + 1 :]]
    return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
