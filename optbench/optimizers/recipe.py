"""What an optimizer is to optbench: a row of data."""

from __future__ import annotations

import enum
import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import torch

from optbench.errors import OptbenchError
from optbench.optimizers import builders
from optbench.optimizers.of_the_run import DDP, OF_THE_RUN, told_to_the_factory
from optbench.optimizers.schedules import LR_SCHEDULE, SCHEDULES
from optbench.plain_text import said, shown
from optbench.registry import NotAdoptable


class Route(enum.Enum):
    """How an optimizer drives lanes (many runs in one tensor program).

    STACK
        One parameter holds all lanes of a setting along its leading dimension: for methods
        that treat every element by itself.
    GROUPS
        One parameter a lane, in one optimizer: for methods that look at a whole tensor (its
        norm, its rows and columns), but at nothing beyond it.
    INSTANCE
        One optimizer a lane: for everything else, and for every class that nobody certified.
    """

    STACK = "stack"
    GROUPS = "groups"
    INSTANCE = "instance"


class WrongHyperparameter(OptbenchError, ValueError):
    """A hyperparameter that an optimizer does not take, or a value that it refuses."""


Factory = Callable[..., torch.optim.Optimizer]
"""Called as ``factory(params, **hyperparameters)``, as a ``torch.optim`` class is; a builder
(`optbench.optimizers.builders`) as ``factory(named_parameters, **hyperparameters)``."""


def half_decades(low: float, high: float) -> tuple[float, ...]:
    """Learning rates from ``low`` to ``high``, two a decade, rounded to two digits.

    >>> half_decades(1e-2, 1)
    (0.01, 0.032, 0.1, 0.32, 1.0)
    """
    import math

    first, last = round(2 * math.log10(low)), round(2 * math.log10(high))
    return tuple(float(f"{10 ** (k / 2):.1e}") for k in range(first, last + 1))


