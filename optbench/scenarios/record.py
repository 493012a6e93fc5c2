"""What is recorded of an optimizer in a scenario, and how two records differ."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from optbench.plain_text import printable

LEAK_BYTES = 4.0
"""Growth of what is alive, in bytes a step, up to which it is the noise of an interpreter."""

IN_EVAL_MODE = "the weights in eval mode"
"""Name of the observable that is what a user scores, where there are two modes."""

AS_GIVEN = "as given"
"""Observation of a value of the caller's that the optimizer did not write to."""

Observation = np.ndarray | str | int | float | bool | None | tuple[Any, ...]


@dataclass(frozen=True)
class Record:
    """The path of the parameters, and what else a user can observe.

    Attributes
    ----------
    path : ndarray
        [1 + steps, elements], float64: the start and the parameters after each step, complex ones
        as their real view.
    observations : mapping
        Name of an observable to what was observed: arrays are compared up to rounding, everything
        else must be equal.
    state : mapping
        The tensors of the state at the end, by their place, where they were asked for: two versions
        may have others.
    """

    path: np.ndarray
    observations: Mapping[str, Observation] = field(default_factory=dict)
    state: Mapping[str, np.ndarray] = field(default_factory=dict)


def observed(observations: Mapping[str, Callable[[], Observation]]) -> dict[str, Observation]:
    """Make each observation; where it raises, that is what is observed."""
    found: dict[str, Observation] = {}
    for name, observation in observations.items():
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                found[name] = observation()
        # Anybody's code runs here, and what it raises is the answer.
        except (Exception, SystemExit) as error:  # noqa: BLE001
            first = str(error).partition("\n")[0]
            found[name] = printable(f"raises {type(error).__name__}: {first}")
    return found


@dataclass(frozen=True)
class Checkpoint:
    """An optimizer in the middle of its training, as ``torch.save`` writes it.

    Attributes
    ----------
    state : bytes
        Of ``state_dict()``.
    parameters : bytes
        Of a list of tensors.
    format : frozenset of str
        Keys of the state, each with the kind of its values.
    """

    state: bytes
    parameters: bytes
    format: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Disagreement:
    """An observable in which two records differ by more than rounding.

    Attributes
    ----------
    observable : str
    ours, theirs : str
        What was observed, short.
    """

    observable: str
    ours: str
    theirs: str

    def __str__(self) -> str:
        return f"{self.observable}: {self.ours}, {self.theirs} in the base"


IDEAL: Mapping[str, Any] = {
    "p.grad after the step": AS_GIVEN,
    "the caller's parameter groups after the construction": AS_GIVEN,
    "lr of a second optimizer over the same parameter groups": AS_GIVEN,
    "a parameter that is given twice": "refused",
    "the derivative of a differentiable step": "as finite differences",
    "the derivative of a differentiable step where a gradient is zero": "finite",
    "tensors given as hyperparameters": AS_GIVEN,
    "calls of the closure with gradients disabled": 0,
    "parameters from a generator": "as from a list",
    "named parameters": "as from a list",
    "gradients after zero_grad(set_to_none=True)": "None in every group",
    "gradients after zero_grad(set_to_none=False)": "zero in every group",
    "calls of step hooks": "3 before and 3 after 3 steps",
    "add_param_group() of a parameter that it has": "refused",
    "add_param_group() of no dictionary": "refused",
    "repr()": "works",
}
"""The right value of an observable: `check` requires it, and `compare` reports no change to it."""


def disagreements(ours: Record, theirs: Record, relative: float) -> Iterator[Disagreement]:
    """Yield the observables of both records that differ by more than ``relative``.

    The path is not among them. Arrays are compared relative to their largest number; where their
    shapes differ, they differ.
    """
    for name, there in theirs.observations.items():
        if name not in ours.observations:
            continue
        here = ours.observations[name]
        if name in IDEAL and here == IDEAL[name]:
            continue
        if isinstance(here, np.ndarray) and isinstance(there, np.ndarray):
            if (found := _apart(here, there, relative)) is not None:
                yield Disagreement(name, *found)
        elif type(here) is not type(there) or not _equal(here, there, relative):
            yield Disagreement(name, _shown(here), _shown(there))


def _apart(ours: np.ndarray, theirs: np.ndarray, relative: float) -> tuple[str, str] | None:
    if ours.shape != theirs.shape:
        return f"shape {ours.shape}", f"{theirs.shape}"
    # NaN stands for what was not observed, as the loss of a step that returns none.
    finite = np.isfinite(theirs)
    if not np.isfinite(ours[finite]).all():
        return "not finite", "finite"
    scale = np.abs(theirs[finite]).max(initial=0.0)
    apart = np.abs(ours[finite] - theirs[finite])
    if apart.max(initial=0.0) <= relative * scale:
        return None
    place = int(apart.argmax())
    return f"{ours[finite][place]:.6g}", f"{theirs[finite][place]:.6g}"


def _equal(ours: Observation, theirs: Observation, relative: float) -> bool:
    if isinstance(ours, tuple) and isinstance(theirs, tuple):
        pairs = zip(ours, theirs, strict=False)
        return len(ours) == len(theirs) and all(_equal(a, b, relative) for a, b in pairs)
    if type(ours) is float and type(theirs) is float:
        if math.isfinite(ours) and math.isfinite(theirs):
            return abs(ours - theirs) <= relative * abs(theirs)
        return ours == theirs or (math.isnan(ours) and math.isnan(theirs))
    return bool(ours == theirs)


def _shown(value: Observation) -> str:
    if isinstance(value, np.ndarray):
        return f"{value.size} numbers"
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
