"""Does every argument of the constructor do what it is there for?"""

from __future__ import annotations

import contextlib
import inspect
import io
import logging
import sys
import types
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from optbench.conformance.direction import rests_as_asked
from optbench.engine.certify import same_bits
from optbench.engine.state import leaves_of
from optbench.optimizers.builders import sees_names
from optbench.scenarios.gradients import GradientSequence, sequence, tiny
from optbench.scenarios.outcomes import Advice, CheckFailed, NotApplicable
from optbench.scenarios.perturb import nearby_values, with_item
from optbench.scenarios.session import Session
from optbench.scenarios.subject import Subject

STEPS = 40

SWITCHES = frozenset(
    ("nesterov", "amsgrad", "maximize", "centered", "decoupled_weight_decay", "weight_decouple")
)
"""Switches whose names say that they change the rule. Others may compress a checkpoint."""

LONGER = 450
"""For what shows only after a warm-up or an interval."""

ELEMENTS = 4096
"""Number of elements of a tensor from which on some libraries quantize its state."""

RATE = 1e-2
"""Learning rate beside which the other arguments are tried where the given one moves nothing."""

NOT_IN_A_LOOP = frozenset(("train", "eval", "reset"))
"""Methods without arguments that switch or begin anew, and prepare no step."""


def every_hyperparameter_matters(subject: Subject) -> str:
    """Changing any number or switch of the constructor changes the trajectory somewhere."""
    candidates = {
        name: options
        for name, value in subject.hyperparameters.items()
        # A rate of None is chosen by the method; given one, it has to heed it.
        if (
            options := [1e-2, 1e-1]
            if (name, value) == ("lr", None)
            else [*nearby_values(name, value)]
        )
    }
    rests = rests_as_asked(subject)
    if rests and "lr" in candidates:
        candidates["lr"].append(RATE)
    if not candidates:
        raise NotApplicable("its constructor takes neither a number nor a switch")
    idle: list[str] = []
    elsewhere: list[str] = []
    untried: list[str] = []
    silent: list[str] = []
    by_name: list[str] = []
    paths: dict[tuple[str, int], Tensor | None] = {}
    for name, options in candidates.items():
        answer = _matters(subject, name, options, paths)
        if answer is None:
            untried.append(name)
        elif answer:
            continue
        elif where := _acts_on(subject, name, options):
            elsewhere.append(f"{name} only to {where}")
        elif isinstance(options[0], bool) and name not in SWITCHES:
            silent.append(name)
        elif sees_names(subject.factory):
            by_name.append(name)
        else:
            idle.append(f"{name} (tried {', '.join(map(repr, options))})")
    if idle:
        text = (
            f"no effect on any of the parameters in {LONGER} steps, alone or beside momentum, "
            f"decay and every switch: {'; '.join(idle)}"
        )
        if methods := _uncalled_methods(subject):
            raise Advice(
                f"{text}; it has {', '.join(methods)}, which a training loop may be expected to "
                "call between steps, and which nothing called here"
            )
        raise CheckFailed(text)
    text = f"{len(candidates) - len(untried) - len(silent) - len(by_name)} matter"
    if elsewhere:
        text += f"; {', '.join(elsewhere)}"
    if rests:
        text += f"; {rests}, so that they were tried at lr={RATE:g}, too"
    if silent:
        text += (
            f"; no effect of the switches {', '.join(silent)}, which may be about something else"
        )
    if by_name:
        text += f"; no effect of {', '.join(by_name)}, which may be about parameters of other names"
    return text + (f"; refused whatever we tried: {', '.join(untried)}" if untried else "")


