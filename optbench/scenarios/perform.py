"""An optimizer put through a scenario: the one place where scenarios become records."""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from optbench.engine.state import leaves_of
from optbench.scenarios.actions import ACTIONS
from optbench.scenarios.gradients import EDITS, GRADIENTS, GradientSequence
from optbench.scenarios.record import AS_GIVEN, IN_EVAL_MODE, Checkpoint, Observation, Record
from optbench.scenarios.scenario import OwnValue, Scenario
from optbench.scenarios.session import Grouping, Session
from optbench.scenarios.subject import Subject

OBSERVED_STEPS = 100
"""Steps of the longest scenario of which more than the path is recorded."""

MANY = 1_000
"""Elements over which roundings of half precision average out."""

CLOSURE_STEPS = 15
"""Steps of an optimizer that evaluates the loss: an iteration that feeds back, such as a line
search, may double a rounding with every step."""


def perform(subject: Subject, scenario: Scenario, *, keep_state: bool = False) -> Record:
    """Put a subject through a scenario; the record may keep the state at its end.

    Raises
    ------
    Exception
        Whatever the optimizer raises on the way.
    """
    given: list[tuple[Tensor, Tensor]] = []
    settings = _resolved(subject, scenario.settings, given)
    session = Session(
        subject,
        gradients_of(subject, scenario),
        settings,
        dtype=getattr(torch, scenario.dtype),
        groups=_groups(subject, scenario, given),
        feed=scenario.feed,
        layout=scenario.layout,
    )
    return record(session, scenario, given, keep_state=keep_state)


def save(subject: Subject, scenario: Scenario) -> Checkpoint:
    """Go through the steps of a scenario, and save optimizer and parameters."""
    session = Session(subject, gradients_of(subject, scenario), scenario.settings)
    session.advance(scenario.steps)
    kinds = {
        f"{path}: {'tensor' if isinstance(value, Tensor) else type(value).__name__}"
        for index in range(len(session.params))
        for path, value in leaves_of(session.state_of(index))
    }
    state, parameters = _saved(session.optimizer.state_dict()), _saved(session.positions())
    return Checkpoint(state, parameters, frozenset(kinds))


def go_on(subject: Subject, scenario: Scenario, checkpoint: Checkpoint) -> Record:
    """Load a checkpoint, which may be another version's, and go through the steps of a scenario."""
    session = Session(subject, gradients_of(subject, scenario), scenario.settings)
    with torch.no_grad():
        for parameter, value in zip(session.params, _loaded(checkpoint.parameters), strict=True):
            parameter.copy_(value)
    session.optimizer.load_state_dict(_loaded(checkpoint.state))
    return record(session, scenario)


