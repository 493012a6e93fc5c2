"""Learning-rate schedulers: how one is built, and what it sets in each scenario."""

from __future__ import annotations

import copy
import functools
import inspect
import io
import itertools
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any, TypeGuard

import numpy as np
import torch
from torch.optim.lr_scheduler import ChainedScheduler, LRScheduler, ReduceLROnPlateau

from optbench.plain_text import printable
from optbench.scenarios.outcomes import NotApplicable
from optbench.scenarios.record import Observation, observed

STEPS = 16
"""Steps of the scheduler in each scenario."""

RATES = (0.1, 0.03)
"""Learning rates of two parameter groups."""

MOMENTUM, DECAY = 0.9, 0.01
"""Momentum (or first beta) and weight decay of both groups."""

COLUMNS = tuple(
    f"{name} of group {group}" for name in ("lr", "momentum", "weight decay") for group in (0, 1)
)
"""What is recorded after each step; the first beta where there is no momentum."""


def scheduler_classes(module: ModuleType) -> Iterator[tuple[str, type]]:
    """Yield the scheduler classes that a module exports: by ``__all__``, else by public names."""
    for name in getattr(module, "__all__", None) or sorted(vars(module)):
        value = getattr(module, name, None)
        if is_scheduler(value) and not inspect.isabstract(value) and name[0] != "_":
            yield name, value


def is_scheduler(value: object) -> TypeGuard[type[LRScheduler]]:
    """Whether it is a class of learning-rate schedulers, and not torch's base of all."""
    return inspect.isclass(value) and issubclass(value, LRScheduler) and value is not LRScheduler


