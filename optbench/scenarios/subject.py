"""What is checked: a factory, and what we found out about it before the first check."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from optbench.engine.state import leaves_of
from optbench.optimizers import Optimizer, builders
from optbench.optimizers.recipe import Factory
from optbench.problems import PROBLEMS
from optbench.scenarios.gradients import MATRICES, MIXED, GradientSequence, sequence, shrinking
from optbench.scenarios.outcomes import NotApplicable
from optbench.scenarios.perturb import perturbations
from optbench.scenarios.requirements import Requirements
from optbench.scenarios.session import Session

IMPLEMENTATION = ("foreach", "fused", "differentiable", "capturable")
"""Arguments that choose how a step is computed, never what."""


@dataclass
class Subject:
    """An optimizer under examination.

    Attributes
    ----------
    name : str
        The target that names it: a registered name or ``package.module:Class``.
    factory : callable
        ``factory(params, **hyperparameters)``.
    settings : mapping
        Hyperparameters that are always given.
    oracle, reference : Optimizer or None
        An independent transcription of the rule that we know of, and the one that the user
        named to compare with.
    row : Optimizer or None
        The recipe, where it has one: what a run can be made of.
    before_step : callable or None
        As of a row.
    device : str
        Of the parameters.
    settings_over, records : dict
        Found and recorded before: combinations of settings, and records by their scenario.
    """

    name: str
    factory: Factory
    settings: Mapping[str, Any] = field(default_factory=dict)
    row: Optimizer | None = None
    oracle: Optimizer | None = None
    reference: Optimizer | None = None
    stochastic: bool = False
    wants: Requirements = field(default_factory=Requirements)

    before_step: builders.BeforeStep | None = None
    device: str = "cpu"
    settings_over: dict[Any, Any] = field(init=False, default_factory=dict, repr=False)
    records: dict[str, Any] = field(init=False, default_factory=dict, repr=False)

    def make(self, params: Any, **settings: Any) -> torch.optim.Optimizer:
        """Construct an instance over parameters or groups; other arguments keep their defaults.

        Raises
        ------
        NotApplicable
            Groups for a builder, which makes its own.
        """
        told = {**self.settings, **settings}
        made: torch.optim.Optimizer
        if not builders.is_builder(self.factory):
            made = builders.verified(self.factory(params, **told))
            return made
        if any(isinstance(each, dict) for each in params):
            raise NotApplicable(f"{self.name} makes its own parameter groups")
        made = builders.construct(self.factory, builders.torch_names(params), told)
        return made

    # ------------------------------------------------------------------ what it takes

    @functools.cached_property
    def parameters(self) -> Mapping[str, inspect.Parameter]:
        """The constructor's arguments after the parameters to optimize."""
        every = list(inspect.signature(self.factory).parameters.items())[1:]
        return {name: p for name, p in every if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)}

    @functools.cached_property
    def hyperparameters(self) -> Mapping[str, Any]:
        """Names and values of what the rule depends on, as they are when nothing is given."""
        values = {
            name: self.settings.get(name, p.default)
            for name, p in self.parameters.items()
            if name not in IMPLEMENTATION
        }
        return {
            name: value.item() if isinstance(value, torch.Tensor) and value.numel() == 1 else value
            for name, value in values.items()
        }

    @property
    def lr(self) -> float | None:
        """The learning rate that it runs at when nobody says otherwise; None where it has none."""
        value = self.hyperparameters.get("lr")
        if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
            return None
        return float(value)

    @property
    def asks_for(self) -> tuple[str, ...]:
        """Those of `IMPLEMENTATION` that its own settings ask for."""
        return tuple(name for name in IMPLEMENTATION if self.settings.get(name))

    def takes(self, name: str) -> bool:
        """Whether the constructor has such an argument."""
        return name in self.parameters

    def accepts(self, settings: Mapping[str, Any]) -> bool:
        """Whether an instance can be made with these hyperparameters and takes a step."""
        try:
            Session(self, self.sequence(), settings).advance(1)
        # Refusing is the constructor's right; wrong refusals show in other checks.
        except (Exception, SystemExit):  # noqa: BLE001
            return False
        return True

    @functools.cached_property
    def variants(self) -> tuple[Mapping[str, Any], ...]:
        """Hyperparameters beside the default that the constructor takes: each one disturbed.

        A switch that needs company (``nesterov`` wants a momentum) gets it.
        """
        found: list[Mapping[str, Any]] = []
        for name, value in perturbations(self.hyperparameters):
            if name == "maximize" and self.wants.evaluates_the_loss:
                continue  # upwards the loss of these has no end
            for company in ({}, {"momentum": 0.9, "dampening": 0.0}, {"weight_decay": 0.1}):
                if name in company or any(not self.takes(other) for other in company):
                    continue
                settings = {**company, name: value}
                if self.accepts(settings):
                    found.append(settings)
                    if not (isinstance(value, bool) and not company):
                        break
        return tuple(found)

    @functools.cached_property
    def takes_sparse(self) -> bool:
        """Whether it takes sparse gradients, which it may refuse."""
        if self.wants.evaluates_the_loss:
            return False
        return self._steps(feed="sparse")

    @functools.cached_property
    def takes_complex(self) -> bool:
        """Whether it takes complex parameters, which it may refuse."""
        return self._steps(dtype=torch.complex64)

    @functools.cached_property
    def takes_float16(self) -> bool:
        """Whether it takes float16 parameters, which it may refuse."""
        return self._steps(dtype=torch.float16)

    @functools.cached_property
    def takes_groups(self) -> bool:
        """Whether it takes two parameter groups, which it may refuse."""
        return self._steps(groups=lambda params: [{"params": params[:1]}, {"params": params[1:]}])

    def _steps(self, **how: Any) -> bool:
        """Whether a session that is made like this takes two steps."""
        try:
            Session(self, self.sequence(), **how).advance(2)
        except (Exception, SystemExit):  # noqa: BLE001
            return False
        return True

    # ------------------------------------------------------------------ what it meets

    @property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """Of the tensors that it is tried on."""
        return MATRICES if self.wants.matrices else MIXED

    def sequence(self, steps: int = 60, *, seed: int = 0) -> GradientSequence:
        """Gradients of a steady scale."""
        return sequence(self.shapes, steps, seed=seed)

    def shrinking(self, steps: int) -> GradientSequence:
        """Gradients that shrink by four decades."""
        return shrinking(self.shapes, steps)

    # ------------------------------------------------------------------ what it is like

    @functools.cached_property
    def draws(self) -> str:
        """Why its steps are random, or the empty string."""
        if self.stochastic:
            return "its row declares it stochastic"
        for name in self.parameters:
            if "seed" in name or name in ("generator", "rng", "random_state"):
                return f"it takes a {name}"
        drawn = Session(self, self.sequence()).drawn(6)
        return f"it draws from {drawn}" if drawn else ""

    @functools.cached_property
    def state_of_float64(self) -> tuple[int, list[str]]:
        """Count floating-point tensors of state, and describe those of lower precision."""
        session = Session(self, self.sequence()).advance(7)
        seen, narrow = 0, []
        for index in range(len(session.params)):
            for path, value in leaves_of(session.state_of(index)):
                if not (isinstance(value, torch.Tensor) and value.is_floating_point()):
                    continue
                seen += 1
                # A counter is exact in float32 until 16 million.
                whole = bool((value == value.round()).all()) and value.numel() == 1
                if value.dtype != torch.float64 and not whole:
                    narrow.append(f"{path} of tensor {index} is {value.dtype}")
        return seen, narrow

    @functools.cached_property
    def couples_tensors(self) -> bool:
        """Whether one tensor's gradient moves another (a global norm, one step size for all)."""
        ours = self.sequence()
        # Another gradient altogether: a sign method would not see a multiple.
        other = self.sequence(seed=1).times(3.0).gradients[0]
        ends = [
            Session(self, each).advance(ours.length).positions()[1:]
            for each in (ours, ours.with_gradient(0, other))
        ]
        return any(not torch.equal(one, other) for one, other in zip(*ends, strict=True))

    @functools.cached_property
    def elementwise(self) -> bool:
        """Whether an element's path depends on its own gradients only."""
        if self.couples_tensors or self.wants.matrices:
            return False
        # Clipping by a norm shows only where the norm is large: a little, and a lot.
        another = self.sequence(seed=1).gradients[0]
        for ours, factor in ((self.sequence(), 3.0), (self.shrinking(60), 100.0)):
            gradient = ours.gradients[0]
            assert gradient is not None
            assert another is not None
            changed = gradient.copy()
            changed[:, 0, 0] = factor * another[:, 0, 0]
            sequences = (ours, ours.with_gradient(0, changed))
            one, other = (Session(self, each).trace(ours.length)[:, 1:] for each in sequences)
            if not torch.equal(one, other):
                return False
        return True


def require_determinism(subject: Subject) -> None:
    """Leave out a check that compares steps of two sessions, where they are drawn."""
    if subject.draws:
        raise NotApplicable(f"its steps are random: {subject.draws}")


def require_separable(subject: Subject) -> None:
    """Leave out a check that takes some tensors away, where one tensor's step needs them all."""
    if subject.couples_tensors:
        raise NotApplicable("by design, one tensor's gradient affects the updates of the others")


def problems_for(subject: Subject, names: Sequence[str]) -> list[str]:
    """Those of the problems that have the parameters and gradients that it takes."""
    row = subject.row
    assert row is not None
    if subject.wants.graph:
        raise NotApplicable(
            "it needs second derivatives (create_graph), which a run does not provide"
        )
    fitting = [name for name in names if row.needs <= PROBLEMS[name].traits]
    if not fitting:
        raise NotApplicable(f"{', '.join(names)} have other parameters or gradients than it takes")
    return fitting
