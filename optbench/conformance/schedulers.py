"""Checks of learning-rate schedulers: what they set, and that they go on where they were."""

from __future__ import annotations

import copy
import inspect
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch.optim.lr_scheduler import ChainedScheduler, LRScheduler

from optbench.optimizers import textbook_schedules as textbook
from optbench.scenarios.outcomes import Advice, CheckFailed, NotApplicable
from optbench.scenarios.schedulers import (
    COLUMNS,
    DECAY,
    MOMENTUM,
    RATES,
    STEPS,
    TriedScheduler,
    constant_over,
    in_words,
    metric_of,
    optimizer_of_two_groups,
    saved,
    take_step,
    takes_a_metric,
    with_a_constant,
)

BOUND = 1e-9
"""Largest difference of two rates, relative to the largest of them."""

LONG = 100_000
"""Steps of a long training."""

MILESTONE = 5
"""Step at which a sequence goes on to its second scheduler."""


def rates_follow_their_formula(scheduler: TriedScheduler) -> str:
    """Rates and momenta of torch's schedulers are those of their documented formula."""
    _require_formula(scheduler)
    largest = 0.0
    for label, arguments in scheduler.settings.items():
        if scheduler.cls is ChainedScheduler and "WarmRestarts" in label:
            continue  # its rates do not depend on those before, and it cannot be chained
        expected = _formula(scheduler, arguments, np.arange(1 + STEPS))
        for optimizer in ("SGD", "Adam"):
            path = scheduler.path(arguments, optimizer=optimizer)
            over = f", over {optimizer}"
            largest = max(largest, _require_equal(path, expected, "by its formula", label, over))
    return f"within {largest:.1e} of the formula over {len(scheduler.settings)} settings"


def rates_follow_their_formula_for_100_000_steps(scheduler: TriedScheduler) -> str:
    """After 100,000 steps the rates are still those of the formula."""
    _require_formula(scheduler)
    if scheduler.schedules_others or takes_a_metric(scheduler.cls):
        raise NotApplicable("its parts, or a metric, decide, not the number of steps")
    largest = 0.0
    for length in (None, LONG):
        arguments = {
            name: length if length and _is_length(name, value) else value
            for name, value in scheduler.arguments.items()
        }
        if not length and any(name.startswith("total") for name in arguments):
            continue  # it ends before, and may raise
        expected = _formula(scheduler, arguments, np.arange(1 + LONG))
        path = scheduler.path(arguments, steps=LONG)
        largest = max(
            largest, _require_equal(path, expected, "by its formula", in_words(arguments))
        )
    return f"within {largest:.1e} of the formula over {LONG:,} steps"


def rates_follow_the_reference(scheduler: TriedScheduler) -> str:
    """Rates and momenta are those of the scheduler that --reference names."""
    other = scheduler.reference
    if other is None:
        raise NotApplicable("no reference was named (--reference package.module:Class)")
    largest = 0.0
    compared = 0
    missing: set[str] = set()
    for label, arguments in scheduler.settings.items():
        if lacking := set(arguments) - set(other.parameters):
            missing |= lacking
            continue
        compared += 1
        expected = other.path(scheduler.shared_with(other.cls, arguments))
        path = scheduler.path(arguments)
        largest = max(largest, _require_equal(path, expected, f"by {other.name}", label))
    lacks = f"{other.name} takes no {', '.join(sorted(missing))}" if missing else ""
    if not compared:
        raise CheckFailed(f"cannot be compared with its reference: {lacks}")
    said = f"within {largest:.1e} of {other.name} over {compared} settings"
    return f"{said}; {lacks}" if lacks else said


def resumes_at_every_step(scheduler: TriedScheduler) -> str:
    """Saved by torch.save with its optimizer, at any step, and loaded it goes on the same."""
    _require_the_same(
        scheduler,
        {f"resumed after step {step}": {"resumed_at": step} for step in range(STEPS)},
    )
    return f"at each of {STEPS} steps"


def last_epoch_goes_on_in_mid_training(scheduler: TriedScheduler) -> str:
    """Constructed with last_epoch over an optimizer that was loaded, it goes on the same."""
    if not scheduler.takes("last_epoch"):
        raise NotApplicable("its constructor has no last_epoch")
    if scheduler.schedules_others or takes_a_metric(scheduler.cls):
        raise NotApplicable("its parts, or the metrics so far, decide, not the epoch")
    failures = []
    # Torch's own expect a checkpoint of one moment or of the other.
    for moment in ("before", "after"):
        ways = {
            f"constructed with last_epoch={epoch} over an optimizer that was saved {moment} the "
            "scheduler's step": {"last_epoch": epoch, "saved_before": moment == "before"}
            for epoch in range(STEPS)
        }
        try:
            _require_the_same(scheduler, ways)
        except CheckFailed as failure:
            failures.append(failure)
        else:
            return f"from an optimizer that was saved {moment} the scheduler's step"
    raise failures[-1]


