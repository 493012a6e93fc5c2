"""Does a step stay what it is, and cost what it costs?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from optbench.engine.certify import PROBES, certify
from optbench.engine.state import bytes_of, leaves_of
from optbench.optimizers import Route
from optbench.scenarios.agreement import require_same_bits
from optbench.scenarios.alive import growth_of
from optbench.scenarios.counted_work import Work, cheapest_step, temporaries
from optbench.scenarios.gradients import sequence
from optbench.scenarios.outcomes import Advice, CheckFailed, NotApplicable
from optbench.scenarios.record import LEAK_BYTES
from optbench.scenarios.session import Session
from optbench.scenarios.subject import Subject, problems_for, require_determinism

STEPS = 500


def bits_repeat_in_a_second_run(subject: Subject) -> str:
    """The same start, gradients and random seed give the same bits."""
    runs = [Session(subject, subject.sequence()).trace(60) for _ in range(2)]
    require_same_bits(runs[0], runs[1], "a second run from the same start differs")
    return "60 steps twice"


def the_lane_route_is_certified(subject: Subject) -> str:
    """Many runs in one tensor program give each run its own bits."""
    if not subject.wants.closure:
        require_determinism(subject)
    probes = problems_for(subject, PROBES)
    assert subject.row is not None
    certificate = certify(subject.row, probes=probes)
    by_rounding = certificate.route is Route.INSTANCE and certificate.difference < 1e-9
    if by_rounding and not certificate.certified:
        # Nothing is shared on this route but memory: a decomposition may round by address.
        return f"route {certificate.route.value}, to {certificate.difference:.1g}"
    if not certificate.certified:
        raise CheckFailed(f"route {certificate.route.value}: {certificate.reason}")
    return f"route {certificate.route.value}"


def the_state_does_not_grow(subject: Subject) -> str:
    """After 500 steps the state is as large as after 250."""
    session = Session(subject, subject.sequence()).spend(STEPS // 2)
    early = _size(session.optimizer.state)
    late = _size(session.spend(STEPS // 2).optimizer.state)
    if late > early:
        raise CheckFailed(
            f"the state went from {early:,} bytes after {STEPS // 2} evaluations to {late:,} "
            f"after {STEPS}",
            late / max(early, 1),
        )
    return f"{late:,} bytes"


def memory_does_not_grow(subject: Subject) -> str:
    """What is alive after a step, in the state or elsewhere, does not grow from step to step."""
    growth = growth_of(Session(subject, subject.sequence()))
    if growth > LEAK_BYTES:
        raise CheckFailed(
            f"{growth:,.0f} bytes more are alive after each step, outside of its state or in it: "
            "a graph that is kept (create_graph=True), or a list that grows",
            growth,
        )
    return "500 steps"


def a_step_does_not_grow_dearer(subject: Subject) -> str:
    """A late step, and one after loading, does no more work than an early one did.

    Work is counted, not timed: tensor operations, bytes that they touch, and Python calls. Counts
    do not depend on who else uses the machine. The cheapest of some steps is compared: a method
    may do more now and then (every tenth step, say), and a quarter more is allowed.
    """
    if subject.wants.closure:
        raise NotApplicable("its steps take as many evaluations as they like")
    session = Session(subject, subject.sequence())
    session.advance(STEPS // 5)
    early = cheapest_step(session)
    session.advance(STEPS - STEPS // 5)
    late = cheapest_step(session)
    _require_no_more(late, early, f"after {session.step} steps", f"after {STEPS // 5}")
    try:
        loaded = session.resumed().advance(3)
    except Exception as error:
        raise NotApplicable(f"it cannot be loaded (another check says so): {error}") from error
    _require_no_more(cheapest_step(loaded), late, "after loading", "before")
    return f"{late.operations} operations, {late.calls} calls, {late.bytes:,} bytes a step"


def the_default_takes_no_more_memory_than_the_loop(subject: Subject) -> str:
    """A step by the default implementation needs no more temporary memory than the plain loop."""
    if not subject.takes("foreach"):
        raise NotApplicable("it takes no foreach")
    if {"foreach", "fused"} & {*subject.asks_for}:
        raise NotApplicable("this row asks for another implementation than the default")
    default, loop = (_peak(subject, settings) for settings in ({}, {"foreach": False}))
    if default > 1.1 * loop + 1024:
        raise Advice(
            f"temporaries of {default:,} bytes by default and of {loop:,} with foreach=False, "
            "over 20 tensors of 8,000 bytes each: it holds those of all tensors at once",
            default / max(loop, 1),
        )
    return f"{default:,} bytes of temporaries over 20 tensors of 8,000 bytes"


def _require_no_more(now: Work, then: Work, when: str, before: str) -> None:
    for name, what, slack in (
        ("operations", "tensor operations", 4),
        ("bytes", "bytes read or written", 4096),
        ("calls", "Python calls", 8),
    ):
        new, old = getattr(now, name), getattr(then, name)
        if new > 1.25 * old + slack:
            raise CheckFailed(
                f"a step costs {new:,} {what} {when}, up from {old:,} {before}",
                new / max(old, 1),
            )


def _peak(subject: Subject, settings: Mapping[str, Any]) -> int:
    """Most bytes of temporaries that a step holds at once."""
    shape = (10, 100) if subject.wants.matrices else (1000,)
    return temporaries(Session(subject, sequence((shape,) * 20, 4), settings).advance(2))


def _size(state: Any) -> int:
    """Bytes of tensors, and eight for every other entry."""
    size = 0
    for _, leaf in leaves_of(state):
        if isinstance(leaf, Tensor):
            size += bytes_of(leaf)
        else:
            size += _size([*leaf]) if isinstance(leaf, set) else 8
    return size
