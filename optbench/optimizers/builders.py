"""Builders: factories that are called with named parameters, and adapters that make them.

Most optimizers are constructed as ``cls(params, **hyperparameters)``. A *builder* is any callable
whose first parameter is called ``named_parameters``; it is called as
``build(named_parameters, **hyperparameters)`` with a list of (name, parameter) pairs, as
``torch.nn.Module.named_parameters`` gives them, and returns the optimizer. The adapters below turn
constructors that want something else (flagged groups, another optimizer, the model) into builders.
"""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from inspect import Parameter, Signature
from typing import Any

import torch
from torch import nn

from optbench.registry import import_attribute

NAMES = ("named_parameters", "named_params")
"""Names of a first parameter that takes (name, parameter) pairs."""

BASE = "base_optimizer"
"""Hyperparameter that names the class of the wrapped optimizer, as ``package.module:Class``."""

METHODS = ("step", "zero_grad", "state_dict")
"""Methods that every optimizer has, whether it derives from ``torch.optim.Optimizer`` or not."""


class NotAnOptimizer(TypeError):
    """What a factory made has not the methods of an optimizer."""


Named = Sequence[tuple[str, Any]]
BeforeStep = Callable[[Any, int], None]
"""Hook called as ``hook(optimizer, step)`` with fresh gradients, before each ``step``."""


def is_builder(factory: Callable[..., Any]) -> bool:
    """Whether a factory takes (name, parameter) pairs."""
    return next(iter(inspect.signature(factory).parameters), "") in NAMES


def sees_names(factory: Callable[..., Any]) -> bool:
    """Whether the class itself learns the parameters' names, and may treat some by theirs."""
    return isinstance(factory, OfModel) or is_builder(inspect.unwrap(factory))


def construct(factory: Callable[..., Any], named: Named, settings: Mapping[str, Any]) -> Any:
    """Make an optimizer by a class, a factory of parameters, or a builder.

    Raises
    ------
    NotAnOptimizer
        The factory makes something else.
    """
    pairs = list(named)
    params = pairs if is_builder(factory) else [parameter for _, parameter in pairs]
    return verified(factory(params, **settings))


def verified(made: Any) -> Any:
    """Give what a factory made, if it has the methods of an optimizer.

    Raises
    ------
    NotAnOptimizer
        It has not.
    """
    if not all(callable(getattr(made, each, None)) for each in METHODS):
        raise NotAnOptimizer(f"makes {described(made)}, not a torch.optim.Optimizer")
    return made


def described(obj: Any) -> str:
    """Describe an object in a message that refuses it."""
    if inspect.isclass(obj):
        return f"the class {obj.__qualname__}"
    if inspect.isroutine(obj):
        return f"the function {obj.__qualname__}"
    kind = type(obj).__name__
    return f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}"


def torch_names(params: Iterable[nn.Parameter | torch.Tensor]) -> list[tuple[str, Any]]:
    """Pair parameters with the names that they would have in a ``torch.nn.Sequential``."""
    kinds = ("weight", "bias")
    return [(f"layers.{i}.{kinds[p.ndim < 2]}", p) for i, p in enumerate(params)]


class _Adapter:
    """A builder around a class: its ``__wrapped__`` is what `inspect.unwrap` gives."""

    __wrapped__: type
    __signature__: Signature

    @property
    def __name__(self) -> str:
        return self.__wrapped__.__name__

    def _sign(self, parameters: Iterable[Parameter]) -> None:
        first = Parameter(NAMES[0], Parameter.POSITIONAL_OR_KEYWORD)
        own = [p.replace(kind=max(p.kind, Parameter.KEYWORD_ONLY)) for p in parameters]
        signature = Signature([first, *sorted(own, key=lambda p: p.kind)])
        object.__setattr__(self, "__signature__", signature)