def tensor_rates_go_as_numbers(scheduler: TriedScheduler) -> str:
    """Learning rates that are tensors are changed in place, to the values that numbers have."""
    _require_the_same(scheduler, {"rates that are tensors": {"tensor": True}})
    if scheduler.handling_of_tensor_rates() == "replaced":
        raise Advice(
            "puts another object in the place of a rate that is a tensor: a compiled or captured "
            "step goes on with the old one"
        )
    return "in place"


def each_group_goes_as_alone(scheduler: TriedScheduler) -> str:
    """Each of two parameter groups has the rates that it has alone."""
    if scheduler.schedules_others:
        raise NotApplicable("its parts are made for two groups")
    for label, arguments in scheduler.settings.items():
        if any(isinstance(v, list) and len(v) == len(RATES) for v in arguments.values()):
            continue  # one value a group
        together = scheduler.path(arguments)
        for group in range(len(RATES)):
            alone = scheduler.path(arguments, groups=(group,))
            columns = together[:, group :: len(RATES)]
            _require_equal(columns, alone, "where the group is alone", label)
    return f"over {len(scheduler.settings)} settings"


def get_last_lr_is_what_is_set(scheduler: TriedScheduler) -> str:
    """get_last_lr() returns the learning rates of the groups, and no part of them."""
    said = scheduler.last_rates()
    rates = scheduler.path()[1:, : len(RATES)]
    wrong = np.argwhere((said != rates) & ~(np.isnan(said) & np.isnan(rates)))
    if len(wrong):
        step, _ = wrong[0]
        raise CheckFailed(
            f"get_last_lr() is {said[step].tolist()} after step {step + 1}, and "
            f"{rates[step].tolist()} are set"
        )
    return f"after each of {STEPS} steps"


def chains_with_another(scheduler: TriedScheduler) -> str:
    """Chained with a scheduler that changes nothing, it goes as alone."""
    _require_the_same(scheduler, {"chained with a constant one": {"before": with_a_constant}})
    return "with ConstantLR(factor=1)"


def works_in_a_sequence(scheduler: TriedScheduler) -> str:
    """Behind or before a constant schedule in a SequentialLR it has the rates that it has alone."""
    if takes_a_metric(scheduler.cls):
        raise NotApplicable("its step takes a metric, which torch's compositions do not give")
    if scheduler.schedules_others:
        raise NotApplicable("it is a composition itself")
    optimizer = optimizer_of_two_groups()
    scheduler.build(optimizer, scheduler.arguments)
    if any(g["initial_lr"] != r for g, r in zip(optimizer.param_groups, RATES, strict=True)):
        raise NotApplicable("its constructor sets initial rates of its own, which all begin with")
    columns = len(RATES)
    for label, arguments in scheduler.settings.items():
        alone = scheduler.path(arguments)[:, :columns]
        constant = np.tile(RATES, (1 + STEPS, 1))
        behind = scheduler.path(arguments, before=_behind_a_constant)[:, :columns]
        expected = np.concatenate([constant[:MILESTONE], alone[: 1 + STEPS - MILESTONE]])
        _require_equal(behind, expected, "alone", label, ", in a SequentialLR behind a constant")
        first = scheduler.path(arguments, before=_before_a_constant)[:, :columns]
        expected = np.concatenate([alone[:MILESTONE], constant[MILESTONE:]])
        _require_equal(first, expected, "alone", label, ", in a SequentialLR before a constant")
    return f"behind and before ConstantLR(factor=1), with a milestone of {MILESTONE}"


def step_with_an_epoch_equals_step(scheduler: TriedScheduler) -> str:
    """step(epoch) sets the rates of this epoch, where step takes one."""
    takes = inspect.signature(scheduler.cls.step).parameters  # type: ignore[attr-defined]
    if "epoch" not in takes or takes_a_metric(scheduler.cls):
        raise NotApplicable("its step takes no epoch")

    def step(made: Any, number: int) -> None:
        made.step(number + 1)

    _require_the_same(scheduler, {"stepped by step(epoch)": {"step": step}})
    return f"for each of {STEPS} epochs in turn"


def saves_with_torch_save(scheduler: TriedScheduler) -> str:
    """Its state_dict() can be loaded by torch.load, which loads weights only by default."""
    states: list[dict[str, Any]] = []

    def step(made: LRScheduler, number: int) -> None:
        take_step(made, number)
        states.append(made.state_dict())

    scheduler.path(steps=3, step=step)
    try:
        saved(states[-1], weights_only=True)
    except Exception as error:
        first = str(error).partition("\n")[0]
        text = f"torch.load refuses its state_dict(): {type(error).__name__}: {first}"
        raise Advice(text) from error
    return "with weights_only=True"


