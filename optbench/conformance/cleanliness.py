"""Does it touch only what is its own, and survive what it is given?"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from optbench.engine.state import leaves_of
from optbench.scenarios.agreement import require_same_bits, shown
from optbench.scenarios.gradients import GradientSequence
from optbench.scenarios.outcomes import Advice, CheckFailed, NotApplicable
from optbench.scenarios.session import Session
from optbench.scenarios.subject import Subject, require_separable

CONSTANT = 3600
"""Steps on one gradient. The centred RMSprop of torch 2.13 turns NaN after 3,200."""


def a_parameter_without_a_gradient_is_untouched(subject: Subject) -> str:
    """A parameter whose grad is None stays where it is, decay or not."""
    settings = {"weight_decay": 0.1} if subject.takes("weight_decay") else {}
    if settings and not subject.accepts(settings):
        settings = {}
    session = Session(subject, subject.sequence().with_gradient(1, None), settings)
    before = session.positions()[1]
    session.advance(10)
    require_same_bits(
        session.positions()[1], before, f"a parameter without a gradient moved {shown(settings)}"
    )
    return "10 steps" + (" with weight_decay=0.1" if settings else "")


def zero_gradients_give_no_nan(subject: Subject) -> str:
    """Zero gradients, from the first step on and after others, leave finite parameters."""
    sequence = subject.sequence(20)
    # A step of a closure method is up to twenty evaluations.
    few, more = (2, 2) if subject.wants.closure else (5, 15)
    zeros = sequence.times(0.0)
    for settings in ({}, *subject.variants):
        ordinary = Session(subject, sequence, settings).advance(more)
        if settings and not ordinary.position().isfinite().all():
            continue  # no setting for any gradients
        session = Session(subject, zeros, settings).advance(few)
        _require_finite(session, f"zero gradients from the start, {shown(settings)}")
        session.meet(sequence).advance(few)
        _require_finite(session, f"gradients after zero ones, {shown(settings)}")
        session.meet(zeros).advance(few)
        _require_finite(session, f"zero gradients after others, {shown(settings)}")
    return "at the defaults and with every hyperparameter disturbed"


def a_constant_gradient_stays_finite(subject: Subject) -> str:
    """Thousands of steps on one gradient, which has no variance, leave finite parameters."""
    if subject.wants.evaluates_the_loss:
        raise NotApplicable("it evaluates the loss itself, whose gradient changes on the way")
    # Many values: whether a difference of two rounded averages falls below zero is chance.
    shape = (64, 1) if subject.wants.matrices else (64,)
    sequence = GradientSequence((np.zeros(shape),), (np.linspace(-1, 1, 64).reshape(1, *shape),))
    switches = [
        settings for settings in subject.variants
        if any(isinstance(value, bool) and value for value in settings.values())
    ]  # fmt: skip
    for settings in ({}, *switches):
        session = Session(subject, sequence, settings)
        farthest = 0.0
        with session.at_the_generators():
            for begun in range(0, CONSTANT, 5):
                position = session.advance(5).position()
                if not position.isfinite().all():
                    if farthest > 1e9:
                        break  # it ran away on a loss without a bottom, which it may
                    raise CheckFailed(
                        f"not finite on a constant gradient within {begun + 5} steps, "
                        f"{shown({**subject.settings, **settings})} (64 elements, float64)"
                    )
                farthest = float(position.abs().max())
    return f"{CONSTANT:,} steps, {1 + len(switches)} settings"


def a_non_finite_gradient_stays_in_its_tensor(subject: Subject) -> str:
    """A NaN or an infinity in one tensor's gradient leaves the other tensors finite."""
    require_separable(subject)
    if subject.wants.evaluates_the_loss:
        raise NotApplicable("it evaluates the loss itself, which is one number for all")
    sequence = subject.sequence(20)
    gradient = sequence.gradients[1]
    assert gradient is not None
    for value in (np.nan, np.inf):
        bad = gradient.copy()
        bad[5, 0, 0] = value
        session = Session(subject, sequence.with_gradient(1, bad))
        try:
            session.advance(20)
        except Exception:  # noqa: BLE001 - to refuse it aloud is to keep it from the others
            continue
        positions = session.positions()
        poisoned = [
            i for i in range(len(positions)) if i != 1 and not positions[i].isfinite().all()
        ]
        if poisoned:
            raise CheckFailed(
                f"a gradient of {value} in tensor 1 at step 6 reaches tensors {poisoned} by step 20"
            )
    return "NaN and infinity, 14 steps on"


