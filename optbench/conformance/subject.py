"""What is checked: a factory, and what we found out about it before the first check."""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from optbench.conformance.course import MATRICES, MIXED, Course, course, shrinking
from optbench.conformance.promise import NotApplicable
from optbench.conformance.session import Session
from optbench.engine.work import describe
from optbench.optimizers import OPTIMIZERS, Optimizer
from optbench.optimizers.recipe import Factory, described
from optbench.optimizers.textbook_optimizers import ORACLES
from optbench.problems import PROBLEMS
from optbench.registry import NotAdoptable, UnknownName, import_attribute, import_module

IMPLEMENTATION = ("foreach", "fused", "differentiable", "capturable")
"""Arguments that choose how a step is computed, never what."""


class NotConstructible(Exception):
    """No instance could be made that takes a step; the text says why."""


@dataclass(frozen=True)
class Wants:
    """How an optimizer has to be fed, as found by trying."""

    closure: bool = False
    sparse: bool = False
    graph: bool = False
    """Gradients that can be differentiated again."""
    matrices: bool = False
    """Two-dimensional parameters and no others."""

    def __str__(self) -> str:
        words = {
            "closure": "a closure",
            "sparse": "sparse gradients",
            "graph": "backward(create_graph=True)",
            "matrices": "matrices only",
        }
        return ", ".join(text for name, text in words.items() if getattr(self, name))


WAYS = tuple(
    Wants(closure, sparse, graph, matrices)
    for matrices in (False, True)
    for closure, sparse, graph in (
        (False, False, False),
        (False, True, False),
        (True, False, False),
        (False, False, True),
        (True, False, True),
    )
)
"""From the most usual on."""


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
        The recipe, where it has one: an lr that a run can be given.
    """

    name: str
    factory: Factory
    settings: Mapping[str, Any] = field(default_factory=dict)
    row: Optimizer | None = None
    oracle: Optimizer | None = None
    reference: Optimizer | None = None
    stochastic: bool = False
    wants: Wants = field(default_factory=Wants)

    def make(self, params: Any, **settings: Any) -> torch.optim.Optimizer:
        """An instance over ``params``; what is not given keeps its default."""
        return self.factory(params, **{**self.settings, **settings})

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

    def takes(self, name: str) -> bool:
        """Whether the constructor has such an argument."""
        return name in self.parameters

    # ------------------------------------------------------------------ what it meets

    @property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """Of the tensors that it is tried on."""
        return MATRICES if self.wants.matrices else MIXED

    def course(self, steps: int = 60, *, seed: int = 0) -> Course:
        """Gradients of a steady scale."""
        return course(self.shapes, steps, seed=seed)

    def shrinking(self, steps: int) -> Course:
        """Gradients that shrink by four decades."""
        return shrinking(self.shapes, steps)

    # ------------------------------------------------------------------ what it is like

    @functools.cached_property
    def draws(self) -> str:
        """Why its steps are random, or the empty string."""
        if self.stochastic:
            return "its row declares it stochastic"
        for name in ("seed", "generator"):
            if self.takes(name):
                return f"it takes a {name}"
        drawn = Session(self, self.course()).drawn(6)
        return f"it draws from {drawn}" if drawn else ""

    @functools.cached_property
    def couples_tensors(self) -> bool:
        """Whether one tensor's gradient moves another (a global norm, one step size for all)."""
        ours = self.course()
        # Another gradient altogether: a sign method would not see a multiple.
        other = self.course(seed=1).times(3.0).gradients[0]
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
        another = self.course(seed=1).gradients[0]
        for ours, factor in ((self.course(), 3.0), (self.shrinking(60), 100.0)):
            gradient = ours.gradients[0]
            assert gradient is not None
            assert another is not None
            changed = gradient.copy()
            changed[:, 0, 0] = factor * another[:, 0, 0]
            courses = (ours, ours.with_gradient(0, changed))
            one, other = (Session(self, each).trace(ours.length)[:, 1:] for each in courses)
            if not torch.equal(one, other):
                return False
        return True


