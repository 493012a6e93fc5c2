"""Learning-rate schedulers: how one is built, and the rates that it sets in each scenario."""

from __future__ import annotations

import functools
import inspect
import itertools
from collections.abc import Callable, Iterator, Mapping
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch.optim.lr_scheduler import LRScheduler

from optbench.plain_text import printable
from optbench.scenarios.record import Observation, observed

STEPS = 16
"""Steps of the scheduler in each scenario."""

RATES = (0.1, 0.03)
"""Learning rates of two parameter groups."""


def scheduler_classes(module: ModuleType) -> Iterator[tuple[str, type]]:
    """Yield the scheduler classes that a module exports: by ``__all__``, else by public names."""
    for name in getattr(module, "__all__", None) or sorted(vars(module)):
        value = getattr(module, name, None)
        if not inspect.isclass(value) or not issubclass(value, LRScheduler):
            continue
        if value is not LRScheduler and not inspect.isabstract(value) and name[0] != "_":
            yield name, value


def _halved(step: int) -> float:
    return 0.5**step


CANDIDATES: tuple[Any, ...] = (2 * STEPS, 4, 0.5, _halved, [3, 6], 0.2, [_halved, _halved])
"""What is tried for an argument without a default."""

LARGEST = 1e3
"""Learning rate below which arguments are taken to be sensible."""

LENGTHS = ("total_steps", "num_training_steps")
"""Arguments that are given also where they have a default, without which nothing is built."""


class TriedScheduler:
    """A scheduler class with arguments that were found by trying.

    Raises
    ------
    ValueError
        Where no arguments were found that it takes.
    """

    def __init__(self, cls: Callable[..., Any]) -> None:
        self.cls = cls
        parameters = list(inspect.signature(cls).parameters.items())[1:]
        required = [
            name
            for name, p in parameters
            if name in LENGTHS
            or (p.default is p.empty and p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY))
        ]
        taken: list[dict[str, Any]] = []
        refusal = "it takes no optimizer alone"
        for values in itertools.product(CANDIDATES, repeat=len(required)):
            arguments = dict(zip(required, values, strict=True))
            self.arguments = arguments
            try:
                rates = self.rates()
            except Exception as error:  # noqa: BLE001 - refusing is its right
                refusal = printable(f"{type(error).__name__}: {error}")
                continue
            taken.append(arguments)
            # A rate that explodes overflows on both sides, and hides what it was to show.
            if (rates != rates[0]).any() and rates.max() < LARGEST:
                return
        if not taken:
            raise ValueError(f"no arguments were found that it takes: {refusal}")
        self.arguments = taken[0]

    def rates(
        self,
        *,
        tensor: bool = False,
        resumed_at: int | None = None,
        last_epoch: int | None = None,
        chained: bool = False,
    ) -> np.ndarray:
        """Return the rates of both groups at the start and after each step: [1 + STEPS, 2].

        ``tensor``: rates are tensors. ``resumed_at``: scheduler and optimizer are saved then, and
        loaded into new ones. ``last_epoch``: it is constructed with it, as in mid-training.
        ``chained``: with a scheduler that leaves the rates as they are.
        """
        optimizer = _optimizer(tensor)
        if last_epoch is not None:
            for group, rate in zip(optimizer.param_groups, RATES, strict=True):
                group["initial_lr"] = rate
        scheduler = self._made(optimizer, last_epoch, chained)
        seen = [_rates_of(optimizer)]
        for step in range(STEPS):
            if step == resumed_at:
                states = optimizer.state_dict(), scheduler.state_dict()
                optimizer = _optimizer(tensor)
                scheduler = self._made(optimizer, last_epoch, chained)
                optimizer.load_state_dict(states[0])
                scheduler.load_state_dict(states[1])
            optimizer.step()
            _step(scheduler, step)
            seen.append(_rates_of(optimizer))
        return np.array(seen)

    def _made(self, optimizer: Any, last_epoch: int | None, chained: bool) -> Any:
        arguments = dict(self.arguments)
        if last_epoch is not None:
            arguments["last_epoch"] = last_epoch
        scheduler = self.cls(optimizer, **arguments)
        if not chained:
            return scheduler
        constant = torch.optim.lr_scheduler.ConstantLR(optimizer, factor=1.0, total_iters=1)
        return torch.optim.lr_scheduler.ChainedScheduler([scheduler, constant])


def _optimizer(tensor: bool) -> torch.optim.Optimizer:
    params = [torch.nn.Parameter(torch.ones(2)) for _ in RATES]
    for parameter in params:
        parameter.grad = torch.zeros(2)
    rates = [torch.tensor(rate, dtype=torch.float64) if tensor else rate for rate in RATES]
    groups = [{"params": [p], "lr": rate} for p, rate in zip(params, rates, strict=True)]
    return torch.optim.SGD(groups, lr=RATES[0], momentum=0.9)


def _rates_of(optimizer: torch.optim.Optimizer) -> list[float]:
    return [float(group["lr"]) for group in optimizer.param_groups]


def _step(scheduler: Any, step: int) -> None:
    if isinstance(scheduler, torch.optim.lr_scheduler.ReduceLROnPlateau):
        # A metric that stops getting better half way.
        scheduler.step(max(1.0 - 0.2 * step, 0.4))
    else:
        scheduler.step()


def observe_scheduler(scheduler: TriedScheduler) -> dict[str, Observation]:
    """Return the rates in each scenario; where the scheduler raises, that is what is observed."""
    scenarios: Mapping[str, Callable[[], Observation]] = {
        "the learning rates": scheduler.rates,
        "the learning rates, which are tensors": functools.partial(scheduler.rates, tensor=True),
        "the learning rates, constructed with last_epoch=3": functools.partial(
            scheduler.rates, last_epoch=3
        ),
        "the learning rates, chained": functools.partial(scheduler.rates, chained=True),
        **{
            f"the learning rates, resumed after step {step}": functools.partial(
                scheduler.rates, resumed_at=step
            )
            for step in range(STEPS)
        },
    }
    return observed(scenarios)