def parameters_of(cls: type) -> dict[str, inspect.Parameter]:
    """Return the arguments of a constructor, and of its base's where it hands on what it gets."""
    found: dict[str, inspect.Parameter] = {}
    for each in cls.__mro__:
        if "__init__" not in vars(each):
            continue
        parameters = list(inspect.signature(vars(each)["__init__"]).parameters.values())[1:]
        named = [p for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
        found |= {p.name: p for p in named if p.name not in found}
        if not any(p.kind is p.VAR_KEYWORD for p in parameters):
            break
    return found


@dataclass(frozen=True)
class Parts:
    """Schedulers of torch over the one optimizer, as the argument of one that schedules others."""

    makers: tuple[tuple[str, tuple[tuple[str, Any], ...]], ...]

    def __call__(self, optimizer: torch.optim.Optimizer) -> list[LRScheduler]:
        """Construct them."""
        return [
            getattr(torch.optim.lr_scheduler, name)(optimizer, **dict(arguments))
            for name, arguments in self.makers
        ]

    def __repr__(self) -> str:
        return f"[{', '.join(name for name, _ in self.makers)}]"


PARTS: Mapping[str, tuple[tuple[str, Any], ...]] = {
    "ConstantLR": (("factor", 0.5), ("total_iters", 3)),
    "LinearLR": (("start_factor", 0.25), ("total_iters", 4)),
    "ExponentialLR": (("gamma", 0.9),),
    "StepLR": (("step_size", 3), ("gamma", 0.5)),
    "MultiStepLR": (("milestones", (2, 4, 7)), ("gamma", 0.5)),
    "CosineAnnealingLR": (("T_max", 2 * STEPS),),
    "CosineAnnealingWarmRestarts": (("T_0", 3),),
    "PolynomialLR": (("total_iters", 20), ("power", 2.0)),
}
"""Schedulers of torch that others are made of, with their arguments."""

PAIRS = tuple(
    Parts(((one, PARTS[one]), (other, PARTS[other])))
    for one, other in itertools.product(PARTS, repeat=2)
)


def _halved(step: int) -> float:
    return 0.5**step


CANDIDATES: tuple[Any, ...] = (4, 2 * STEPS, 7, 0.5, _halved, [3, 6], 0.2, [_halved] * 2, [5])
"""What is tried for an argument without a default."""

CANDIDATE_RATES = (0.02, 0.5)
"""What is tried for one that is a learning rate."""

LARGEST = 1e3
"""Learning rate below which arguments are taken to be sensible."""

LENGTHS = ("total_steps", "num_training_steps")
"""Arguments that are given also where they have a default, without which nothing is built."""

SHORT = 3
"""What is given for an integer default that is longer than half of the steps."""


class TriedScheduler:
    """A scheduler class with arguments that were found by trying.

    Attributes
    ----------
    name : str
        The target that names it, ``package.module:Class``.
    cls : type
    reference : TriedScheduler or None
        What the user named to compare with, with the same arguments.
    arguments : mapping
        Of the constructor, beside the optimizer.
    settings : mapping of str to mapping
        Those and others by a label: shorter ones, and each optional argument with another value.
    idle : tuple of str
        Optional arguments that change no learning rate, whatever they are.
    moves : bool
        Whether anything that is recorded changes under `arguments`.

    Raises
    ------
    ValueError
        Where no arguments were found that it takes.
    Exception
        Whatever its constructor raises where ``settings`` are given.
    """

    def __init__(
        self,
        cls: type,
        given: Mapping[str, Any] | None = None,
        name: str = "",
        settings: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        self.cls = cls
        self.name = name
        self.reference: TriedScheduler | None = None
        every = parameters_of(cls)
        compositions = (torch.optim.lr_scheduler.SequentialLR, ChainedScheduler)
        self.schedules_others = "schedulers" in every or issubclass(cls, compositions)
        over = "optimizer" if "optimizer" in every else next(iter(every), "")
        self.parameters = {name: p for name, p in every.items() if name != over}
        self.given = dict(given or {})
        self.settings: dict[str, Mapping[str, Any]] = dict(settings or {})
        self.idle: tuple[str, ...] = ()
        self.moves = True
        if settings is not None:
            self.arguments: Mapping[str, Any] = settings[""]
            self.build(optimizer_of_two_groups(), self.arguments)
            return
        found = self._find_arguments()
        self.arguments = found[0]
        self.settings[""] = self.arguments
        for other in found[1:]:
            self.settings[in_words(other, self.arguments)] = other
        if not self.schedules_others:
            self.idle = self._vary()
        elif {"schedulers", "milestones"} <= self.arguments.keys() and len(found) > 1:
            # The second schedule, which is another here, from the beginning on.
            at_once = {**found[1], "milestones": [0]}
            if self._path_if_taken(at_once) is not None:
                self.settings[in_words(at_once, self.arguments)] = at_once

    @property
    def factory(self) -> type:
        """What constructs it, as of a `Subject`."""
        return self.cls

    # ------------------------------------------------------------------ its arguments

    def _find_arguments(self) -> list[Mapping[str, Any]]:
        """Return arguments that it takes, the first that change the rates first."""
        required = [
            name
            for name, p in self.parameters.items()
            if name not in self.given and (name in LENGTHS or p.default is p.empty)
        ]
        shorter = {
            name: SHORT
            for name, p in self.parameters.items()
            if type(p.default) is int and p.default > STEPS // 2 and name not in self.given
        }
        taken: list[Mapping[str, Any]] = []
        moving: list[Mapping[str, Any]] = []
        refusal = "it takes no optimizer alone"
        # Lengths that are one say little of each other.
        choices = sorted(
            itertools.product(*(_choices(name) for name in required)),
            key=lambda values: len({*map(repr, values)}) < len(values),
        )
        for fixed, values in itertools.product([shorter, *([{}] if shorter else ())], choices):
            arguments = {**fixed, **self.given, **dict(zip(required, values, strict=True))}
            try:
                rates = self.path(arguments)
            except Exception as error:  # noqa: BLE001 - refusing is its right
                refusal = printable(f"{type(error).__name__}: {error}")
                continue
            taken.append(arguments)
            # A rate that explodes overflows on both sides, and hides what it was to show.
            if (rates != rates[0]).any() and rates.max() < LARGEST:
                moving.append(arguments)
                if len(moving) == (len(PAIRS) if "schedulers" in required else 2):
                    break
        self.moves = bool(moving)
        if not taken:
            raise ValueError(f"no arguments were found that it takes: {refusal}")
        return moving or taken[:1]

    def _vary(self) -> tuple[str, ...]:
        """Give each optional argument another value; return those that change nothing."""
        idle: dict[str, list[Any]] = {}
        for name, p in self.parameters.items():
            if name in {"last_epoch", "verbose", *self.given, *LENGTHS} or p.default is p.empty:
                continue
            values = self._accepted(name, p, self.arguments)
            if values and not self._has_effect(name, values, self.arguments):
                idle[name] = values
        # A switch may need company, as a factor does that only one mode reads.
        modes = [
            {**self.arguments, name: mode}
            for name, p in self.parameters.items()
            if isinstance(p.default, str)
            for mode in self._accepted(name, p, self.arguments)
        ]
        for company in [*self.settings.values(), *modes]:
            for name in list(idle):
                if name not in company and self._has_effect(name, idle[name], company):
                    del idle[name]
        # None stands for another argument, or for a function that takes its place.
        return tuple(name for name in idle if self.parameters[name].default is not None)

    def _accepted(
        self, name: str, parameter: inspect.Parameter, arguments: Mapping[str, Any]
    ) -> list[Any]:
        default = arguments.get(name, parameter.default)
        return [
            value
            for value in _others(default, str(parameter.annotation))
            if self._path_if_taken({**arguments, name: value}) is not None
        ]

    def _has_effect(self, name: str, values: list[Any], company: Mapping[str, Any]) -> bool:
        """Whether one of the values changes what is set beside ``company``: the first is kept."""
        plain = self.path(company)
        for value in values:
            arguments = {**company, name: value}
            rates = self._path_if_taken(arguments)
            if rates is not None and not np.array_equal(rates, plain):
                self.settings[in_words(arguments, self.arguments)] = arguments
                return True
        return False

    def _path_if_taken(self, arguments: Mapping[str, Any]) -> np.ndarray | None:
        try:
            rates = self.path(arguments)
        except Exception:  # noqa: BLE001 - refusing is its right
            return None
        return rates if np.isfinite(rates).all() and rates.max() < LARGEST else None

    # ------------------------------------------------------------------ what it sets

    def path(
        self,
        arguments: Mapping[str, Any] | None = None,
        *,
        steps: int = STEPS,
        groups: tuple[int, ...] = (0, 1),
        optimizer: str = "SGD",
        tensor: bool = False,
        resumed_at: int | None = None,
        last_epoch: int | None = None,
        saved_before: bool = False,
        before: Callable[[torch.optim.Optimizer, LRScheduler], LRScheduler] | None = None,
        step: Callable[[LRScheduler, int], None] | None = None,
    ) -> np.ndarray:
        """Return what is in the groups at the start and after each step: [1 + steps, columns].

        Parameters
        ----------
        arguments : mapping, optional
            Of the constructor, in place of `arguments`.
        steps : int
        groups : tuple of int
            Of the two parameter groups, those that there are.
        optimizer : str
            A class of torch.optim.
        tensor : bool
            Rates are tensors.
        resumed_at : int, optional
            Scheduler and optimizer are saved before this step, and loaded into new ones.
        last_epoch : int, optional
            After this step the optimizer alone is saved, and loaded into a new one, over which a
            scheduler is constructed with this ``last_epoch``.
        saved_before : bool
            It is saved before the scheduler's step, not after it.
        before : callable, optional
            ``before(optimizer, scheduler)``: a scheduler of it.
        step : callable, optional
            ``step(scheduler, number)``: how a step is taken.
        """
        arguments = self.arguments if arguments is None else arguments
        wrapped = before or (lambda _, scheduler: scheduler)
        made = optimizer_of_two_groups(optimizer, groups, tensor)
        scheduler = wrapped(made, self.build(made, arguments))
        seen = [_set_in(made)]
        made.step()  # or the scheduler warns that it is stepped first
        for number in range(steps):
            if number == resumed_at:
                states = saved(made.state_dict()), saved(scheduler.state_dict())
                made = optimizer_of_two_groups(optimizer, groups, tensor)
                scheduler = wrapped(made, self.build(made, arguments))
                made.load_state_dict(states[0])
                scheduler.load_state_dict(states[1])
            if number != last_epoch or not saved_before:
                (step or take_step)(scheduler, number)
            if number == last_epoch:
                state = saved(made.state_dict())
                made = optimizer_of_two_groups(optimizer, groups, tensor)
                made.load_state_dict(state)
                scheduler = wrapped(made, self.build(made, {**arguments, "last_epoch": number}))
            seen.append(_set_in(made))
        return np.array(seen)

    def build(self, optimizer: torch.optim.Optimizer, arguments: Mapping[str, Any]) -> LRScheduler:
        """Construct the scheduler over an optimizer."""
        given = {
            # What a constructor does to a list of its caller's is not to reach the next one.
            name: value(optimizer) if isinstance(value, Parts) else copy.copy(value)
            for name, value in arguments.items()
        }
        # ChainedScheduler takes those that it chains, which know the optimizer.
        first = next(iter(parameters_of(self.cls)), "")
        made: LRScheduler
        made = self.cls(**given) if first == "schedulers" else self.cls(optimizer, **given)
        return made

    def shared_with(self, other: type, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Return those arguments that another class takes as well, with this one's defaults."""
        defaults = {
            name: p.default
            for name, p in self.parameters.items()
            if p.default is not p.empty and name != "last_epoch"
        }
        taken = parameters_of(other)
        return {k: v for k, v in {**defaults, **arguments}.items() if k in taken}

    def last_rates(self) -> np.ndarray:
        """Return what ``get_last_lr()`` says after each step: [steps, groups]."""
        seen: list[list[float]] = []

        def step(scheduler: LRScheduler, number: int) -> None:
            take_step(scheduler, number)
            seen.append([float(rate) for rate in scheduler.get_last_lr()])

        self.path(step=step)
        return np.array(seen)

    def handling_of_tensor_rates(self) -> str:
        """Say whether a rate that is a tensor is "changed in place" or "replaced"."""
        kept: list[tuple[torch.optim.Optimizer, list[Any]]] = []

        def look(optimizer: torch.optim.Optimizer, scheduler: LRScheduler) -> LRScheduler:
            kept.append((optimizer, [group["lr"] for group in optimizer.param_groups]))
            return scheduler

        self.path(tensor=True, before=look)
        optimizer, before = kept[0]
        now = [group["lr"] for group in optimizer.param_groups]
        same = all(rate is tensor for rate, tensor in zip(now, before, strict=True))
        return "changed in place" if same else "replaced"

    def takes(self, name: str) -> bool:
        """Whether the constructor has such an argument."""
        return name in self.parameters


def _choices(name: str) -> tuple[Any, ...]:
    """Return values to try for an argument without a default."""
    if name == "schedulers":
        return PAIRS
    return CANDIDATE_RATES if name.endswith("lr") else CANDIDATES


def _others(default: Any, annotation: str) -> list[Any]:
    """Return values to try in place of a default."""
    if isinstance(default, bool):
        return [not default]
    if isinstance(default, int):
        return [default + 1, 2 * default + 2, SHORT + 2]
    if isinstance(default, float):
        others = (default / 2, 2 * default, 0.02, 0.5, 1.0)
        return [value for value in others if value != default]
    if isinstance(default, str):
        return [v for v in re.findall(r"['\"](\w+)['\"]", annotation) if v != default]
    return list(CANDIDATES) if default is None else []


def in_words(arguments: Mapping[str, Any], plain: Mapping[str, Any] | None = None) -> str:
    """Name what sets arguments apart from the plain ones."""
    shown = {k: v for k, v in arguments.items() if plain is None or plain.get(k) is not v}
    return ", ".join(f"{k}={getattr(v, '__name__', v)}" for k, v in shown.items())


def optimizer_of_two_groups(
    name: str = "SGD", groups: tuple[int, ...] = (0, 1), tensor: bool = False
) -> torch.optim.Optimizer:
    """Construct an optimizer of torch with groups of the rates `RATES` and a momentum of 0.9."""
    rates = [torch.tensor(rate, dtype=torch.float64) if tensor else rate for rate in RATES]
    # Without gradients: only the groups are looked at.
    params = [{"params": [torch.nn.Parameter(torch.ones(1))], "lr": rates[k]} for k in groups]
    more: dict[str, Any] = {"momentum": MOMENTUM} if name == "SGD" else {}
    more["weight_decay"] = DECAY
    made: torch.optim.Optimizer = getattr(torch.optim, name)(params, lr=RATES[0], **more)
    return made


def _set_in(optimizer: torch.optim.Optimizer) -> list[float]:
    rates = [float(group["lr"]) for group in optimizer.param_groups]
    momenta = [
        float(group["momentum"] if "momentum" in group else group["betas"][0])
        for group in optimizer.param_groups
    ]
    return rates + momenta + [float(group["weight_decay"]) for group in optimizer.param_groups]


METRICS = (1.0, 0.8, 0.6, 0.59999, 0.59998, 0.59997, 0.59996, 0.59995, 0.7, 0.8, 0.5)
"""A metric at each step, which improves much, a little, and not at all; the last stays."""

METRIC_NAMES = ("metrics", "metric", "loss", "val_loss")
"""What the argument of a step is called that is a metric."""


def metric_of(step: int) -> float:
    """Return the metric that a scheduler is given at a step."""
    return METRICS[min(step, len(METRICS) - 1)]


def takes_a_metric(cls: type) -> bool:
    """Whether a scheduler's step is given a metric, as that of ReduceLROnPlateau is."""
    first = _first_argument(cls.step)  # type: ignore[attr-defined]
    return issubclass(cls, ReduceLROnPlateau) or first in METRIC_NAMES


@functools.cache
def _first_argument(method: Callable[..., Any]) -> str:
    # Read once: it is asked for at every step.
    return next(iter([*inspect.signature(method).parameters][1:]), "")


def take_step(scheduler: Any, step: int) -> None:
    """Step a scheduler as a training loop does."""
    if takes_a_metric(type(scheduler)):
        scheduler.step(metric_of(step))
    else:
        scheduler.step()


def saved(state: dict[str, Any], *, weights_only: bool = False) -> dict[str, Any]:
    """Return a state as ``torch.save`` and ``torch.load`` give it back."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    buffer.seek(0)
    loaded: dict[str, Any] = torch.load(buffer, weights_only=weights_only)
    return loaded


def constant_over(optimizer: torch.optim.Optimizer) -> LRScheduler:
    """Construct a scheduler that leaves the rates as they are."""
    return torch.optim.lr_scheduler.ConstantLR(optimizer, factor=1.0, total_iters=1)


def with_a_constant(optimizer: torch.optim.Optimizer, scheduler: LRScheduler) -> LRScheduler:
    """Chain a scheduler with a constant one."""
    if takes_a_metric(type(scheduler)):
        raise NotApplicable("its step takes a metric, which torch's compositions do not give")
    return ChainedScheduler([scheduler, constant_over(optimizer)])


def observe_scheduler(scheduler: TriedScheduler) -> dict[str, Observation]:
    """Return what is set in each scenario; where the scheduler raises, that is what is observed."""
    ways: dict[str, Mapping[str, Any]] = {
        "": {},
        ", which are tensors": {"tensor": True},
        " and betas of Adam": {"optimizer": "Adam"},
        ", chained": {"before": with_a_constant},
        **{f", resumed after step {step}": {"resumed_at": step} for step in range(STEPS)},
    }
    if scheduler.takes("last_epoch"):
        ways |= {
            f", constructed with last_epoch={k}{', saved before its step' if early else ''}": {
                "last_epoch": k,
                "saved_before": early,
            }
            for early in (False, True)
            for k in range(STEPS)
        }
    scenarios: dict[str, Callable[[], Observation]] = {
        f"the learning rates{way}{f'; {label}' if label else ''}": functools.partial(
            scheduler.path, arguments, **how
        )
        for label, arguments in scheduler.settings.items()
        for way, how in ways.items()
        # Of pairs there are many, and each scheduler of torch is looked at by itself as well.
        if not (scheduler.schedules_others and label)
        or way in ("", f", resumed after step {SHORT}")
    }
    scenarios["get_last_lr() after each step"] = scheduler.last_rates
    scenarios["a learning rate that is a tensor"] = scheduler.handling_of_tensor_rates
    return observed(scenarios)