def members(target: str) -> list[str]:
    """The targets that a target stands for: ``module:*`` is every optimizer class in a module.

    Raises
    ------
    UnknownName, NotAdoptable
        A module that does not import, or one without an optimizer.
    """
    module_name, colon, attribute = target.partition(":")
    if not colon:
        return [row.name for row in OPTIMIZERS.select(target)]
    if attribute != "*":
        return [target]
    module = import_module(module_name, target)
    exported = getattr(module, "__all__", None) or sorted(vars(module))
    found: dict[type, str] = {}
    for name in exported:
        value = getattr(module, name, None)
        if (
            inspect.isclass(value)
            and issubclass(value, torch.optim.Optimizer)
            and value is not torch.optim.Optimizer
            and not name.startswith("_")
            and not inspect.isabstract(value)
        ):
            found.setdefault(value, f"{module_name}:{name}")
    if not found:
        raise NotAdoptable(f"module {module_name!r} exports no torch.optim.Optimizer class")
    # What it merely imports is somebody else's, unless it says that it is part of it.
    home = module_name.partition(".")[0]
    own = [name for cls, name in found.items() if cls.__module__.partition(".")[0] == home]
    return own if own and not hasattr(module, "__all__") else list(found.values())


def acquaint(
    target: str | type[torch.optim.Optimizer] | Optimizer,
    *,
    reference: str = "",
    settings: Mapping[str, Any] | None = None,
) -> Subject:
    """Make a subject of a target: construct it, find out how it wants to be fed.

    Raises
    ------
    UnknownName, NotAdoptable
        No such target, or no optimizer.
    NotConstructible
        Every attempt to construct it and to take two steps failed, with the reason.
    """
    subject = _unfed(target)
    subject.settings = {**subject.settings, **(settings or {})}
    if reference:
        subject.reference = OPTIMIZERS[reference]
    _fill_required(subject)
    refusals: list[str] = []
    for wants in WAYS:
        subject.wants = wants
        try:
            session = Session(subject, subject.course())
        # A constructor is anybody's code: whatever it raises is its answer.
        except (Exception, SystemExit) as error:  # noqa: BLE001
            refusals.append(_on_a_line(error))
            continue
        if not isinstance(session.optimizer, torch.optim.Optimizer):
            raise NotConstructible(
                f"{subject.name} makes a {type(session.optimizer).__name__}, "
                "not a torch.optim.Optimizer"
            )
        try:
            session.advance(2)
        except (Exception, SystemExit) as error:  # noqa: BLE001
            refusals.append(f"cannot take a step: {_on_a_line(error)}")
            continue
        if wants.closure and not session.closure_calls:
            refusals.append("step(closure) never calls the closure")
            continue
        if subject.row is not None:
            needs = {"sparse"} if wants.sparse else set()
            needs |= {"only matrices"} if wants.matrices else set()
            subject.row = replace(
                subject.row,
                closure=wants.closure,
                sparse_gradients=wants.sparse,
                needs=subject.row.needs | needs,
                defaults={**subject.row.defaults, **subject.settings},
            )
        return subject
    # The first is what it says to ordinary use.
    raise NotConstructible(refusals[0] + _narrow(subject))


def _on_a_line(error: BaseException) -> str:
    return ", ".join(line.strip() for line in describe(error).splitlines())


def _narrow(subject: Subject) -> str:
    """A word on those that step in float32 and not in float64, where everything is checked."""
    subject.wants = WAYS[0]
    try:
        Session(subject, subject.course(), dtype=torch.float32).advance(2)
    except (Exception, SystemExit):  # noqa: BLE001
        return ""
    return " (with float64 parameters; it takes float32 ones)"


