"""A scenario: what is done to an optimizer, as a value that travels to another process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

STEPS = 40
"""Number of steps of most scenarios."""

Shapes = tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class OwnValue:
    """Stands in settings for the optimizer's own value of the hyperparameter of that name.

    Attributes
    ----------
    times : float
        Factor on it.
    tensor : tuple of int or None
        Shape of a tensor that holds it, ``()`` or ``(1,)``; None for the plain number. Of a pair
        (``betas``), each number becomes a tensor.
    value : object
        Stands in for the optimizer's own value; None: there is nothing to stand in.
    """

    times: float = 1.0
    tensor: tuple[int, ...] | None = None
    value: Any = None


@dataclass(frozen=True)
class Event:
    """Something that is done before a step.

    Attributes
    ----------
    step : int
        Number of steps that were taken before.
    action : str
        A key of `optbench.scenarios.actions.ACTIONS`.
    values : mapping
        What the action is given, by name.
    """

    step: int
    action: str
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Scenario:
    """How an optimizer is built, on what parameters and gradients, and what happens on the way.

    Attributes
    ----------
    name : str
        What a difference is reported under.
    gradients : str
        A key of `optbench.scenarios.gradients.GRADIENTS`.
    edits : tuple of str
        Keys of `optbench.scenarios.gradients.EDITS`, applied in turn to starts and gradients.
    shapes : tuple of shapes
        Of the parameters; the optimizer's own (`Subject.shapes`) where it is empty.
    steps : int
    dtype : str
        Of the parameters, as torch names it.
    layout : str
        A key of `optbench.scenarios.layouts.LAYOUTS`: how parameters and gradients lie in memory.
    feed : str
        A key of `optbench.scenarios.feeds.FEEDS`: how a step gets its gradients; empty: as the
        optimizer requires.
    settings : mapping
        Hyperparameters beside the defaults.
    second : mapping or None
        Two groups, of which the second has these values of its own; None: one group.
    events : tuple of Event
    condition : str
        Under what it shows, where the name does not say it.
    is_plain : bool
        Whether it is ordinary use at the defaults.
    """

    name: str
    gradients: str = "shrinking"
    edits: tuple[str, ...] = ()
    shapes: Shapes = ()
    steps: int = STEPS
    dtype: str = "float64"
    layout: str = ""
    feed: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    second: Mapping[str, Any] | None = None
    events: tuple[Event, ...] = ()
    condition: str = ""
    is_plain: bool = False

    @property
    def when(self) -> str:
        """Under what it shows, for "only with ..."."""
        return self.condition or self.name