def gradients_are_neither_changed_nor_kept(subject: Subject) -> str:
    """A step leaves every gradient as it was, and no state shares memory with one."""
    if subject.wants.evaluates_the_loss:
        raise NotApplicable("it asks for the gradients itself")
    tried = 0
    # Another implementation is another place to forget a copy.
    ways: list[dict[str, Any]] = [{}]
    ways += [{way: True} for way in ("foreach", "fused") if subject.takes(way)]
    ways += [{"foreach": False}] if subject.takes("foreach") else []
    everywhere = ""
    for other in ({}, *subject.variants):
        said = {
            shown(way): _first_change(subject, settings)
            for way in ways
            if not (settings := {**way, **other}) or subject.accepts(settings)
        }
        tried += len(said)
        change = next(filter(None, said.values()), "")
        spared = next((way for way, text in said.items() if not text), "")
        if change and spared:
            raise CheckFailed(f"{change}; it is left alone {spared}")
        everywhere = everywhere or change
    if everywhere:
        raise Advice(everywhere)
    return f"3 steps, {tried} settings"


def _first_change(subject: Subject, settings: dict[str, Any]) -> str:
    """How a step changes a gradient, or the empty string.

    Raises
    ------
    CheckFailed
        Where the state keeps one.
    """
    under = shown({**subject.settings, **settings})
    session = Session(subject, subject.sequence(), settings)
    changed = ""
    for step in (1, 2, 3):
        session.give_gradients()
        given = [p.grad for p in session.params]
        before = [None if g is None else g.detach().clone() for g in given]
        session.step_once()
        session.step += 1
        for index, (gradient, saved) in enumerate(zip(given, before, strict=True)):
            if gradient is None or saved is None:
                continue
            if not changed and not torch.equal(_dense(gradient), _dense(saved)):
                apart = float((_dense(gradient) - _dense(saved)).abs().max())
                changed = (
                    f"step {step} changed the gradient of tensor {index} by {apart:.2g}, {under}"
                )
            if not gradient.is_sparse and _memory(gradient) in _memories(session.state_of(index)):
                raise CheckFailed(
                    f"the state of tensor {index} shares its memory with the gradient after "
                    f"step {step}, {under}: the next backward overwrites it"
                )
    return changed


def parameters_stay_leaves(subject: Subject) -> str:
    """A parameter is the same leaf of the same shape and type after 10 steps."""
    session = Session(subject, subject.sequence())
    before = list(session.params)
    session.advance(10)
    # In whatever order: a class may sort them, and a builder makes groups of them.
    held = {id(p) for group in session.optimizer.param_groups for p in group["params"]}
    for index, (new, shape) in enumerate(zip(before, session.sequence.shapes, strict=True)):
        if id(new) not in held:
            raise CheckFailed(f"parameter {index} was replaced by another object")
        if not new.is_leaf or new.grad_fn is not None or not new.requires_grad:
            raise CheckFailed(f"parameter {index} is no longer a leaf that requires a gradient")
        if new.shape != torch.Size(shape):
            raise CheckFailed(f"parameter {index} went from shape {shape} to {tuple(new.shape)}")
    return f"{len(before)} parameters, 10 steps"


def the_global_state_is_untouched(subject: Subject) -> str:
    """No random generator, default dtype, thread count or gradient mode is left changed."""
    before = dict(_global_state())
    session = Session(subject, subject.sequence())
    # Not through the session, which would hide what is drawn.
    session.take_on(subject.make(session.params))
    for _ in range(10):
        if not subject.wants.closure:
            session.give_gradients()
        session.step_once()
        session.step += 1
    changed = [name for name, value in _global_state() if value != before[name]]
    if subject.stochastic:
        changed = [name for name in changed if name != DRAWS]
    if changed:
        # To draw from a global generator is how random methods are usually written.
        drawn = all(name in GENERATORS for name in changed)
        raise (Advice if drawn else CheckFailed)(
            f"10 steps changed {', '.join(changed)}"
            + (" (a row may declare stochastic=True)" if DRAWS in changed else "")
        )
    return "10 steps"


DRAWS = "torch's random state"

GENERATORS = (DRAWS, "NumPy's random state", "Python's random state")


def _global_state() -> Iterator[tuple[str, Any]]:
    states = (
        torch.get_rng_state().numpy().tobytes(),
        repr(np.random.get_state()),  # noqa: NPY002
        random.getstate(),
    )
    yield from zip(GENERATORS, states, strict=True)
    yield "the default dtype", torch.get_default_dtype()
    yield "the default device", torch.get_default_device()
    yield "the number of threads", torch.get_num_threads()
    yield "the gradient mode", torch.is_grad_enabled()
    yield "the deterministic mode", torch.are_deterministic_algorithms_enabled()
    yield "anomaly detection", torch.is_anomaly_enabled()


def _require_finite(session: Session, under: str) -> None:
    for index, position in enumerate(session.positions()):
        if not position.isfinite().all():
            raise CheckFailed(f"tensor {index} is not finite after {session.step} steps: {under}")


def _dense(value: Tensor) -> Tensor:
    return value.to_dense() if value.is_sparse else value


def _memory(value: Tensor) -> int:
    return value.untyped_storage().data_ptr()


def _memories(state: Any) -> set[int]:
    """Where the memory of every tensor in a state begins."""
    return {
        _memory(leaf)
        for _, leaf in leaves_of(state)
        if isinstance(leaf, Tensor) and not leaf.is_sparse and leaf.numel()
    }