@dataclass(frozen=True, eq=False)
class FlaggedGroups(_Adapter):
    """Build an optimizer whose groups carry a flag: matrices with True, all else with False.

    For Muon with an auxiliary Adam (Jordan et al. 2024) and its relatives. Where the constructor
    takes nothing but the groups, the hyperparameters are those that it fills in: of the matrices'
    group by their names; of the other group too, with ``aux_`` before those that both have. The
    auxiliary learning rate follows ``lr`` in the proportion of the two defaults unless it is given.

    Parameters
    ----------
    cls : type
        Called as ``cls(groups, **hyperparameters)``.
    flag : str
        Key of the flag in a group.
    """

    __wrapped__: type
    flag: str = "use_muon"
    _filled_in: tuple[Mapping[str, Any], Mapping[str, Any]] = field(
        default=({}, {}), init=False, repr=False
    )

    def __post_init__(self) -> None:
        arguments = list(inspect.signature(self.__wrapped__).parameters.values())[1:]
        if not arguments:
            matrix, vector = nn.Parameter(torch.zeros(2, 2)), nn.Parameter(torch.zeros(2))
            made = self.__wrapped__(
                [{"params": [matrix], self.flag: True}, {"params": [vector], self.flag: False}]
            )
            filled = [
                {k: v for k, v in group.items() if k not in ("params", self.flag)}
                for group in made.param_groups
            ]
            object.__setattr__(self, "_filled_in", tuple(filled))
            own, auxiliary = filled
            values = {
                **own,
                **{k: v for k, v in auxiliary.items() if k not in own},
                **{f"aux_{k}": None if k == "lr" else v for k, v in auxiliary.items() if k in own},
            }
            arguments = [
                Parameter(name, Parameter.KEYWORD_ONLY, default=v) for name, v in values.items()
            ]
        self._sign(arguments)

    def __call__(self, named_parameters: Named, **settings: Any) -> Any:
        """Give the optimizer over flagged groups."""
        matrices = [p for _, p in named_parameters if p.ndim >= 2]
        others = [p for _, p in named_parameters if p.ndim < 2]
        groups = [
            {"params": params, self.flag: flag}
            for params, flag in ((matrices, True), (others, False))
            if params
        ]
        own, auxiliary = self._filled_in
        if not own:
            return self.__wrapped__(groups, **settings)
        proportion = auxiliary["lr"] / own["lr"] if "lr" in own and "lr" in auxiliary else 1.0
        for group in groups:
            if group[self.flag]:
                group.update({k: v for k, v in settings.items() if k in own})
                continue
            group.update({k: v for k, v in settings.items() if k in auxiliary and k not in own})
            prefixed = {k: settings[f"aux_{k}"] for k in auxiliary if f"aux_{k}" in settings}
            if prefixed.get("lr") is None and "lr" in settings and "lr" in auxiliary:
                prefixed["lr"] = settings["lr"] * proportion
            group.update({k: v for k, v in prefixed.items() if v is not None})
        return self.__wrapped__(groups)


@dataclass(frozen=True, eq=False)
class Wrapping(_Adapter):
    """Build an optimizer that wraps another one: SAM, Lookahead, a schedule-free wrapper.

    ``base_optimizer`` names the class of the wrapped one; ``lr`` and all that the wrapper does not
    take itself go to it.

    Parameters
    ----------
    cls : type
        Takes an instance of the wrapped optimizer, or its class and keyword arguments.
    takes : str
        Name of the parameter that takes it.
    """

    __wrapped__: type
    takes: str

    def __post_init__(self) -> None:
        arguments = list(inspect.signature(self.__wrapped__).parameters.values())
        own = [p for p in arguments[1:] if p.name not in (self.takes, "lr")]
        own = [p for p in own if p.kind is not p.VAR_KEYWORD]
        kind = Parameter.KEYWORD_ONLY
        extra = [
            Parameter(BASE, kind, annotation=str),
            Parameter("lr", kind, default=1e-3, annotation=float),
        ]
        rest = Parameter("base_hyperparameters", Parameter.VAR_KEYWORD)
        self._sign([*extra, *own, rest])

    def __call__(self, named_parameters: Named, **settings: Any) -> Any:
        """Give the wrapper around a fresh instance of the base, or around its class."""
        arguments = inspect.signature(self.__wrapped__).parameters
        given = settings.pop(self.takes, None)
        base = base_class(settings.pop(BASE, given))
        params = [parameter for _, parameter in named_parameters]
        own = {name: settings.pop(name) for name in list(settings) if name in arguments}
        for_base = settings
        if "lr" in own and "lr" in inspect.signature(base).parameters:
            for_base = {"lr": own["lr"], **settings}
        if "lr" in settings and "lr" not in inspect.signature(base).parameters:
            for_base = {k: v for k, v in settings.items() if k != "lr"}
        first = [] if next(iter(arguments)) == self.takes else [params]
        try:
            return self.__wrapped__(*first, **{self.takes: base(params, **for_base)}, **own)
        except TypeError as error:
            # It wants the class; what goes wrong with that too is the better message.
            if first and any(p.kind is p.VAR_KEYWORD for p in arguments.values()):
                return self.__wrapped__(params, **{self.takes: base}, **own, **settings)
            raise error


