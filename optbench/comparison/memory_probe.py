"""In a side's process: what a step costs, in seconds and in bytes."""

from __future__ import annotations

import torch

from optbench.comparison.requests import Memory
from optbench.engine.state import state_bytes
from optbench.scenarios.alive import growth_of
from optbench.scenarios.compiled import CompiledSteps, compiled_steps
from optbench.scenarios.counted_work import cheapest_step, temporaries
from optbench.scenarios.gradients import sequence
from optbench.scenarios.session import Session
from optbench.scenarios.subject import Subject


def weigh(subject: Subject, *, compiled: bool = True) -> Memory:
    """Count over 20 tensors of 1,000 float32 elements, and over 500 steps of small ones.

    ``compiled``: count graphs under torch.compile, too.
    """
    shape = (25, 40) if subject.wants.matrices else (1000,)
    large = Session(subject, sequence((shape,) * 20, 4), dtype=torch.float32).advance(3)
    count = sum(p.numel() for p in large.params)
    state = state_bytes(large.optimizer)
    session = Session(subject, subject.sequence())
    growth = growth_of(session)
    operations = 0 if subject.wants.closure else cheapest_step(session, 5).operations
    steps = _compiled(subject) if compiled else None
    return Memory(
        state_bytes=state / count,
        temporary_bytes=temporaries(large) / count,
        growth_bytes=growth,
        operations=operations,
        operations_after_loading=_after_loading(session) if operations else 0,
        graphs=steps.graphs_per_step if steps else None,
        recompiles=bool(steps and steps.compiled_again),
        breaks=steps.breaks if steps else (),
    )


def _compiled(subject: Subject) -> CompiledSteps | None:
    try:
        return compiled_steps(subject)
    # That it cannot be compiled is for `optbench check` to say.
    except Exception:  # noqa: BLE001
        return None


def _after_loading(session: Session) -> int:
    try:
        return cheapest_step(session.resumed().advance(3), 5).operations
    # Another question, which the maths answers.
    except Exception:  # noqa: BLE001
        return 0
