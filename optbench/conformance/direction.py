"""Does it go where it is told, at the rate it is told?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch.optim.lr_scheduler import LambdaLR

from optbench.conformance.laws import is_refusal
from optbench.engine.error_text import describe
from optbench.scenarios.agreement import require_agreement, shown
from optbench.scenarios.outcomes import CheckFailed, NotApplicable
from optbench.scenarios.perform import perform
from optbench.scenarios.relations import LATE
from optbench.scenarios.scenario import Event, Scenario
from optbench.scenarios.session import Session
from optbench.scenarios.subject import Subject

STEPS = 60

MOVES_BY = 25
"""Steps by which a parameter has moved; some methods only gather in the first ten."""


def rests_as_asked(subject: Subject, dtype: torch.dtype = torch.float64) -> str:
    """Explain that nothing moves at this learning rate; the empty string where something does."""
    rate = subject.settings.get("lr")
    if rate is None or _moves(subject, {}, dtype) or not _moves(subject, {"lr": 0.01}, dtype):
        return ""
    return f"lr={rate!r}: nothing moves, as asked"


def _moves(subject: Subject, settings: Mapping[str, Any], dtype: torch.dtype) -> bool:
    session = Session(subject, subject.sequence(), settings, dtype=dtype)
    return not torch.equal(session.position(), session.advance(MOVES_BY).position())


def maximize_is_minimize_of_the_negative(subject: Subject) -> str:
    """Maximizing f goes the way of minimizing -f, decay and all."""
    if not subject.takes("maximize"):
        raise NotApplicable("it takes no maximize")
    if subject.wants.evaluates_the_loss:
        raise NotApplicable("it evaluates the loss itself")
    tried = 0
    for decay in (None, 0.1):
        if decay is not None and not subject.takes("weight_decay"):
            continue
        settings = {} if decay is None else {"weight_decay": decay}
        sequence = subject.shrinking(STEPS)
        up = Session(subject, sequence, {**settings, "maximize": True})
        start = up.position()
        down = Session(subject, sequence.times(-1.0), {**settings, "maximize": False})
        require_agreement(
            up.trace(STEPS),
            down.trace(STEPS),
            start=start,
            who="minimizing the negative",
            under=f"with maximize=True, weight_decay={decay or 'its default'}",
        )
        tried += 1
    return f"{tried} settings over {STEPS} steps"


def hyperparameters_may_change_on_the_way(subject: Subject) -> str:
    """A number or switch that is set in the groups later raises nothing; parameters stay finite."""
    tried = []
    for variant in subject.variants:
        name, value = [*variant.items()][-1]
        if type(value) is int and subject.hyperparameters[name] not in (0, 1):
            continue  # a size, of what was made at the first step
        scenario = Scenario(
            f"another {name}", "steady", steps=2 * LATE, events=(Event(LATE, "set", variant),)
        )
        if not np.isfinite(
            perform(subject, replace(scenario, settings=variant, events=())).path
        ).all():
            continue  # no setting for these gradients
        if name not in Session(subject, subject.sequence()).optimizer.param_groups[0]:
            continue
        under = f"with {shown(variant).removeprefix('with ')} set in its groups after step {LATE}"
        try:
            path = perform(subject, scenario).path
        except (Exception, SystemExit) as error:
            if is_refusal(error):
                continue
            raise CheckFailed(f"raises {describe(error)}, {under}") from error
        if not np.isfinite(path).all():
            raise CheckFailed(f"parameters are not finite {under}")
        tried.append(name)
    if not tried:
        raise NotApplicable("none of its hyperparameters is in its parameter groups")
    return f"{', '.join(dict.fromkeys(tried))} after step {LATE}"


def a_changed_rate_takes_effect_on_the_next_step(subject: Subject) -> str:
    """The step after a scheduler's is taken at the scheduler's rate."""
    if rests := rests_as_asked(subject):
        raise NotApplicable(rests)
    if subject.lr is None:
        raise NotApplicable("it has no numeric lr")
    changed, after = STEPS // 2, 2
    sequence = subject.sequence(STEPS)
    steady, scheduled = Session(subject, sequence), Session(subject, sequence)
    if not isinstance(scheduled.optimizer, torch.optim.Optimizer):
        raise NotApplicable("it is no torch.optim.Optimizer, which torch's schedulers demand")
    if "lr" not in scheduled.optimizer.param_groups[0]:
        raise CheckFailed("it keeps no lr in its parameter groups, where schedulers change it")
    scheduler = LambdaLR(scheduled.optimizer, lambda step: 0.1 if step >= changed else 1.0)
    for _ in range(changed):
        scheduled.advance(1)
        scheduler.step()
    steady.advance(changed)
    rate = scheduled.optimizer.param_groups[0]["lr"]
    if not torch.equal(steady.position(), scheduled.position()):
        raise CheckFailed("a scheduler that changes nothing changes the path")
    for ahead in range(1, after + 1):
        ours, theirs = scheduled.advance(1).position(), steady.advance(1).position()
        if torch.equal(ours, theirs):
            raise CheckFailed(
                f"lr went from {subject.lr:g} to {float(rate):g} after step {changed}, and step "
                f"{changed + ahead} is still the one at {subject.lr:g}"
            )
    return f"a tenth of the rate after step {changed} shows in step {changed + 1}"