class NoBase(TypeError):
    """A wrapper was not told what to wrap; the text says how to."""


def base_class(named: Any) -> Callable[..., Any]:
    """Give the class that a text such as ``torch.optim:SGD`` names.

    Raises
    ------
    NoBase
        Where none is named.
    UnknownName
        Where it cannot be imported.
    """
    if inspect.isclass(named):
        return named
    if not isinstance(named, str) or ":" not in named:
        what = "" if named is None else f" (module:Class, with a colon), not {named!r}"
        raise NoBase(f"wraps another optimizer: --set {BASE}=torch.optim:SGD names its class{what}")
    found: Callable[..., Any] = import_attribute(named)
    return found


@dataclass(frozen=True, eq=False)
class OfModel(_Adapter):
    """Build an optimizer whose constructor takes the model itself.

    It is given a module that holds the parameters under their names; the module has no ``forward``.
    """

    __wrapped__: type

    def __post_init__(self) -> None:
        self._sign(list(inspect.signature(self.__wrapped__).parameters.values())[1:])

    def __call__(self, named_parameters: Named, **settings: Any) -> Any:
        """Give the optimizer of a module with these parameters."""
        model = nn.Module()
        for name, parameter in named_parameters:
            *path, last = name.split(".")
            owner = model
            for part in path:
                if part not in dict(owner.named_children()):
                    owner.add_module(part, nn.Module())
                owner = owner.get_submodule(part)
            owner.register_parameter(last, parameter)
        return self.__wrapped__(model, **settings)


PARAMETERS, MODEL = frozenset(("params", "parameters")), frozenset(("model", "module"))
"""Names of a constructor's parameter for the parameters, and for the model."""


def wants_parameters_and_model(factory: Callable[..., Any]) -> bool:
    """Whether a class must be given both, as no adapter does."""
    cls = inspect.unwrap(factory)
    arguments = inspect.signature(cls).parameters.values()
    demanded = {p.name for p in arguments if p.default is p.empty}
    return inspect.isclass(cls) and bool(demanded & PARAMETERS) and bool(demanded & MODEL)


def adapted(cls: type) -> Callable[..., Any]:
    """Give the class itself, or the adapter that its constructor needs.

    An optimizer to wrap is known by the signature. The others are found by trying, on a small
    matrix and at the constructor's own defaults: parameters first, then flagged groups, then the
    model. A class that none of them can construct is given back as it is, for its refusal of
    parameters says most.
    """
    arguments = inspect.signature(cls).parameters
    wrapped = next((p.name for p in arguments.values() if _takes_an_optimizer(p)), None)
    if wrapped is not None:
        return Wrapping(cls, wrapped)
    if is_builder(cls) or constructs(cls) or constructs(cls, lr=1e-3):
        return cls
    for adapter in (FlaggedGroups, OfModel):
        # Whatever a constructor raises, it is not to be constructed so.
        with contextlib.suppress(Exception, SystemExit):
            built: Callable[..., Any] = adapter(cls)
            if constructs(built):
                return built
    return cls


def _takes_an_optimizer(parameter: Parameter) -> bool:
    if parameter.default is not parameter.empty or parameter.kind is parameter.VAR_KEYWORD:
        return False
    named = "optim" in parameter.name or parameter.name == "base"
    annotation = parameter.annotation
    text = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", "")
    return named or text == "Optimizer"


def constructs(factory: Callable[..., Any], **settings: Any) -> bool:
    """Whether a factory makes something of a small matrix with these hyperparameters."""
    try:
        construct(factory, torch_names([nn.Parameter(torch.zeros(2, 2))]), settings)
    # A constructor is anybody's code: whatever it raises is its refusal.
    except (Exception, SystemExit):  # noqa: BLE001
        return False
    return True


HESSIAN_EVERY = 10
"""Steps between two estimates of the Hessian's diagonal (Liu et al. 2023, Sophia, section 2.1)."""


def hook_of(cls: Any) -> BeforeStep | None:
    """Give the hook that a class asks for by a method which training loops have to call.

    Known so far: ``update_hessian()`` (Sophia), every `HESSIAN_EVERY` steps. It squares the
    gradients that are there: those of the batch, in place of ones on labels drawn from the model.
    """
    if callable(getattr(cls, "update_hessian", None)):
        return _update_hessian
    return None


def _update_hessian(optimizer: Any, step: int) -> None:
    if step % HESSIAN_EVERY == 0:
        optimizer.update_hessian()