def given_lists_are_left_alone(scheduler: TriedScheduler) -> str:
    """Lists and dictionaries that it is given are as they were, also after steps."""
    if scheduler.schedules_others:
        raise NotApplicable("the schedulers that it is given are its parts, which it steps")
    for label, arguments in scheduler.settings.items():
        given = copy.deepcopy(dict(arguments))
        made = scheduler.cls(optimizer_of_two_groups(), **given)
        for step in range(STEPS):
            take_step(made, step)
        for name, value in arguments.items():
            if isinstance(value, list) and given[name] != value:
                text = f"{name} was {value} and is {given[name]} after {STEPS} steps"
                raise CheckFailed(text + _with(label))
    return f"over {len(scheduler.settings)} settings"


def every_argument_matters(scheduler: TriedScheduler) -> str:
    """Every optional argument changes a rate or a momentum, alone or beside another."""
    if scheduler.schedules_others:
        raise NotApplicable("its parts have the arguments")
    if not scheduler.moves:
        raise Advice(
            f"nothing that it sets changes in {STEPS} steps{_with(in_words(scheduler.arguments))}: "
            "--set gives other arguments"
        )
    if scheduler.idle:
        raise Advice(
            f"no effect in {STEPS} steps, alone or beside another argument: "
            f"{', '.join(scheduler.idle)}{_with(in_words(scheduler.arguments))}"
        )
    return ", ".join(label for label in scheduler.settings if label) or "it has none"


# ---------------------------------------------------------------------- what is compared


def _require_formula(scheduler: TriedScheduler) -> None:
    if scheduler.cls not in textbook.RATES:
        raise NotApplicable("no formula of it is known (--reference package.module:Class)")


def _is_length(name: str, value: object) -> bool:
    return type(value) is int and name not in ("T_mult", "cooldown")


def _formula(
    scheduler: TriedScheduler, arguments: Mapping[str, Any], steps: np.ndarray
) -> np.ndarray:
    """Return what the formulas give: [steps, columns]."""
    cls = scheduler.cls
    more: dict[str, Any] = {}
    if takes_a_metric(scheduler.cls):
        more["metrics"] = [metric_of(k) for k in range(len(steps))]
    columns = [
        textbook.evaluate(textbook.RATES[cls], cls, rate, group, steps, arguments, **more)
        for group, rate in enumerate(RATES)
    ]
    for group in range(len(RATES)):
        momentum = textbook.MOMENTA.get(cls)
        constant = np.full(len(steps), MOMENTUM)
        columns.append(
            textbook.evaluate(momentum, cls, MOMENTUM, group, steps, arguments)
            if momentum
            else constant
        )
    columns += [np.full(len(steps), DECAY)] * len(RATES)
    return np.stack(columns, axis=1)


def _require_the_same(scheduler: TriedScheduler, ways: Mapping[str, Mapping[str, Any]]) -> None:
    """Demand of each way the rates of the plain one, under all settings."""
    for label, arguments in scheduler.settings.items():
        plain = scheduler.path(arguments)
        for way, how in ways.items():
            _require_equal(
                scheduler.path(arguments, **how), plain, "without that", label, f", {way}"
            )


def _require_equal(
    path: np.ndarray, expected: np.ndarray, where: str, label: str, way: str = ""
) -> float:
    """Return the largest difference, relative to the largest number of its column."""
    kinds = len(COLUMNS) // len(RATES)
    of_a_group = path.shape[1] == kinds
    names = (
        [each.partition(" of ")[0] for each in COLUMNS[:: len(RATES)]] if of_a_group else COLUMNS
    )
    if len(wrong := np.argwhere(~np.isfinite(expected))):
        step, column = wrong[0]
        raise CheckFailed(
            f"{names[column]} is {expected[step, column]} after step {step}{_with(label)}"
        )
    scale = np.maximum(np.abs(expected).max(axis=0), 1e-300)
    apart = np.abs(path - expected) / scale
    apart[~np.isfinite(apart)] = np.inf
    largest = float(apart.max())
    if largest <= BOUND:
        return largest
    step, column = np.argwhere(apart > BOUND)[0]
    raise CheckFailed(
        f"{names[column]} is {path[step, column]:.10g} after step {step}{way}, "
        f"{expected[step, column]:.10g} {where}{_with(label)}",
        measured=largest,
    )


def _with(label: str) -> str:
    return f" ({label})" if label else ""


def _behind_a_constant(optimizer: torch.optim.Optimizer, made: LRScheduler) -> LRScheduler:
    return _in_turns(optimizer, [constant_over(optimizer), made])


def _before_a_constant(optimizer: torch.optim.Optimizer, made: LRScheduler) -> LRScheduler:
    return _in_turns(optimizer, [made, constant_over(optimizer)])


def _in_turns(optimizer: torch.optim.Optimizer, parts: list[LRScheduler]) -> LRScheduler:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.optim.lr_scheduler.SequentialLR(optimizer, parts, milestones=[MILESTONE])
