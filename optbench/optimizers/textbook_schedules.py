"""Learning-rate schedules of torch as closed forms in NumPy, independent of torch's recurrences.

Each is a function of the initial rate of a group, the numbers of the steps, and the arguments of
the scheduler in `torch.optim.lr_scheduler`; it returns the rates of the group, in float64.
"""

from __future__ import annotations

import bisect
import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from torch.optim import lr_scheduler

Formula = Callable[..., np.ndarray]
"""``formula(initial, steps, **arguments)``: [steps]."""


def multiplied_by_a_function(
    initial: float, steps: np.ndarray, *, lr_lambda: Callable[[int], float], **_: Any
) -> np.ndarray:
    """Multiply the initial rate by a function of the step."""
    return initial * np.array([lr_lambda(int(step)) for step in steps])


def product_of_a_function(
    initial: float, steps: np.ndarray, *, lr_lambda: Callable[[int], float], **_: Any
) -> np.ndarray:
    """Multiply the initial rate by a function of every step up to this one."""
    factors = [1.0, *(lr_lambda(int(step)) for step in steps[1:])]
    return initial * np.cumprod(factors)


def every_so_often(
    initial: float, steps: np.ndarray, *, step_size: int, gamma: float, **_: Any
) -> np.ndarray:
    """Decay by ``gamma`` every ``step_size`` steps."""
    return np.asarray(initial * gamma ** (steps // step_size).astype(float))


def at_milestones(
    initial: float, steps: np.ndarray, *, milestones: Sequence[int], gamma: float, **_: Any
) -> np.ndarray:
    """Decay by ``gamma`` at each milestone."""
    ordered = sorted(milestones)
    return initial * np.array([gamma ** bisect.bisect_right(ordered, step) for step in steps])


def constant(
    initial: float, steps: np.ndarray, *, factor: float, total_iters: int, **_: Any
) -> np.ndarray:
    """Multiply by ``factor`` for the first steps."""
    return initial * np.where(steps < total_iters, factor, 1.0)


def linear(
    initial: float,
    steps: np.ndarray,
    *,
    start_factor: float,
    end_factor: float,
    total_iters: int,
    **_: Any,
) -> np.ndarray:
    """Multiply by a factor that goes from one to another in a straight line."""
    share = np.minimum(steps, total_iters) / total_iters
    return np.asarray(initial * (start_factor + (end_factor - start_factor) * share))


def exponential(initial: float, steps: np.ndarray, *, gamma: float, **_: Any) -> np.ndarray:
    """Decay by ``gamma`` every step."""
    return np.asarray(initial * gamma ** steps.astype(float))


def cosine(
    initial: float, steps: np.ndarray, *, T_max: float, eta_min: float, **_: Any
) -> np.ndarray:
    """Anneal along half a cosine, and back (Loshchilov and Hutter 2017, equation 5)."""
    return eta_min + (initial - eta_min) * (1 + np.cos(np.pi * steps / T_max)) / 2


def cosine_with_restarts(
    initial: float, steps: np.ndarray, *, T_0: int, T_mult: int, eta_min: float, **_: Any
) -> np.ndarray:
    """Anneal along half a cosine again and again (Loshchilov and Hutter 2017, section 3)."""
    rates = []
    begin, length = 0, T_0
    for step in steps:
        while step - begin >= length:
            begin, length = begin + length, length * T_mult
        share = (step - begin) / length
        rates.append(eta_min + (initial - eta_min) * (1 + math.cos(math.pi * share)) / 2)
    return np.array(rates)


def polynomial(
    initial: float, steps: np.ndarray, *, total_iters: int, power: float, **_: Any
) -> np.ndarray:
    """Decay by a power of the steps that are left."""
    return np.asarray(initial * (1 - np.minimum(steps, total_iters) / total_iters) ** power)


def cyclic(
    initial: float, steps: np.ndarray, *, base_lr: float, max_lr: float, **how: Any
) -> np.ndarray:
    """Rise and fall in straight lines, again and again (Smith 2017, section 3.2)."""
    return base_lr + (max_lr - base_lr) * _cycle_heights(steps, **how)


def cyclic_momentum(
    initial: float,
    steps: np.ndarray,
    *,
    cycle_momentum: bool,
    base_momentum: float,
    max_momentum: float,
    **how: Any,
) -> np.ndarray:
    """Fall where `cyclic` rises."""
    if not cycle_momentum:
        return np.full(len(steps), initial)
    return max_momentum - (max_momentum - base_momentum) * _cycle_heights(steps, **how)


def _cycle_heights(
    steps: np.ndarray,
    *,
    step_size_up: float,
    step_size_down: float | None,
    mode: str,
    gamma: float,
    scale_fn: Callable[[float], float] | None,
    scale_mode: str,
    **_: Any,
) -> np.ndarray:
    up = step_size_up
    down = up if step_size_down is None else step_size_down
    found = []
    for step in steps:
        cycle, within = divmod(float(step), up + down)
        triangle = within / up if within <= up else (up + down - within) / down
        if scale_fn is not None:
            scale = scale_fn(cycle + 1 if scale_mode == "cycle" else float(step))
        else:
            scale = {"triangular": 1.0, "triangular2": 0.5**cycle, "exp_range": gamma**step}[mode]
        found.append(triangle * scale)
    return np.array(found)


def one_cycle(
    initial: float,
    steps: np.ndarray,
    *,
    max_lr: float,
    div_factor: float,
    final_div_factor: float,
    three_phase: bool,
    **how: Any,
) -> np.ndarray:
    """Rise to the largest rate and fall far below the first one (Smith and Topin 2018)."""
    first = max_lr / div_factor
    last = first / final_div_factor
    ends = (first, max_lr, first, last) if three_phase else (first, max_lr, last)
    return _in_phases(steps, ends, three_phase=three_phase, **how)


def one_cycle_momentum(
    initial: float,
    steps: np.ndarray,
    *,
    cycle_momentum: bool,
    base_momentum: float,
    max_momentum: float,
    three_phase: bool,
    **how: Any,
) -> np.ndarray:
    """Fall where `one_cycle` rises."""
    if not cycle_momentum:
        return np.full(len(steps), initial)
    ends = (max_momentum, base_momentum, max_momentum, *([max_momentum] if three_phase else ()))
    return _in_phases(steps, ends, three_phase=three_phase, **how)


def _in_phases(
    steps: np.ndarray,
    ends: Sequence[float],
    *,
    total_steps: int | None,
    epochs: int | None,
    steps_per_epoch: int | None,
    pct_start: float,
    anneal_strategy: str,
    three_phase: bool,
    **_: Any,
) -> np.ndarray:
    if total_steps is None:
        assert epochs is not None
        assert steps_per_epoch is not None
        total_steps = epochs * steps_per_epoch
    rise = pct_start * total_steps - 1
    borders = [0.0, rise, *([2 * rise] if three_phase else ()), total_steps - 1]
    found = []
    for step in steps:
        phase = next(k for k, end in enumerate(borders[1:]) if step <= end or k == len(borders) - 2)
        share = (step - borders[phase]) / (borders[phase + 1] - borders[phase])
        if anneal_strategy == "cos":
            share = (1 - math.cos(math.pi * share)) / 2
        found.append(ends[phase] + (ends[phase + 1] - ends[phase]) * share)
    return np.array(found)


def on_a_plateau(
    initial: float,
    steps: np.ndarray,
    *,
    metrics: Sequence[float],
    mode: str,
    factor: float,
    patience: int,
    threshold: float,
    threshold_mode: str,
    cooldown: int,
    min_lr: float,
    eps: float,
    **_: Any,
) -> np.ndarray:
    """Decay by ``factor`` where a metric was no better for more than ``patience`` steps."""
    sign = 1.0 if mode == "min" else -1.0
    best = math.inf
    rate, waited, resting = initial, 0, 0
    rates = [rate]
    for metric in metrics[: len(steps) - 1]:
        slack = threshold if threshold_mode == "abs" else threshold * abs(best)
        if sign * metric < best - (slack if math.isfinite(best) else 0.0):
            best, waited = sign * metric, 0
        else:
            waited += 1
        if resting:
            resting, waited = resting - 1, 0
        if waited > patience:
            lower = max(rate * factor, min_lr)
            rate = lower if rate - lower > eps else rate
            waited, resting = 0, cooldown
        rates.append(rate)
    return np.array(rates)


def in_sequence(
    initial: float,
    steps: np.ndarray,
    *,
    schedulers: Any,
    milestones: Sequence[int],
    **_: Any,
) -> np.ndarray:
    """Follow one schedule until a milestone, and from there on another from its beginning."""
    rates = np.empty(len(steps))
    begins = (0, *milestones)
    for k, (name, arguments) in enumerate(schedulers.makers):
        end = begins[k + 1] if k + 1 < len(begins) else len(steps)
        length = np.arange(end - begins[k])
        rates[begins[k] : end] = _of_torch(name, initial, length, dict(arguments))
    return rates


def multiplied(initial: float, steps: np.ndarray, *, schedulers: Any, **_: Any) -> np.ndarray:
    """Multiply the factors of all schedules."""
    paths = [_of_torch(name, initial, steps, dict(more)) for name, more in schedulers.makers]
    return np.asarray(initial * np.prod([path / initial for path in paths], axis=0))


def _of_torch(
    name: str, initial: float, steps: np.ndarray, arguments: Mapping[str, Any]
) -> np.ndarray:
    cls = getattr(lr_scheduler, name)
    return evaluate(RATES[cls], cls, initial, 0, steps, arguments)


RATES: Mapping[type, Formula] = {
    lr_scheduler.LambdaLR: multiplied_by_a_function,
    lr_scheduler.MultiplicativeLR: product_of_a_function,
    lr_scheduler.StepLR: every_so_often,
    lr_scheduler.MultiStepLR: at_milestones,
    lr_scheduler.ConstantLR: constant,
    lr_scheduler.LinearLR: linear,
    lr_scheduler.ExponentialLR: exponential,
    lr_scheduler.CosineAnnealingLR: cosine,
    lr_scheduler.CosineAnnealingWarmRestarts: cosine_with_restarts,
    lr_scheduler.PolynomialLR: polynomial,
    lr_scheduler.CyclicLR: cyclic,
    lr_scheduler.OneCycleLR: one_cycle,
    lr_scheduler.ReduceLROnPlateau: on_a_plateau,
    lr_scheduler.SequentialLR: in_sequence,
    lr_scheduler.ChainedScheduler: multiplied,
}
"""The rate of each scheduler that has a formula."""

MOMENTA: Mapping[type, Formula] = {
    lr_scheduler.CyclicLR: cyclic_momentum,
    lr_scheduler.OneCycleLR: one_cycle_momentum,
}
"""The momentum of those that set one."""


def evaluate(
    formula: Formula,
    cls: type,
    initial: float,
    group: int,
    steps: np.ndarray,
    arguments: Mapping[str, Any],
    **more: Any,
) -> np.ndarray:
    """Return what a scheduler of these arguments sets in a group: [steps].

    Parameters
    ----------
    formula : callable
    cls : type
        The scheduler, whose defaults hold for arguments that are not given.
    initial : float
        What the group began with.
    group : int
        Its number, where an argument is a list of one value a group.
    steps : array of int
    arguments : mapping
        Of the constructor, beside the optimizer.
    """
    declared = inspect.signature(cls).parameters
    every = {name: p.default for name, p in declared.items()} | dict(arguments)
    every.pop("optimizer", None)
    every = {
        name: value[group] if isinstance(value, list) and name != "milestones" else value
        for name, value in every.items()
    }
    return formula(initial, steps, **every, **more)