def wrong_values_are_refused(subject: Subject) -> str:
    """A negative rate, decay, momentum or eps, or a beta of one and more, is refused."""
    wrong = list(_wrong_values(subject))
    if not wrong:
        raise NotApplicable("it has none of the hyperparameters whose range everybody knows")
    taken = []
    for name, value in wrong:
        try:
            subject.make(_some_parameters(subject), **{name: value})
        # Packages have exceptions of their own for it: what counts is that it is said.
        except Exception:  # noqa: BLE001
            continue
        taken.append(f"{name}={value!r}")
    if taken:
        raise CheckFailed(f"its constructor takes {', '.join(taken)} without a word")
    return f"{len(wrong)} refused"


def _wrong_values(subject: Subject) -> Iterator[tuple[str, Any]]:
    for name, value in subject.hyperparameters.items():
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if name in ("lr", "weight_decay", "eps") and number:
            yield name, -1.0
        elif name == "momentum" and number:
            yield name, -0.5
        elif name == "betas" and isinstance(value, tuple | list):
            for index, each in enumerate(value):
                if isinstance(each, float) and 0 <= each < 1:
                    yield name, with_item(value, index, 1.5)
                    yield name, with_item(value, index, -0.1)


def _some_parameters(subject: Subject) -> list[torch.nn.Parameter]:
    return [torch.nn.Parameter(torch.ones(shape)) for shape in subject.shapes]


def _matters(
    subject: Subject, name: str, options: list[Any], paths: dict[tuple[str, int], Tensor | None]
) -> bool | None:
    """Whether any of the values changes the path; None where every one is refused.

    ``paths`` are those without it, by settings and steps: many hyperparameters are compared with
    one of them.
    """
    tried = False
    for steps in (STEPS, LONGER):
        for context in _contexts(subject, name):
            key = repr(context), steps
            if key not in paths:
                paths[key] = _path(subject, context, steps)
            base = paths[key]
            for value in options:
                other = _path(subject, {**context, name: value}, steps)
                if other is None:
                    continue
                tried = True
                # What needs the argument, as a rate that is None, goes only with a value of it.
                base = other if base is None else base
                if base.shape != other.shape or not same_bits(base, other):
                    return True
        if not tried:
            return None
    return False


def _contexts(subject: Subject, name: str) -> Iterator[dict[str, Any]]:
    """Yield settings under which a hyperparameter may matter that is idle at the defaults."""
    yield {}
    company: dict[str, Any] = {}
    # A rate of one hides whether it is there.
    rate = None if subject.lr is None else subject.lr / 2
    if rests_as_asked(subject):
        rate = RATE
    for other, value in (("momentum", 0.9), ("weight_decay", 0.1), ("lr", rate)):
        if subject.takes(other) and other != name and value is not None:
            company[other] = value
            yield {other: value}
    if len(company) > 1:
        yield company
    for other, value in subject.hyperparameters.items():
        if isinstance(value, bool) and other != name:
            yield {other: not value}
            if company:
                yield {**company, other: not value}


def _acts_on(subject: Subject, name: str, options: list[Any]) -> str:
    """Return what an argument acts on besides the trajectory; an empty string for nothing."""
    for value in options:
        pair: tuple[dict[str, Any], dict[str, Any]] = ({}, {name: value})
        if not subject.accepts(pair[1]):
            continue
        one, other = (_averages(subject, settings) for settings in pair)
        # Decay in a buffer of gradients that nothing reads would look like one. At the default
        # there may be no average at all.
        moved = [
            key
            for key in {**one, **other}
            if key not in one or key not in other or not same_bits(one[key], other[key])
        ]
        if moved and name != "weight_decay":
            return f"an average of the weights in its state, {moved[0]}"
        if len({_lines_said(subject, settings) for settings in pair}) > 1:
            return "what is printed or logged"
        if type(value) is int:
            large = _large(subject, abs(value))
            paths = [Session(subject, large, each).advance(STEPS).position() for each in pair]
            if not same_bits(*paths):
                return f"tensors of {ELEMENTS:,} elements and more"
    return ""


