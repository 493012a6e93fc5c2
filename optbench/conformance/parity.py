"""Does it compute the same as somebody who was not asked?"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch

from optbench.optimizers import OPTIMIZERS, Optimizer
from optbench.optimizers.textbook_optimizers import ORACLES
from optbench.scenarios.agreement import (
    EXACT,
    FLOAT32,
    require_agreement,
    shown,
)
from optbench.scenarios.combinations import settings_over
from optbench.scenarios.gradients import GradientSequence, shrinking, tiny
from optbench.scenarios.outcomes import CheckFailed, NotApplicable
from optbench.scenarios.relations import Over
from optbench.scenarios.session import Session
from optbench.scenarios.subject import IMPLEMENTATION, Subject

STEPS = 300
"""Past the step where bfloat16 stops counting (256)."""

TEXTBOOK = "textbook-"
"""Prefix of the names of reference implementations."""

SHORT = 60
"""For settings beside the default."""


def follows_its_oracle(subject: Subject) -> str:
    """Its float64 trajectory is that of an independent transcription of its paper."""
    if subject.oracle is None:
        fitting = _fitting(subject)
        raise NotApplicable(
            f"no reference is known for it; --reference {fitting} compares it with that rule"
            if fitting
            else "no reference is known for it; --reference NAME compares it with one that you have"
        )
    return _parity(subject, subject.oracle, torch.float64)


def follows_its_oracle_in_float32(subject: Subject) -> str:
    """With float32 parameters it stays near the transcription that computes in float64."""
    if subject.oracle is None:
        raise NotApplicable("no reference is known for it")
    if subject.wants.closure:
        raise NotApplicable("it compares losses, and a rounding decides which is the less")
    return _parity(subject, subject.oracle, torch.float32)


def follows_the_reference(subject: Subject) -> str:
    """Its float64 trajectory is that of the reference that was asked for."""
    reference = subject.reference
    if reference is None:
        raise NotApplicable("no --reference was given")
    name = reference.oracle or ORACLES.get(reference.factory, "")  # type: ignore[call-overload]
    if not name:
        return _parity(subject, reference, torch.float64)
    # A reference may be wrong: torch's NAdam and ASGD keep float32 scalars.
    oracle = OPTIMIZERS[name]
    takes = Subject(oracle.name, oracle.factory).takes
    told = {key: value for key, value in reference.defaults.items() if takes(key)}
    oracle = replace(oracle, defaults={**oracle.defaults, **told})
    text = f"compared with {name}, the transcription of {reference.name}"
    try:
        return f"{_parity(subject, oracle, torch.float64)}; {text}"
    except CheckFailed as error:
        raise CheckFailed(f"{error}\n{text}", error.measured) from error.__cause__


def foreach_equals_the_loop(subject: Subject) -> str:
    """``foreach=True`` computes what ``foreach=False`` does, states included."""
    return _same_by_another_way(subject, "foreach")


def fused_equals_the_loop(subject: Subject) -> str:
    """``fused=True`` computes what the loop does, states included."""
    return _same_by_another_way(subject, "fused")


def differentiable_equals_the_loop(subject: Subject) -> str:
    """``differentiable=True`` computes what the loop does."""
    return _same_by_another_way(subject, "differentiable")


def capturable_equals_the_loop(subject: Subject) -> str:
    """``capturable=True`` computes what the loop does (on an accelerator only)."""
    return _same_by_another_way(subject, "capturable")


def _fitting(subject: Subject) -> str:
    """Return the reference implementation that fits a class's name and arguments, if any does."""
    called = getattr(subject.factory, "__name__", subject.name).lower()
    for row in sorted(OPTIMIZERS.select(f"{TEXTBOOK}*"), key=lambda row: -len(row.name)):
        rule = row.name.removeprefix(TEXTBOOK).replace("-", "")
        them = Subject(row.name, row.factory)
        # FusedAdam may be Adam; QHAdam has arguments that Adam has not.
        if called in (rule, *getattr(row.factory, "other_names", ())) or (
            called.endswith(rule) and all(map(them.takes, subject.hyperparameters))
        ):
            return row.name
    return ""


class _Differs(CheckFailed):
    """Differs from a reference in so many settings."""

    def __init__(self, text: str, measured: float | None, settings: int) -> None:
        super().__init__(text, measured)
        self.settings = settings


def _parity(subject: Subject, other: Optimizer, dtype: torch.dtype) -> str:
    """Parity with a reference as it stands, or as one of its readings has it.

    A reading that sets what the subject has as a hyperparameter is none: the subject's value holds.
    """
    failures: list[_Differs] = []
    for reading in ({}, *getattr(other.factory, "readings", ())):
        if any(map(subject.takes, reading)):
            continue
        read = replace(other, defaults={**other.defaults, **reading})
        text = f"; {other.name} was run {shown(reading)}" if reading else ""
        try:
            return f"{_parity_as_it_stands(subject, read, dtype)}{text}"
        except _Differs as error:
            failures.append(_Differs(f"{error}{text}", error.measured, error.settings))
    # The reading that most settings agree with, and the nearest of those.
    raise min(failures, key=lambda error: (error.settings, error.measured or 0.0))