def _saved(content: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


def _loaded(content: bytes) -> Any:
    return torch.load(io.BytesIO(content), weights_only=True)


def gradients_of(subject: Subject, scenario: Scenario) -> GradientSequence:
    """Return the starts and gradients of a scenario."""
    # Longer scenarios meet the same gradients again.
    steps = min(scenario.steps, OBSERVED_STEPS)
    gradients = GRADIENTS[scenario.gradients](scenario.shapes or subject.shapes, steps)
    for edit in scenario.edits:
        gradients = EDITS[edit](gradients)
    return gradients


def record(
    session: Session,
    scenario: Scenario,
    given: list[tuple[Tensor, Tensor]] | None = None,
    *,
    keep_state: bool = False,
) -> Record:
    """Go through the steps and events of a scenario; ``given`` are tensors and their copies."""
    subject = session.subject
    assert isinstance(subject, Subject)
    evaluates = subject.wants.evaluates_the_loss or scenario.feed == "closure"
    steps = min(scenario.steps, CLOSURE_STEPS) if evaluates else scenario.steps
    observed = steps <= OBSERVED_STEPS
    rows = [session.position().numpy()]
    losses: list[float] = []
    changed: list[str] = []
    calls: list[int] = []
    groups: list[Any] = []
    events = {
        event.step: replace(event, values=_resolved(subject, event.values, []))
        for event in scenario.events
    }
    with warnings.catch_warnings():
        # What is warned of at every step is not what is asked here.
        warnings.simplefilter("ignore")
        for start, end in _stretches(events, steps):
            if start in events:
                event = events[start]
                session = ACTIONS[event.action](session, event.values)
            with session.at_the_generators():
                for _ in range(end - start):
                    session.advance(1)
                    rows.append(session.position().numpy())
                    if observed:
                        losses.append(_number(session.returned))
                        calls.append(session.closure_calls)
                        changed.append(session.gradients_after())
            if observed:
                groups.append(_of_the_groups(session))
    observations: dict[str, Observation] = {}
    if observed:
        observations = {
            "the loss that step() returns": np.array(losses),
            "calls of the closure": tuple(calls),
            "calls of the closure with gradients disabled": session.calls_without_gradients,
            "p.grad after the step": next((c for c in changed if c != AS_GIVEN), AS_GIVEN),
            **_as_observations(groups),
            **_readable(session),
        }
        if given:
            kept = all(torch.equal(tensor, copy) for tensor, copy in given)
            observations["tensors given as hyperparameters"] = AS_GIVEN if kept else "changed"
        if rows[0].size > MANY and scenario.dtype in ("bfloat16", "float16"):
            # Where single numbers are rounding, their mean is not.
            observations["mean magnitude of the parameters"] = float(np.abs(rows[-1]).mean())
    return Record(np.stack(rows), observations, _state_of(session) if keep_state else {})


def _state_of(session: Session) -> dict[str, np.ndarray]:
    """Return a copy of every dense tensor in the state, by its place."""
    return {
        f"{path} of tensor {index}": value.detach().double().numpy().copy()
        for index in range(len(session.params))
        for path, value in leaves_of(session.state_of(index))
        if isinstance(value, Tensor) and not value.is_sparse and not value.is_complex()
    }


def _stretches(events: Mapping[int, Any], steps: int) -> list[tuple[int, int]]:
    """Return the steps between two events: from which on, and up to which."""
    starts = sorted({0, *(step for step in events if step < steps)})
    return list(zip(starts, [*starts[1:], steps], strict=True))


def _number(returned: Any) -> float:
    """Return a loss as a number; NaN where there is none."""
    try:
        return float(returned)
    except (TypeError, ValueError, RuntimeError):
        return float("nan")


def _of_the_groups(session: Session) -> dict[str, Observation]:
    """Return the plain values in the groups, by name and place."""
    return {
        f"{name} of group {place}": plain
        for place, group in enumerate(session.optimizer.param_groups)
        for name, value in group.items()
        if name != "params" and (plain := _plain(value)) is not None
    }


def _plain(value: Any) -> Observation:
    """Return numbers and text as they are, of tensors their numbers; None for anything else."""
    if isinstance(value, Tensor):
        return float(value) if value.numel() == 1 else None
    if isinstance(value, tuple | list):
        items = tuple(map(_plain, value))
        return None if None in items else items
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    return value if isinstance(value, bool | str) else None


def _as_observations(groups: list[dict[str, Observation]]) -> dict[str, Observation]:
    """Return the values of each group at the end of every stretch, by name."""
    names = dict.fromkeys(name for each in groups for name in each)
    return {f"{name}, as optimizer.param_groups has it": tuple(
        each.get(name) for each in groups) for name in names}  # fmt: skip


def _readable(session: Session) -> dict[str, Observation]:
    """Return what a user reads beside the parameters: the weights of ``eval()``."""
    if not session.has_modes:
        return {}
    with session.evaluating():
        return {IN_EVAL_MODE: session.position().numpy()}


def averages(subject: Subject, scenario: Scenario) -> dict[str, np.ndarray]:
    """Return the tensors in the state that are averages of the weights.

    They go along when the starts are moved. What is made of gradients does not, for those are
    given; of weight decay there is none.

    Returns
    -------
    dict of str to ndarray
        Place in the state, as ``shadow of tensor 0``, to the values.
    """
    if subject.wants.evaluates_the_loss:
        return {}
    if subject.takes("weight_decay"):
        scenario = replace(scenario, settings={"weight_decay": 0.0, **scenario.settings})
    here = gradients_of(subject, scenario)
    there = replace(here, starts=tuple(start + 1.0 for start in here.starts))
    one, other = (
        Session(subject, each, scenario.settings).advance(scenario.steps) for each in (here, there)
    )
    found = {}
    for index, parameter in enumerate(one.params):
        moved = dict(leaves_of(other.state_of(index)))
        for path, value in leaves_of(one.state_of(index)):
            if not isinstance(value, Tensor) or value.shape != parameter.shape:
                continue
            if value.is_floating_point() and float((moved[path] - value).min()) > MOVES_ALONG:
                found[f"{path} of tensor {index}"] = value.detach().double().numpy().copy()
    return found


MOVES_ALONG = 1e-6
"""By which an average of the weights moves at least where all weights are moved by one."""


def _resolved(
    subject: Subject, settings: Mapping[str, Any], given: list[tuple[Tensor, Tensor]]
) -> dict[str, Any]:
    """Put the optimizer's own values for `OwnValue`; tensors among them come with a copy."""

    def of_number(value: float, own: OwnValue) -> Any:
        if own.tensor is None:
            return value * own.times
        tensor = torch.full(own.tensor, value * own.times, dtype=torch.float64)
        given.append((tensor, tensor.clone()))
        return tensor

    resolved = {}
    for name, value in settings.items():
        if isinstance(value, OwnValue):
            # A scheduler's bound on the rate is a multiple of the rate.
            own = value.value
            if own is None:
                own = subject.hyperparameters[name.removeprefix("max_")]
            if isinstance(own, tuple | list):
                resolved[name] = type(own)(of_number(each, value) for each in own)
            else:
                resolved[name] = of_number(own, value)
        else:
            resolved[name] = value
    return resolved


def _groups(
    subject: Subject, scenario: Scenario, given: list[tuple[Tensor, Tensor]]
) -> Grouping | None:
    """Return how parameters become groups: the second half has values of its own."""
    if any(event.action == "add a group" for event in scenario.events):
        return lambda params: [{"params": params[:1]}]
    if scenario.second is None:
        return None
    own = _resolved(subject, scenario.second, given)

    def groups(params: list[Any]) -> list[dict[str, Any]]:
        half = len(params) // 2
        return [{"params": params[:half]}, {"params": params[half:], **own}]

    return groups