def _fill_required(subject: Subject) -> None:
    missing = [
        name
        for name, p in subject.parameters.items()
        if p.default is p.empty and name not in subject.settings
    ]
    if "lr" in missing:
        subject.settings = {**subject.settings, "lr": 1e-3}
        missing.remove("lr")
    if missing:
        how = " ".join(f"--set {name}=..." for name in missing)
        raise NotConstructible(f"its constructor needs {', '.join(missing)}: {how}, or a row")


def _unfed(target: str | type[torch.optim.Optimizer] | Optimizer) -> Subject:
    if isinstance(target, Optimizer):
        found: Any = target
        name = target.name
    elif not isinstance(target, str):
        found = target
        name = f"{getattr(target, '__module__', '')}:{getattr(target, '__qualname__', target)}"
    elif ":" in target:
        found, name = import_attribute(target), target
    else:
        found, name = OPTIMIZERS[target], target
    if isinstance(found, Optimizer):
        row, factory, settings = found, found.factory, dict(found.defaults)
    elif inspect.isclass(found) and issubclass(found, torch.optim.Optimizer):
        if found is torch.optim.Optimizer:
            raise NotAdoptable(f"{name!r} is the base class of all optimizers, not an optimizer")
        factory, settings = found, {}
        try:
            row = OPTIMIZERS[name]
        # No lr, or not importable by that name: then there is no training with it.
        except (NotAdoptable, UnknownName):
            row = None
    else:
        if isinstance(found, torch.optim.Optimizer):
            raise NotAdoptable(f"{name!r} is an instance: give its class, {type(found).__name__}")
        raise NotAdoptable(
            f"{name!r} is {described(found)}, not a torch.optim.Optimizer class "
            "(nor an optbench Optimizer row)"
        )
    known = (row.oracle if row else "") or ORACLES.get(factory, "")  # type: ignore[call-overload]
    return Subject(
        name,
        factory,
        settings,
        row=row,
        oracle=OPTIMIZERS[known] if known else None,
        stochastic=bool(row and row.stochastic),
    )


def problems_for(subject: Subject, names: Sequence[str]) -> list[str]:
    """Those of the problems that have the parameters and gradients that it takes."""
    row = subject.row
    if row is None:
        raise NotApplicable("it has no lr, and a run has one")
    if subject.wants.graph:
        raise NotApplicable("it differentiates the gradient again, which a run does not offer")
    fitting = [name for name in names if row.needs <= PROBLEMS[name].traits]
    if not fitting:
        raise NotApplicable(f"{', '.join(names)} have other parameters or gradients than it takes")
    return fitting


def disturbances(subject: Subject) -> Iterator[tuple[str, Any]]:
    """Each hyperparameter with another value, one at a time: what "every option on" means.

    A switch is flipped, a number goes to a neighbour that any constructor ought to take; what
    is None or text has no neighbour.
    """
    for name, value in subject.hyperparameters.items():
        for other in neighbours(name, value):
            yield name, other


LARGE = 16
"""More than the tensors here have rows, or most of the checks steps between two looks."""


def neighbours(name: str, value: Any) -> Iterator[Any]:
    """Other values for a hyperparameter, the most natural first."""
    if isinstance(value, bool):
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
            for other in neighbours(f"{name}[{index}]", each):
                yield type(value)([*value[:index], other, *value[index + 1 :]])


def _numbers(name: str, value: float) -> Iterator[float]:
    if value == 0:
        yield from (0.1, 0.5, 1e-3)
    elif not math.isfinite(value):
        yield 1.0
    elif name.startswith("eps") or (0 < abs(value) < 1e-4 and name != "lr"):
        # An eps matters where it is not small.
        yield from (value * 1e4, value * 100, value / 100, 1e-3, 1.0)
    elif 0.5 < value < 1:
        yield from (1 - 2 * (1 - value) if value > 0.6 else 0.9 * value, 1 - (1 - value) / 2)
    else:
        yield from (value / 2, value * 2, value * 0.9)
