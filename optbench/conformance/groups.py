"""Is a parameter treated by itself, whatever stands beside it?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from optbench.conformance.agreement import EXACT, require_agreement
from optbench.conformance.course import Course
from optbench.conformance.direction import rests_as_asked
from optbench.conformance.neighbours import neighbours
from optbench.conformance.outcomes import CheckFailed, NotApplicable
from optbench.conformance.session import Session
from optbench.conformance.subject import Subject, require_determinism, require_separable
from optbench.engine.error_text import describe

STEPS = 60


def groups_keep_their_own_hyperparameters(subject: Subject) -> str:
    """Two groups with hyperparameters of their own go as two optimizers with those would."""
    _require_groups(subject)
    course = subject.course(STEPS)
    of_a_group = Session(subject, course).optimizer.param_groups[0]
    base = Session(subject, course).advance(STEPS).position()
    tried = []
    for name, value in subject.hyperparameters.items():
        options = list(neighbours(name, value))
        if not options or name not in of_a_group:
            continue
        other = _taken(subject, course, name, options, base)
        if other is None:
            continue

        def groups(params: list[torch.Tensor], n: str = name, v: Any = other) -> Any:
            return [{"params": params[:1]}, {"params": params[1:], n: v}]

        both = Session(subject, course, groups=groups)
        start = both.position()
        ours = both.trace(STEPS)
        apart = [
            Session(subject, course.select([0])),
            Session(subject, course.select(range(1, len(course.starts))), {name: other}),
        ]
        theirs = torch.cat([session.trace(STEPS) for session in apart], dim=1)
        require_agreement(
            ours, theirs, start=start,
            who="two optimizers of one group each",
            under=f"when the second group has {name}={other!r}",
        )  # fmt: skip
        tried.append(name)
    if not tried:
        if rests := rests_as_asked(subject):
            raise NotApplicable(rests)
        raise NotApplicable("none of its hyperparameters is in its parameter groups")
    return f"a group's own {', '.join(tried)}"


def a_group_added_in_mid_run_works(subject: Subject) -> str:
    """A group that is added after some steps goes as if its optimizer began then."""
    _require_groups(subject)
    course = subject.course(STEPS)
    first = course.select([0])
    rest = course.select(range(1, len(course.starts)))
    begin = STEPS // 3
    lonely = course
    for index in range(1, len(course.starts)):
        lonely = lonely.with_gradient(index, None)
    # The others are there from the start, but without a gradient, and unknown to the optimizer.
    whole = Session(subject, lonely, groups=lambda params: params[:1]).advance(begin)
    whole.optimizer.add_param_group({"params": whole.params[1:]})
    whole.meet(course)
    start = whole.position()
    ours = whole.trace(STEPS - begin)

    alone = Session(subject, first).advance(begin)
    later = Session(subject, rest)
    later.step = begin
    theirs = torch.cat([alone.trace(STEPS - begin), later.trace(STEPS - begin)], dim=1)
    require_agreement(
        ours, theirs, start=start, who="optimizers of their own",
        under=f"when the group is added after {begin} steps",
    )  # fmt: skip
    return f"added after {begin} steps, led on for {STEPS - begin}"


def neighbours_do_not_matter(subject: Subject) -> str:
    """A tensor goes the same way alone and in the company of others."""
    require_determinism(subject)
    require_separable(subject)
    course = subject.course(STEPS)
    together = Session(subject, course)
    start = together.position()
    ours = together.trace(STEPS)
    theirs = torch.cat(
        [Session(subject, course.select([i])).trace(STEPS) for i in range(len(course.starts))],
        dim=1,
    )
    require_agreement(
        ours, theirs, start=start, who="the same tensors, each alone", under="at its defaults"
    )
    return f"{len(course.starts)} tensors together and alone"


def the_order_of_parameters_does_not_matter(subject: Subject) -> str:
    """Parameters that are handed over in another order go the same way."""
    require_determinism(subject)
    # Sums over all tensors round otherwise in another order, and a line search makes much of it.
    steps, relative = (8, 1e-6) if subject.couples_tensors else (STEPS, EXACT)
    course = subject.course(steps)
    order = list(range(len(course.starts)))[::-1]
    forward = Session(subject, course)
    start = forward.position()
    ours = forward.trace(steps)
    backward = Session(subject, course.select(order))
    theirs = _in_order(backward.trace(steps), course, order)
    require_agreement(
        ours, theirs, start=start, relative=relative,
        who="the same parameters in reverse order", under="at its defaults",
    )  # fmt: skip
    return f"{len(order)} tensors forwards and backwards"


def splitting_a_tensor_does_not_matter(subject: Subject) -> str:
    """A tensor cut in two goes as the whole does, where the method is elementwise."""
    require_determinism(subject)
    if subject.wants.evaluates_the_loss:
        raise NotApplicable("it evaluates the loss itself, whose curvature is a tensor's own")
    if not subject.elementwise:
        raise NotApplicable(
            "not elementwise by design: an element's update depends on its neighbours"
        )
    course = subject.shrinking(STEPS)
    whole = Session(subject, course)
    start = whole.position()
    ours = whole.trace(STEPS)
    first, gradient = course.starts[0], course.gradients[0]
    assert gradient is not None
    cut = len(first) // 2
    halves = Course(
        (first[:cut], first[cut:], *course.starts[1:]),
        (gradient[:, :cut], gradient[:, cut:], *course.gradients[1:]),
    )
    theirs = Session(subject, halves).trace(STEPS)
    require_agreement(
        ours, theirs, start=start, who="the same with one tensor cut in two",
        under="at its defaults",
    )  # fmt: skip
    return f"{first.shape} as {(cut, *first.shape[1:])} and {(len(first) - cut, *first.shape[1:])}"


def _require_groups(subject: Subject) -> None:
    require_determinism(subject)
    require_separable(subject)
    course = subject.course(STEPS)
    try:
        Session(subject, course, groups=lambda p: [{"params": p[:1]}, {"params": p[1:]}]).advance(1)
    except Exception as error:
        if "group" in str(error):
            raise NotApplicable(f"it refuses groups: {error}") from error
        raise CheckFailed(f"two groups: {describe(error)}") from error


def _taken(
    subject: Subject, course: Course, name: str, options: Sequence[Any], base: torch.Tensor
) -> Any | None:
    """Return the first accepted value whose trajectory ends elsewhere than ``base``."""
    for value in options:
        try:
            moved = Session(subject, course, {name: value}).advance(STEPS).position()
        # Refusing is its right.
        except (Exception, SystemExit):  # noqa: BLE001
            continue
        if not torch.equal(base, moved):
            return value
    return None


def _in_order(trace: torch.Tensor, course: Course, order: Sequence[int]) -> torch.Tensor:
    """Columns of a trace of reordered tensors, back in the course's order."""
    sizes = [int(np.prod(course.starts[i].shape)) for i in order]
    pieces = dict(zip(order, trace.split(sizes, dim=1), strict=True))
    return torch.cat([pieces[i] for i in range(len(order))], dim=1)
