"""Is a parameter treated by itself, whatever stands beside it?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from optbench.conformance.direction import rests_as_asked
from optbench.engine.error_text import describe
from optbench.scenarios.agreement import EXACT, require_agreement
from optbench.scenarios.gradients import GradientSequence
from optbench.scenarios.outcomes import Advice, CheckFailed, NotApplicable
from optbench.scenarios.perform import gradients_of
from optbench.scenarios.perturb import nearby_values
from optbench.scenarios.scenario import Scenario
from optbench.scenarios.session import Session
from optbench.scenarios.subject import Subject, require_determinism, require_separable

STEPS = 60


def groups_keep_their_own_hyperparameters(subject: Subject) -> str:
    """Two groups with hyperparameters of their own go as two optimizers with those would."""
    _require_groups(subject)
    sequence = subject.sequence(STEPS)
    of_a_group = Session(subject, sequence).optimizer.param_groups[0]
    base = Session(subject, sequence).advance(STEPS).position()
    tried = []
    for name, value in subject.hyperparameters.items():
        options = list(nearby_values(name, value))
        if not options or name not in of_a_group:
            continue
        other = _taken(subject, sequence, name, options, base)
        if other is None:
            continue

        def groups(params: list[torch.Tensor], n: str = name, v: Any = other) -> Any:
            return [{"params": params[:1]}, {"params": params[1:], n: v}]

        both = Session(subject, sequence, groups=groups)
        start = both.position()
        ours = both.trace(STEPS)
        apart = [
            Session(subject, sequence.select([0])),
            Session(subject, sequence.select(range(1, len(sequence.starts))), {name: other}),
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
    sequence = subject.sequence(STEPS)
    first = sequence.select([0])
    rest = sequence.select(range(1, len(sequence.starts)))
    begin = STEPS // 3
    lonely = sequence
    for index in range(1, len(sequence.starts)):
        lonely = lonely.with_gradient(index, None)
    # The others are there from the start, but without a gradient, and unknown to the optimizer.
    whole = Session(subject, lonely, groups=lambda params: params[:1]).advance(begin)
    whole.optimizer.add_param_group({"params": whole.params[1:]})
    whole.meet(sequence)
    start = whole.position()
    ours = whole.trace(STEPS - begin)

    alone = Session(subject, first).advance(begin)
    later = Session(subject, rest)
    later.step = begin
    theirs = torch.cat([alone.trace(STEPS - begin), later.trace(STEPS - begin)], dim=1)
    try:
        require_agreement(
            ours, theirs, start=start, who="optimizers of their own",
            under=f"when the group is added after {begin} steps",
        )  # fmt: skip
    except CheckFailed as error:
        known = Session(subject, lonely).advance(begin).meet(sequence).trace(STEPS - begin)
        try:
            require_agreement(ours, known, start=start, who="", under="")
        except CheckFailed:
            raise error from None
        # One counter may also keep the added group from moving at all.
        if any(torch.equal(start[i], ours[-1][i]) for i in range(len(start))):
            raise
        text = "it goes as a group that was there from the start: one count of steps serves all"
        raise Advice(f"{error}; {text}", error.measured) from None
    return f"added after {begin} steps, led on for {STEPS - begin}"


def neighbours_do_not_matter(subject: Subject) -> str:
    """A tensor goes the same way alone and in the company of others."""
    require_determinism(subject)
    require_separable(subject)
    sequence = subject.sequence(STEPS)
    together = Session(subject, sequence)
    start = together.position()
    ours = together.trace(STEPS)
    theirs = torch.cat(
        [Session(subject, sequence.select([i])).trace(STEPS) for i in range(len(sequence.starts))],
        dim=1,
    )
    require_agreement(
        ours, theirs, start=start, who="the same tensors, each alone", under="at its defaults"
    )
    return f"{len(sequence.starts)} tensors together and alone"


def gradients_may_come_and_go(subject: Subject) -> str:
    """A tensor without a gradient at some steps goes as if it were alone, and those steps left out.

    Where a method counts the steps of a group, as if it were alone: that is right, too.
    """
    require_determinism(subject)
    require_separable(subject)
    if subject.wants.evaluates_the_loss:
        raise NotApplicable("it evaluates the loss itself")
    scenario = Scenario("gradients that come and go", "steady", ("coming and going",), steps=STEPS)
    sequence = gradients_of(subject, scenario)
    assert sequence.present is not None
    together = Session(subject, sequence)
    start, ours = together.positions(), []
    for _ in range(STEPS):
        together.advance(1)
        ours.append(together.positions())
    for index in range(len(sequence.starts)):
        present = sequence.present[:, index]
        path = torch.stack([step[index].reshape(-1) for step in ours])
        alone = sequence.select([index])
        gradient = alone.gradients[0]
        assert gradient is not None
        left_out = replace(alone, gradients=(gradient[present],), present=None)
        per_tensor = Session(subject, left_out).trace(int(present.sum()))
        begin = start[index].reshape(-1)
        try:
            require_agreement(
                path[torch.from_numpy(present)], per_tensor, start=begin,
                who="the same tensor alone", under=f"tensor {index} with some gradients missing",
            )  # fmt: skip
        except CheckFailed as error:
            per_group = Session(subject, alone).trace(STEPS)
            try:
                require_agreement(path, per_group, start=begin, who="", under="")
            except CheckFailed:
                raise error from None
    return f"{len(sequence.starts)} tensors, {STEPS} steps, a gradient missing at up to every third"


def the_order_of_parameters_does_not_matter(subject: Subject) -> str:
    """Parameters that are handed over in another order go the same way."""
    require_determinism(subject)
    # Sums over all tensors round otherwise in another order, and a line search makes much of it.
    steps, relative = (8, 1e-6) if subject.couples_tensors else (STEPS, EXACT)
    sequence = subject.sequence(steps)
    order = list(range(len(sequence.starts)))[::-1]
    forward = Session(subject, sequence)
    start = forward.position()
    ours = forward.trace(steps)
    backward = Session(subject, sequence.select(order))
    theirs = _in_order(backward.trace(steps), sequence, order)
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
    sequence = subject.shrinking(STEPS)
    whole = Session(subject, sequence)
    start = whole.position()
    ours = whole.trace(STEPS)
    first, gradient = sequence.starts[0], sequence.gradients[0]
    assert gradient is not None
    cut = len(first) // 2
    halves = GradientSequence(
        (first[:cut], first[cut:], *sequence.starts[1:]),
        (gradient[:, :cut], gradient[:, cut:], *sequence.gradients[1:]),
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
    sequence = subject.sequence(STEPS)
    try:
        Session(subject, sequence, groups=lambda p: [{"params": p[:1]}, {"params": p[1:]}]).advance(
            1
        )
    except Exception as error:
        if "group" in str(error):
            raise NotApplicable(f"it refuses groups: {error}") from error
        raise CheckFailed(f"two groups: {describe(error)}") from error


def _taken(
    subject: Subject,
    sequence: GradientSequence,
    name: str,
    options: Sequence[Any],
    base: torch.Tensor,
) -> Any | None:
    """Return the first accepted value whose trajectory ends elsewhere than ``base``."""
    for value in options:
        try:
            moved = Session(subject, sequence, {name: value}).advance(STEPS).position()
        # Refusing is its right.
        except (Exception, SystemExit):  # noqa: BLE001
            continue
        if not torch.equal(base, moved):
            return value
    return None


def _in_order(
    trace: torch.Tensor, sequence: GradientSequence, order: Sequence[int]
) -> torch.Tensor:
    """Columns of a trace of reordered tensors, back in the sequence's order."""
    sizes = [int(np.prod(sequence.starts[i].shape)) for i in order]
    pieces = dict(zip(order, trace.split(sizes, dim=1), strict=True))
    return torch.cat([pieces[i] for i in range(len(order))], dim=1)
