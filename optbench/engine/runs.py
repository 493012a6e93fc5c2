"""What a run is, and what it leaves: values that travel between plan, engine and store."""

from __future__ import annotations

import enum
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np


class Status(enum.StrEnum):
    """How a run ended."""

    OK = "ok"
    """The run used its budget."""

    UNMOVED = "unmoved"
    """The run used its budget; its parameters never changed although the gradient was not zero."""

    DIVERGED = "diverged"
    """The gap was not finite, or `DIVERGENCE` times the initial one."""

    FAILED = "failed"
    """An exception, kept with its text."""


DIVERGENCE = 1e6
"""A gap of so many times the initial one counts as divergence."""


@dataclass(frozen=True)
class Run:
    """One optimizer, one set of hyperparameters, one problem, one seed.

    Attributes
    ----------
    hyperparameters : tuple of (name, value)
        All that the optimizer is told, sorted by name; what is not here is its factory's default.
    budget : int
        The most gradient evaluations.
    default : bool
        Whether the hyperparameters are those of the default league. Not part of the identity.
    """

    optimizer: str
    hyperparameters: tuple[tuple[str, Any], ...]
    problem: str
    problem_version: int
    data: str
    seed: int
    budget: int
    dtype: str = "float32"
    device: str = "cpu"
    default: bool = field(default=True, compare=False)

    @property
    def settings(self) -> dict[str, Any]:
        """The hyperparameters as a mapping."""
        return dict(self.hyperparameters)


def frozen(settings: Mapping[str, Any]) -> tuple[tuple[str, Any], ...]:
    """Return settings as a `Run` holds them: sorted, lists as tuples."""
    return tuple(sorted((k, tuple(v) if isinstance(v, list) else v) for k, v in settings.items()))


def canonical(settings: Mapping[str, Any]) -> str:
    """Return settings as JSON that does not depend on their order."""
    return json.dumps(settings, sort_keys=True, separators=(",", ":"), default=repr)


@dataclass(frozen=True)
class Trace:
    """A logged quantity: steps [n] as int32, values [n] as float32."""

    steps: np.ndarray
    values: np.ndarray


@dataclass(frozen=True)
class Result:
    """What a run leaves.

    Attributes
    ----------
    steps : int
        Gradient evaluations used; for a diverged run, those before the observation that showed it.
    initial_gap, final_gap : float
        Objective minus minimum at the start and at the end. A diverged run's final gap is what
        was observed, so it may be infinite or NaN.
    hits : tuple of (int or None)
        For each target of the problem the first observed step that reached it; None: censored.
    traces : mapping
        ``"gap"`` and the problem's own metrics, on a schedule that all runs of a budget share.
    seconds_per_step : float or None
        Median wall time of a gradient evaluation with its share of the optimizer's step, in a
        single lane, measured in the worker just before the run; the one figure that is not
        repeatable.
    state_bytes : int or None
        Bytes of the optimizer's state for one lane, after those timed steps.
    seconds : float or None
        The run's share of the wall time of its tensor program, in seconds.
    """

    run: Run
    status: Status
    error: str | None = None
    steps: int = 0
    initial_gap: float | None = None
    final_gap: float | None = None
    hits: tuple[int | None, ...] = ()
    traces: Mapping[str, Trace] = field(default_factory=dict)
    seconds_per_step: float | None = None
    state_bytes: int | None = None
    seconds: float | None = None