def _parity_as_it_stands(subject: Subject, other: Optimizer, dtype: torch.dtype) -> str:
    """Both along the same sequences, with the same hyperparameters, as far as both have them."""
    relative = getattr(other.factory, "agreement", EXACT)
    if dtype is not torch.float64:
        relative = max(relative, FLOAT32)
    them = Subject(
        other.name,
        other.factory,
        dict(other.defaults),
        row=other,
        wants=subject.wants,
        stochastic=other.stochastic,
        before_step=other.before_step,
    )
    shared = [name for name in subject.hyperparameters if them.takes(name)]
    # Both are told the subject's defaults; they may have other ones.
    base = {n: v for n in shared if (v := subject.hyperparameters[n]) is not None}
    pair = _Pair(subject, them, base, dtype, relative)
    shapes = getattr(other.factory, "shapes", None) or subject.shapes
    long, short = shrinking(shapes, STEPS), shrinking(shapes, SHORT)
    trials: list[tuple[str, GradientSequence, Mapping[str, Any]]] = [
        ("along shrinking gradients", long, {}),
        ("along gradients about 1e-7", tiny(shapes, SHORT), {}),
    ]
    trials += [
        ("along shrinking gradients", short, settings)
        for settings in subject.variants
        if all(name in shared for name in settings)
    ]
    # Decay with momentum, with dampening, by foreach, ...: what is zero by default gets company.
    trials += [
        ("along shrinking gradients", short, settings)
        for settings in settings_over(subject, Over.COMBINATIONS)
        if len(settings) > 1 and all(name in shared for name in _of_the_rule(settings))
    ]
    worst = 0.0
    left_out = 0
    parted: list[tuple[Mapping[str, Any], CheckFailed]] = []
    for along, sequence, settings in trials:
        if settings and not them.accepts({**base, **_of_the_rule(settings)}):
            left_out += 1
            continue
        under = f"{along}, {shown({**subject.settings, **settings})}"
        try:
            worst = max(worst, pair.apart(sequence, settings, under))
        except CheckFailed as error:
            parted.append((settings, error))
    if parted:
        _, first = parted[0]
        tried = len(trials) - left_out
        clues = [f"agrees in {tried - len(parted)} of {tried} settings"]
        differing = [{*settings} for settings, _ in parted]
        # What differs with one of them alone differs in its company, too.
        least = [names for names in differing if not any(other < names for other in differing)]
        disturbed = sorted(set[str]().union(*least))
        if not any(not settings for settings, _ in parted):
            clues.append(f"differs only with another {' or '.join(disturbed)}")
        clues += _clues(pair, short, parted[0][0])
        size = max(error.measured or 0.0 for _, error in parted)
        raise _Differs(f"{first}\n{'; '.join(clues)}", size, len(parted))
    tried = len(trials) - left_out
    text = f"{tried} settings, apart by at most {worst:.1g} times the distance travelled"
    missing = [name for name in subject.hyperparameters if name not in shared]
    if missing:
        text += f"; {other.name} has no {', '.join(missing)}"
    return text


@dataclass(frozen=True)
class _Pair:
    """Two that ought to compute the same when the other is told ``base``, up to ``relative``."""

    subject: Subject
    them: Subject
    base: Mapping[str, Any]
    dtype: torch.dtype
    relative: float

    def apart(self, sequence: GradientSequence, settings: Mapping[str, Any], under: str) -> float:
        """Lead both to the end of a sequence; see `require_agreement`."""
        return _apart(
            Session(self.subject, sequence, settings, dtype=self.dtype),
            Session(self.them, sequence, {**self.base, **_of_the_rule(settings)}, dtype=self.dtype),
            relative=self.relative,
            dtype=self.dtype,
            who=self.them.name,
            under=under,
        )


def _apart(
    ours: Session,
    theirs: Session,
    *,
    relative: float = EXACT,
    dtype: torch.dtype = torch.float64,
    who: str,
    under: str,
) -> float:
    """Lead both to the end of their sequence; see `require_agreement`."""
    start, steps = ours.position(), ours.sequence.length
    return require_agreement(
        ours.trace(steps),
        theirs.trace(steps),
        start=start,
        relative=relative,
        dtype=dtype,
        who=who,
        under=under,
    )


