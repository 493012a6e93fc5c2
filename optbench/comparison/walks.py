"""In a side's process: an optimizer is led along a probe."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from optbench.comparison.probes import LONG, SAVED_AT, STEPS, Probe, Way
from optbench.conformance.course import Course, course, shrinking, tiny
from optbench.conformance.session import Grouping, Session
from optbench.conformance.subject import Subject


def walk(subject: Subject, probe: Probe) -> np.ndarray:
    """Lead a subject along a probe: [1 + steps, elements + 1].

    The rows are the start and the parameters after each step; the last column counts the calls
    of the closure.
    """
    way, shapes = probe.way, subject.shapes
    # An iteration that feeds back (a line search) may double a rounding with every step.
    steps = 15 if subject.wants.evaluates_the_loss else STEPS
    path = shrinking(shapes, steps)
    groups: Grouping | None = None
    if way is Way.SPARSE:
        subject = replace(subject, wants=replace(subject.wants, sparse=True))
    elif way is Way.TINY:
        path = tiny(shapes, steps)
    elif way is Way.ZERO:
        path = _edited(course(shapes, steps), _zeros_first)
    elif way is Way.MISSING:
        path = path.with_gradient(1, None)
    elif way is Way.SHAPES:
        several = ((2, 3, 3, 3), (), (150,))
        path = shrinking(((30, 4), (4, 30), (1, 5)) if subject.wants.matrices else several, steps)
    elif way is Way.HOLES:
        path = _edited(course(shapes, steps), _with_holes)
    elif way is Way.CLOSURE:
        subject = replace(subject, wants=replace(subject.wants, closure=True))
        steps = 15
    elif way is Way.GROUPS:
        groups = _two_groups(subject, probe)
    elif way in (Way.STEADY, Way.ADDED, Way.SCHEDULED, Way.CHANGED):
        path = course(shapes, steps)
        groups = (lambda params: [{"params": params[:1]}]) if way is Way.ADDED else None
    elif way in (Way.LOADED, Way.LONG):
        path = course(shapes, 60).select([0, 2])
        steps = LONG if way is Way.LONG else SAVED_AT + 10
    dtype = torch.float32 if way is Way.FLOAT32 else torch.float64
    session = Session(subject, path, probe.settings, groups=groups, dtype=dtype)
    rows = [_row(session)]
    for start, end, interfere in _stretches(probe, steps):
        session = interfere(session)
        rows.append(_stretch(session, end - start))
    return np.concatenate(rows)


Interference = Callable[[Session], Session]


def _stretches(probe: Probe, steps: int) -> list[tuple[int, int, Interference]]:
    """From which step to which, and what is done before each stretch."""
    way = probe.way
    breaks: dict[int, Interference] = {}
    if way is Way.LOADED:
        breaks = {SAVED_AT: Session.resumed}
    elif way is Way.SCHEDULED:
        breaks = dict.fromkeys((5, 10, 15), _halve_the_rate)
    elif way is Way.CHANGED:
        breaks = {5: functools.partial(_set, values=probe.second)}
    elif way is Way.ADDED:
        breaks = {5: _add_a_group}
    starts = [0, *(step for step in breaks if step < steps)]
    return [
        (start, end, breaks.get(start, lambda session: session))
        for start, end in zip(starts, [*starts[1:], steps], strict=True)
    ]


def _stretch(session: Session, steps: int) -> np.ndarray:
    """Take so many steps; return a row each."""
    if session.subject.wants.closure:
        rows = []
        for _ in range(steps):
            session.advance(1)
            rows.append(_row(session))
        return np.concatenate(rows)
    positions = session.trace(steps).numpy()
    return np.concatenate([positions, np.zeros((steps, 1))], axis=1)


def _row(session: Session) -> np.ndarray:
    """Where it is, and how often it asked for the loss: [1, elements + 1]."""
    return np.append(session.position().numpy(), float(session.closure_calls))[None]


def _halve_the_rate(session: Session) -> Session:
    for group in session.optimizer.param_groups:
        group["lr"] = group["lr"] * 0.5
    return session


def _set(session: Session, values: Mapping[str, Any]) -> Session:
    for group in session.optimizer.param_groups:
        group.update({name: value for name, value in values.items() if name in group})
    return session


def _add_a_group(session: Session) -> Session:
    session.optimizer.add_param_group({"params": session.params[1:]})
    return session


def _zeros_first(gradient: np.ndarray) -> None:
    """Zero in the first quarter of the steps, and again in the third."""
    steps = len(gradient)
    gradient[: steps // 4] = 0.0
    gradient[steps // 2 : 3 * steps // 4] = 0.0


def _with_holes(gradient: np.ndarray) -> None:
    """Every third element of a gradient is zero, another third at each step."""
    for step, each in enumerate(gradient):
        each.reshape(-1)[step % 3 :: 3] = 0.0


def _edited(plain: Course, edit: Callable[[np.ndarray], None]) -> Course:
    """Return the course with gradients, [steps, ...] of each tensor, changed in place."""
    gradients = []
    for each in plain.gradients:
        assert each is not None
        changed = each.copy()
        edit(changed)
        gradients.append(changed)
    return Course(plain.starts, tuple(gradients))


def _two_groups(subject: Subject, probe: Probe) -> Grouping:
    """Put the second half of the parameters into a group with its own rate and decay."""
    own = dict(probe.second)
    if not own and subject.lr is not None:
        own["lr"] = probe.settings.get("lr", subject.lr) / 3
        if subject.takes("weight_decay"):
            own["weight_decay"] = 0.05

    def groups(params: list[Any]) -> list[dict[str, Any]]:
        half = len(params) // 2
        return [{"params": params[:half]}, {"params": params[half:], **own}]

    return groups