def _averages(subject: Subject, settings: dict[str, Any]) -> dict[str, Tensor]:
    """Tensors of the state that go along with the starts, as averages of the weights do.

    What is made of gradients does not, for those are given; of decay there is none.
    """
    if subject.wants.evaluates_the_loss:
        return {}
    if subject.takes("weight_decay"):
        settings = {"weight_decay": 0.0, **settings}
    here = subject.sequence(STEPS)
    there = replace(here, starts=tuple(start + 1.0 for start in here.starts))
    one, other = (Session(subject, each, settings).advance(STEPS) for each in (here, there))
    found = {}
    for index, parameter in enumerate(one.params):
        moved = dict(leaves_of(other.state_of(index)))
        for path, value in leaves_of(one.state_of(index)):
            if not isinstance(value, Tensor) or value.shape != parameter.shape:
                continue
            apart = moved[path] - value
            if value.is_floating_point() and float(apart.min()) > 1e-6:
                found[f"{path} of tensor {index}"] = value
    return found


def _lines_said(subject: Subject, settings: dict[str, Any]) -> int:
    """Lines that some steps print or log, whatever the level."""
    text, root = io.StringIO(), logging.getLogger()
    handler, level = logging.StreamHandler(text), root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        with contextlib.redirect_stdout(text), contextlib.redirect_stderr(text):
            Session(subject, subject.sequence(), settings).advance(STEPS)
    finally:
        root.setLevel(level)
        root.removeHandler(handler)
    return text.getvalue().count("\n")


def _large(subject: Subject, size: int) -> GradientSequence:
    """Return a sequence of tensors with more elements than a size or a threshold, within reason."""
    rows = 2 * min(max(ELEMENTS, size), 2**16)
    shapes = ((96, 96), (rows // 64, 64)) if subject.wants.matrices else ((96, 96), (rows,))
    return sequence(shapes, STEPS)


def _uncalled_methods(subject: Subject) -> list[str]:
    """Public methods without arguments, of the class's own, that no step called."""
    cls = subject.factory
    own: dict[types.CodeType, str] = {}
    for name in dir(cls) if isinstance(cls, type) else ():
        method = inspect.getattr_static(cls, name)
        if name.startswith("_") or hasattr(torch.optim.Optimizer, name) or name in NOT_IN_A_LOOP:
            continue
        if inspect.isfunction(method):
            others = list(inspect.signature(method).parameters.values())[1:]
            if all(p.default is not p.empty or p.kind is p.VAR_KEYWORD for p in others):
                own[inspect.unwrap(method).__code__] = f"{name}()"

    def note(frame: types.FrameType, event: str, _: object) -> None:
        own.pop(frame.f_code, None)

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        Session(subject, subject.sequence()).advance(3)
    finally:
        sys.setprofile(before)
    return list(own.values())


def _warmed_up(session: Session) -> torch.Tensor:
    """Return the parameters after steps at half the rate and as many at the full rate."""
    for factor in (0.5, 2.0):
        for group in session.optimizer.param_groups:
            if "lr" in group:
                group["lr"] = group["lr"] * factor
        session.advance(STEPS // 4)
    return session.position()


def _path(subject: Subject, settings: dict[str, Any], steps: int) -> Tensor | None:
    """Return the trajectory along shrinking gradients and then along tiny ones.

    Four decades of scales make clipping and thresholds show, gradients of 1e-7 an eps, and
    parameters of half precision what is done about lost bits.
    """
    seen = []
    with contextlib.suppress(Exception):
        session = Session(subject, subject.shrinking(steps), settings)
        seen += [session.advance(steps // 2).position() for _ in range(2)]
        if steps == LONGER:
            seen.append(
                Session(subject, tiny(subject.shapes, STEPS), settings).advance(STEPS).position()
            )
            # Some weigh steps by their rate, which shows only where the rate changes.
            seen.append(_warmed_up(Session(subject, subject.sequence(), settings)))
            with contextlib.suppress(Exception):
                half = Session(subject, subject.sequence(), settings, dtype=torch.bfloat16)
                seen.append(half.advance(STEPS).position())
        return torch.cat(seen)
    return None