@dataclass(frozen=True)
class Optimizer:
    """A registered recipe: a factory, its defaults, what to search, its route, its source.

    Attributes
    ----------
    name : str
        ``base`` or, for a variant, ``base[variant]``.
    factory : callable
        ``factory(params, **hyperparameters)`` gives a ``torch.optim.Optimizer``; a builder is
        given (name, parameter) pairs.
    defaults : mapping
        The hyperparameters of the *default* league; what is left out keeps the default of the
        factory. Without an ``lr`` the optimizer runs at its constructor's settings.
    space : mapping
        Hyperparameter to the values that the *tuned* league may choose from.
    route : Route
        The fastest route on which every lane gives its own run, bit for bit
        (`optbench.engine.certify` checks it).
    cite : str
        The paper and, where there is one, the algorithm or equation.
    needs : frozenset of str
        Traits that a problem must have (``"matrices"``, ``"only matrices"``, ``"sparse"``).
    closure : bool
        ``step`` must be given a closure. Such a run's clock advances by the gradient
        evaluations that the step asked for.
    gradients_first : bool
        ``step(closure)`` uses gradients that the training loop has computed before, as in
        ``closure(); optimizer.step(closure)``; both evaluations count.
    sparse_gradients : bool
        The optimizer is handed sparse gradients.
    stochastic : bool
        It draws random numbers: repeated under one seed, but not whatever the order and number
        of parameters.
    oracle : str
        Name of a registered optimizer, or ``package.module:Class``, that computes the same rule
        independently. Empty: known by its class, if at all
        (`optbench.optimizers.textbook_optimizers.ORACLES`).
    before_step : callable or None
        Called as ``before_step(optimizer, step)`` with fresh gradients before each step, for
        methods that want a call between steps. Not for optimizers that take a closure.
    adopted : bool
        It was made of a class, which says nothing about what a run must give it.
    """

    name: str
    factory: Factory
    defaults: Mapping[str, Any]
    space: Mapping[str, tuple[Any, ...]]
    route: Route
    cite: str
    needs: frozenset[str] = frozenset()
    closure: bool = False
    gradients_first: bool = False
    sparse_gradients: bool = False
    stochastic: bool = False
    oracle: str = ""
    variant: str = ""
    base: str = field(default="")
    before_step: builders.BeforeStep | None = None
    adopted: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "defaults", MappingProxyType(dict(self.defaults)))
        object.__setattr__(self, "space", MappingProxyType(dict(self.space)))
        if not self.base:
            object.__setattr__(self, "base", self.name)
        if self.closure and self.before_step is not None:
            raise ValueError(
                f"optimizer {self.name!r}: a hook before each step sees no gradient where step "
                "takes a closure: call it in step, or leave out one of both"
            )
        for name in OF_THE_RUN:
            if name in self.defaults or name in self.space:
                raise ValueError(f"optimizer {self.name!r}: {name} is set per run, not in a row")

    def variant_of(
        self, variant: str, *, route: Route | None = None, **overrides: Any
    ) -> Optimizer:
        """Return the same recipe under ``name[variant]``, with other fixed hyperparameters."""
        return replace(
            self,
            name=f"{self.name}[{variant}]",
            defaults={**self.defaults, **overrides},
            route=route or self.route,
            variant=variant,
            base=self.name,
        )

    def settings(self, overrides: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Return the defaults with ``overrides`` on top, tried out on a small parameter.

        Raises
        ------
        WrongHyperparameter
            Where the optimizer takes no such hyperparameter or refuses the value, where a
            schedule cannot set its learning rate, or where ``ddp`` is no number of processes.
        UnknownName, NotAdoptable
            Where ``lr_schedule`` names no schedule; where ``step`` of a class wants what no
            training loop gives it.
        """
        settings = {**self.defaults, **(overrides or {})}
        told = told_to_the_factory(settings)
        if self.adopted:
            self._check_step()
        self._check_names(told)
        self._check_tuples(told)
        lr = settings.get("lr", 0.0)
        if isinstance(lr, bool) or not isinstance(lr, int | float) or not 0 <= lr < float("inf"):
            raise WrongHyperparameter(
                f"{self.name}: lr must be a finite number >= 0, not {shown(lr)}"
            )
        try:
            made = self.make(builders.torch_names([torch.nn.Parameter(torch.zeros(2, 2))]), told)
        # A factory is anybody's code: whatever it raises is its refusal, passed on in words.
        except (Exception, SystemExit) as error:
            text = self._refusal(error, told)
            if self.adopted and not overrides and text.startswith("refuses"):
                text += " (a function of named_parameters can construct it: docs/extending.md)"
            raise WrongHyperparameter(f"{self.name} {text}") from error
        if LR_SCHEDULE in settings:
            self._check_schedule(settings[LR_SCHEDULE], made)
        if DDP in settings:
            self._check_ddp(settings[DDP])
        return settings

    def make(self, named: builders.Named, settings: Mapping[str, Any]) -> torch.optim.Optimizer:
        """Return an instance over (name, parameter) pairs; ``settings`` are the factory's."""
        made: torch.optim.Optimizer = builders.construct(self.factory, named, settings)
        return made

    def not_taken(self, names: Iterable[str]) -> list[str]:
        """Those of the names that the factory takes no hyperparameter of."""
        parameters = inspect.signature(self.factory).parameters
        if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
            return []
        return [name for name in names if name not in self.hyperparameters]

    def defaults_of(self, *names: str) -> dict[str, Any]:
        """Those of the defaults that there are."""
        return {name: self.defaults[name] for name in names if name in self.defaults}

    @property
    def takes_groups(self) -> bool:
        """Whether the factory can be given parameter groups; a builder makes its own."""
        return not builders.is_builder(self.factory)

    @functools.cached_property
    def required(self) -> tuple[str, ...]:
        """Names of hyperparameters that have no default, neither here nor in the factory."""
        parameters = list(inspect.signature(self.factory).parameters.values())[1:]
        named = [p for p in parameters if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)]
        return tuple(p.name for p in named if p.default is p.empty and p.name not in self.defaults)

    @functools.cached_property
    def hyperparameters(self) -> tuple[str, ...]:
        """Names that the factory takes, but for what is to be optimized."""
        return tuple(inspect.signature(self.factory).parameters)[1:]

    def _check_schedule(self, name: Any, made: torch.optim.Optimizer) -> None:
        if LR_SCHEDULE in self.hyperparameters:
            raise WrongHyperparameter(
                f"{self.name} takes a {LR_SCHEDULE} of its own, which conflicts with "
                "optbench's: write an Optimizer row whose factory calls it otherwise"
            )
        if not isinstance(name, str):
            raise WrongHyperparameter(
                f"{LR_SCHEDULE} is the name of a schedule (optbench list schedules), "
                f"not {shown(name)}"
            )
        SCHEDULES[name]  # or it says what there is
        if not all("lr" in group for group in made.param_groups):
            raise WrongHyperparameter(
                f"{self.name} keeps no lr in its parameter groups: no schedule can change it"
            )

    def _check_ddp(self, world: Any) -> None:
        if DDP in self.hyperparameters:
            raise WrongHyperparameter(
                f"{self.name} takes a {DDP} of its own, which conflicts with optbench's: "
                "write an Optimizer row whose factory calls it otherwise"
            )
        if type(world) is not int or world < 2:
            raise WrongHyperparameter(
                f"{DDP} must be a number of processes, at least 2, not {world!r}"
            )

    def _check_step(self) -> None:
        if wanted := demanded_by_step(inspect.unwrap(self.factory)):
            raise NotAdoptable(
                f"the step of {self.name} wants {wanted}, and a training loop gives it a closure "
                "or nothing: a subclass of it whose step takes a closure can be run"
            )

    def _check_names(self, settings: Mapping[str, Any]) -> None:
        for name in self.not_taken(settings):
            raise WrongHyperparameter(
                f"{self.name} takes no hyperparameter {shown(name)}; "
                f"it takes {', '.join(self.hyperparameters) or 'none at all'}"
            )

    def _check_tuples(self, settings: Mapping[str, Any]) -> None:
        parameters = inspect.signature(self.factory).parameters
        for name, value in settings.items():
            default = self.defaults.get(name, parameters[name].default if name in parameters else 0)
            if value is None or not _is_numbers(default) or _is_like(value, default):
                continue
            count = len(default)
            example = ",".join(map(repr, default)) + ("," if count == 1 else "")
            raise WrongHyperparameter(
                f"{self.name}: {name} must be {count} number{'s' * (count > 1)}, such as "
                f"--set {name}={example}, not {shown(value)}"
            )

    def _refusal(self, error: BaseException, told: Mapping[str, Any]) -> str:
        """Why the factory made nothing of these hyperparameters, to be read after its name."""
        if builders.wants_parameters_and_model(self.factory):
            return (
                "wants the model and its parameters both, which only a function of "
                "named_parameters can give it (docs/extending.md)"
            )
        if isinstance(error, builders.NoBase):
            return str(error)
        lacking = [name for name in self.required if name not in (*told, builders.BASE)]
        if lacking and isinstance(error, TypeError):
            example = " ".join(f"--set {name}=..." for name in lacking)
            builder = ", or a function of named_parameters that constructs it (docs/extending.md)"
            text = f"has no default for {', '.join(lacking)}: {example}"
            return text + builder if self.adopted else text
        given = ", ".join(f"{name}={shown(value)}" for name, value in told.items())
        return f"refuses ({given}): {said(error)}"