def _of_the_rule(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings without those that choose an implementation."""
    return {name: value for name, value in settings.items() if name not in IMPLEMENTATION}


def _clues(pair: _Pair, short: GradientSequence, differing: Mapping[str, Any]) -> list[str]:
    """Find the setting without which the two agree: the place to look."""
    trials = [("one tensor alone", short.select([0]), {**differing})]
    for name in ("eps", "weight_decay", "momentum"):
        if {**pair.base, **differing}.get(name):
            trials.append((f"{name}=0", short, {**differing, name: 0.0}))
    found = []
    for words, sequence, settings in trials:
        if pair.subject.accepts(settings) and pair.them.accepts(
            {**pair.base, **_of_the_rule(settings)}
        ):
            with contextlib.suppress(CheckFailed):
                pair.apart(sequence, settings, words)
                found.append(f"agrees with {words}")
    return found


def _same_by_another_way(subject: Subject, way: str) -> str:
    if not subject.takes(way):
        raise NotApplicable(f"it takes no {way}")
    if subject.asks_for:
        raise NotApplicable(
            f"it asks for {subject.asks_for[0]} itself; its own reference is compared instead"
        )
    loop = {"foreach": False} if way != "foreach" and subject.takes("foreach") else {way: False}
    leaves = way != "differentiable"
    try:
        Session(subject, subject.sequence(), {way: True}, leaves=leaves).advance(1)
    except (RuntimeError, AssertionError, ValueError, TypeError) as error:
        if way == "foreach":
            raise
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise NotApplicable(f"not offered here: {first}") from error
    if way == "differentiable":
        _differentiable(subject)
    worst, tried = 0.0, 0
    for settings in ({}, *subject.variants):
        sequence = subject.shrinking(STEPS if not settings else SHORT)
        try:
            Session(subject, sequence, {**settings, way: True}, leaves=leaves).advance(1)
        except (RuntimeError, ValueError, TypeError):
            continue  # this way refuses this setting, which it may
        ours = Session(subject, sequence, {**settings, way: True}, leaves=leaves)
        plain = Session(subject, sequence, {**settings, **loop})
        under = f"{way}=True, {shown(settings)}"
        worst = max(worst, _apart(ours, plain, who="the loop", under=under))
        _require_same_state(ours, plain, way, settings)
        tried += 1
    fed = replace(subject.wants, sparse=True, closure=False, graph=False)
    sparsely = replace(subject, wants=fed)
    if not subject.wants.sparse and _takes_sparse(sparsely, loop):
        worst = max(worst, _sparse(sparsely, way, loop))
        tried += 1
    return f"{tried} settings, apart by at most {worst:.1g} times the distance travelled"


def _require_same_state(
    ours: Session, plain: Session, way: str, settings: Mapping[str, Any]
) -> None:
    for index in range(len(ours.params)):
        one, other = ours.state_of(index), plain.state_of(index)
        for name in other:
            a, b = one.get(name), other[name]
            if not (isinstance(a, torch.Tensor) and isinstance(b, torch.Tensor) and b.numel()):
                continue
            apart = (a.detach().double() - b.detach().double()).abs().max()
            if not apart <= EXACT * b.double().abs().max().clamp_min(1e-30) + 1e-30:
                raise CheckFailed(
                    f"{way}=True leaves another state than the loop, {shown(settings)}: "
                    f"{name} of tensor {index} is off by {float(apart):.2g}",
                    float(apart),
                )


def _differentiable(subject: Subject) -> None:
    """The graph of a step reaches the start and the gradient."""
    start = torch.full((4, 3), 0.5, dtype=torch.float64, requires_grad=True)
    gradient = torch.linspace(-1, 1, 12, dtype=torch.float64).reshape(4, 3).requires_grad_()
    moving = start.clone()
    optimizer = subject.make([moving], differentiable=True)
    moving.grad = gradient.clone()
    optimizer.step()
    moving.sum().backward()
    for name, leaf in (("the start", start), ("the gradient", gradient)):
        # Of a sign method the derivative by the gradient is zero, but it is there.
        if leaf.grad is None or not leaf.grad.isfinite().all():
            raise CheckFailed(f"differentiable=True: no finite derivative of a step by {name}")


def _takes_sparse(sparsely: Subject, loop: dict[str, Any]) -> bool:
    try:
        Session(sparsely, sparsely.sequence(), loop).advance(2)
    except Exception:  # noqa: BLE001 - to refuse them is its right
        return False
    return True


def _sparse(sparsely: Subject, way: str, loop: dict[str, Any]) -> float:
    sequence = sparsely.sequence()
    try:
        ours = Session(sparsely, sequence, {way: True})
        start = ours.position()
        trace = ours.trace(SHORT)
    except Exception as error:
        if way == "foreach":
            said = f"foreach=True refuses sparse gradients, which the loop takes: {error}"
            raise CheckFailed(said) from error
        return 0.0
    return require_agreement(
        trace,
        Session(sparsely, sequence, loop).trace(SHORT),
        start=start,
        who="the loop",
        under=f"{way}=True, along sparse gradients",
    )
