"""What a known answer is: a sentence of theory, its number, and the number that was measured."""

from __future__ import annotations

import enum
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from optbench.engine.lanes import Trajectory, advance
from optbench.optimizers import OPTIMIZERS, Optimizer, Route
from optbench.problems import Problem

Make = Callable[..., torch.optim.Optimizer]
"""Called as ``make(params, **hyperparameters)``, as a ``torch.optim`` class is."""


class Kind(enum.Enum):
    """What a tolerance is measured in.

    ABSOLUTE
        \\|measured - expected\\| may be so large, in the unit of the answer.
    RELATIVE
        \\|measured - expected\\| may be such a share of \\|expected\\|.
    STATISTICAL
        As RELATIVE, but the share is a number of standard errors of a mean over random draws:
        a right optimizer misses it with the probability that `Tolerance.why` states.
    BOUND
        The theory gives an inequality: measured may lie anywhere below expected, and above it
        by such a share of \\|expected\\| (or, where expected is 0, by so much) for rounding.
    """

    ABSOLUTE = "absolute"
    RELATIVE = "relative"
    STATISTICAL = "statistical"
    BOUND = "bound"


@dataclass(frozen=True)
class Tolerance:
    """How far a measurement may lie from its theory, and why so far."""

    value: float
    kind: Kind
    why: str

    def allows(self, expected: float) -> float:
        """Compute the largest departure from this expectation, in its unit."""
        if self.kind is Kind.ABSOLUTE or (self.kind is Kind.BOUND and expected == 0):
            return self.value
        return self.value * abs(expected)

    def __str__(self) -> str:
        return f"{self.value:.2g} {self.kind.value}"


@dataclass(frozen=True)
class Case:
    """One measurement of a known answer: what was set, what theory says, what came out.

    Attributes
    ----------
    setting : str
        Of this measurement, where a known answer has several.
    expected, measured : float
        In the unit of the statement.
    tolerance : Tolerance
        How far they may lie apart.
    """

    setting: str
    expected: float
    measured: float
    tolerance: Tolerance

    @property
    def departure(self) -> float:
        """How far measured lies from what is expected; 0 inside a bound. NaN stays NaN."""
        apart = self.measured - self.expected
        if self.tolerance.kind is Kind.BOUND:
            return apart if math.isnan(apart) else max(0.0, apart)
        return abs(apart)

    @property
    def used(self) -> float:
        """The share of the tolerance that the departure uses up; the answer holds up to 1."""
        allowed = self.tolerance.allows(self.expected)
        if allowed == 0:
            return 0.0 if self.departure == 0 else math.inf
        return self.departure / allowed

    @property
    def holds(self) -> bool:
        """Whether the measurement agrees with the theory (never, where it is not a number)."""
        return self.used <= 1


@dataclass(frozen=True)
class Answer(Case):
    """A known answer after it was measured: one row of a table.

    Attributes
    ----------
    name, statement, cite, optimizer : str
        Of the `KnownAnswer`; ``optimizer`` is what was measured, by its registered name or by
        the text that the caller gave.
    """

    name: str
    optimizer: str
    statement: str
    cite: str


@dataclass(frozen=True)
class KnownAnswer:
    """What theory says exactly about a method, with a way to measure it.

    Attributes
    ----------
    name : str
        Names the row, in kebab case.
    statement : str
        One sentence with the formula.
    cite : str
        Paper and place.
    optimizer : str
        Registered name of the method that the statement is about.
    cases : callable
        ``cases(make)`` measures what ``make(params, **hyperparameters)`` gives and returns one
        `Case` or several. It fixes every hyperparameter that the statement depends on.
    """

    name: str
    statement: str
    cite: str
    optimizer: str
    cases: Callable[[Make], Sequence[Case]]

    def measure(self, make: Make | None = None, label: str = "") -> tuple[Answer, ...]:
        """Measure the registered optimizer, or another one that claims to be the same method.

        Parameters
        ----------
        make : callable, optional
            ``make(params, **hyperparameters)`` gives the optimizer.
        label : str
            What to call it in the answers.
        """
        about = (self.name, label or self.optimizer, self.statement, self.cite)
        cases = self.cases(make or registered(self.optimizer))
        return tuple(
            Answer(case.setting, case.expected, case.measured, case.tolerance, *about)
            for case in cases
        )


def registered(name: str) -> Make:
    """Return the factory of a registered optimizer, with the row's defaults."""
    row = OPTIMIZERS[name]

    def make(params: Any, **hyperparameters: Any) -> torch.optim.Optimizer:
        return row.factory(params, **{**row.defaults, **hyperparameters})

    return make


def run(
    make: Make,
    problem: Problem,
    settings: Mapping[str, Any],
    budget: int,
    *,
    seeds: Sequence[int] = (0,),
    closure: bool = False,
) -> Trajectory:
    """Drive an optimizer through a problem in float64, one setting, one lane a seed."""
    row = Optimizer(
        "under-test",
        make,
        defaults={"lr": settings["lr"]},
        space={},
        # One lane needs no route of its own; many lanes of one setting share one parameter,
        # which is right for every method that a known answer runs on more than one seed.
        route=Route.INSTANCE if closure or len(seeds) == 1 else Route.STACK,
        cite="",
        closure=closure,
    )
    return advance(row, problem, [settings] * len(seeds), seeds, budget, dtype=torch.float64)


def path(make: Make, gradients: Tensor, start: Tensor | None = None, **settings: Any) -> Tensor:
    """Positions under given gradients: [T + 1, ...] from gradients [T, ...], in their dtype.

    For statements about the update itself, where no loss gives the gradients that are wanted.
    The start is 0 unless given.
    """
    point = torch.zeros_like(gradients[0]) if start is None else start.clone()
    parameter = torch.nn.Parameter(point)
    optimizer = make([parameter], **settings)
    positions = [parameter.detach().clone()]
    for gradient in gradients:
        parameter.grad = gradient.clone()
        optimizer.step()
        positions.append(parameter.detach().clone())
    return torch.stack(positions)


def farthest(values: Any, expected: float) -> float:
    """Of some values the one that lies farthest from what is expected; NaN if there is one."""
    flat = torch.as_tensor(values, dtype=torch.float64).flatten()
    apart = (flat - expected).abs()
    if apart.isnan().any():
        return math.nan
    return float(flat[apart.argmax()])