def _is_numbers(value: Any) -> bool:
    """Whether it is a tuple of numbers, as the default of betas is."""
    return isinstance(value, tuple) and bool(value) and all(type(v) in (int, float) for v in value)


def _is_like(value: Any, numbers: tuple[float, ...]) -> bool:
    """Whether a value can stand for these numbers: as many, some of which may be None."""
    return (
        isinstance(value, tuple | list)
        and len(value) == len(numbers)
        and all(each is None or type(each) in (int, float) for each in value)
    )


def adopt(obj: Any, name: str) -> Optimizer:
    """Make a row of an `Optimizer` row, an optimizer class, or a builder function.

    A class gets its constructor's own defaults and the INSTANCE route, which is right for
    every optimizer; `optbench.engine.certify.fastest_route` tells whether a faster one is. A
    learning rate that the constructor demands is 1e-3; a class that has none, or that accepts to
    be constructed without one, runs at its constructor's settings and is not tuned.
    """
    if isinstance(obj, Optimizer):
        # Under the path that names it, so that a worker process finds it again.
        return replace(obj, name=name, base=name) if ":" in name else obj
    if inspect.isroutine(obj):
        if not builders.is_builder(obj):
            raise NotAdoptable(
                f"{name!r} is {builders.described(obj)}, not a torch.optim.Optimizer class; a "
                "function that builds an optimizer takes named_parameters first, (name, "
                "parameter) pairs"
            )
        factory: Factory = obj
        before, closure = getattr(obj, "before_step", None), getattr(obj, "closure", False)
    else:
        optimizer = optimizer_class(obj, name)
        factory = builders.adapted(optimizer)
        before, closure = builders.hook_of(optimizer), wants_closure(optimizer)
    lr = default_lr(factory)
    return Optimizer(
        name,
        factory,
        defaults={} if lr is None else {"lr": lr},
        space={} if lr is None else {"lr": half_decades(1e-4, 1)},
        route=Route.INSTANCE,
        cite=f"{obj.__module__}.{obj.__qualname__}",
        closure=closure,
        before_step=before,
        adopted=not inspect.isfunction(obj),
        needs=frozenset({"matrices"} if isinstance(factory, builders.FlaggedGroups) else ()),
    )


def default_lr(factory: Factory) -> float | None:
    """Return the learning rate that a factory is given where nothing else is said.

    Its own default where that is a number, else 1e-3; None where it takes no ``lr``, or has the
    default None and can be constructed with it (the method chooses its own).
    """
    lr = inspect.signature(factory).parameters.get("lr")
    if lr is None:
        return None
    default = lr.default
    if isinstance(default, torch.Tensor) and default.numel() == 1:
        default = default.item()
    if isinstance(default, int | float) and not isinstance(default, bool):
        return float(default)
    return None if default is None and builders.constructs(factory) else 1e-3


def wants_closure(optimizer: type) -> bool:
    """Whether ``step`` has a parameter ``closure`` without a default."""
    closure = inspect.signature(optimizer.step).parameters.get("closure")  # type: ignore[attr-defined]
    return closure is not None and closure.default is closure.empty


OF_A_STEP = frozenset(("loss", "losses", "grad", "grads", "gradient", "gradients"))
"""Names of what some steps want in place of a closure, which may be called anything else."""


def demanded_by_step(optimizer: Any) -> str:
    """Return the required first argument of ``step`` that is no closure, if there is one."""
    step = getattr(optimizer, "step", None)
    parameters = [] if step is None else list(inspect.signature(step).parameters.values())
    first = next(iter(parameters[1:]), None)
    if first is None or first.default is not first.empty or first.kind is first.VAR_POSITIONAL:
        return ""
    return first.name if first.name in OF_A_STEP else ""


def optimizer_class(obj: Any, name: str) -> type[torch.optim.Optimizer]:
    """Return the object, if it is the class of an optimizer.

    That is a subclass of ``torch.optim.Optimizer``, or a class of its own with ``step``,
    ``zero_grad`` and ``state_dict`` (some wrappers are).

    Raises
    ------
    NotAdoptable
        It is something else, or the base of all of them.
    """
    if not is_optimizer_class(obj):
        raise NotAdoptable(
            f"{name!r} is {builders.described(obj)}, not a torch.optim.Optimizer class "
            "(nor an optbench Optimizer row, nor a function of named_parameters)"
        )
    if obj is torch.optim.Optimizer:
        raise NotAdoptable(f"{name!r} is the base class of all optimizers, not an optimizer")
    found: type[torch.optim.Optimizer] = obj
    return found


def is_optimizer_class(obj: Any) -> bool:
    """Whether an object is a class with the methods of an optimizer."""
    return inspect.isclass(obj) and (
        issubclass(obj, torch.optim.Optimizer)
        or all(callable(getattr(obj, each, None)) for each in builders.METHODS)
    )
