"""Laws between two scenarios: whatever the rule, these two have to go alike."""

from __future__ import annotations

import math
import traceback
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from optbench.engine.error_text import describe
from optbench.scenarios.agreement import require_agreement, require_same_bits, shown
from optbench.scenarios.combinations import settings_over
from optbench.scenarios.gradients import two_as_complex
from optbench.scenarios.outcomes import Advice, CheckFailed, NotApplicable
from optbench.scenarios.perform import perform
from optbench.scenarios.record import AS_GIVEN, IN_EVAL_MODE, Record, disagreements
from optbench.scenarios.relations import RELATIONS, Relation
from optbench.scenarios.scenario import Scenario
from optbench.scenarios.session import Session
from optbench.scenarios.subject import Subject, require_determinism


def the_layout_in_memory_does_not_matter(subject: Subject) -> str:
    """Tensors of other strides, expanded or channels_last, go as contiguous ones."""
    return _hold(subject, "the_layout_in_memory_does_not_matter")


def empty_tensors_do_not_matter(subject: Subject) -> str:
    """Tensors without elements, first, last and between, leave the others as they are."""
    return _hold(subject, "empty_tensors_do_not_matter")


def uncoalesced_gradients_go_as_coalesced_ones(subject: Subject) -> str:
    """A sparse gradient that gives a row twice goes as one that gives the sum."""
    return _hold(subject, "uncoalesced_gradients_go_as_coalesced_ones")


def an_empty_sparse_gradient_is_survived(subject: Subject) -> str:
    """A sparse gradient that holds nothing raises nothing, and leaves parameters finite."""
    return _hold(subject, "an_empty_sparse_gradient_is_survived")


def mirrored_gradients_mirror_the_path(subject: Subject) -> str:
    """From the mirrored start along mirrored gradients it goes the mirrored path."""
    return _hold(subject, "mirrored_gradients_mirror_the_path")


def a_tensor_rate_goes_as_the_number(subject: Subject) -> str:
    """A learning rate that is a tensor of one element goes as the number, and is not written to."""
    return _hold(subject, "a_tensor_rate_goes_as_the_number")


def a_rate_of_zero_is_survived(subject: Subject) -> str:
    """At a learning rate of zero, first or later, parameters stay finite and nothing is raised."""
    return _hold(subject, "a_rate_of_zero_is_survived")


def a_scheduler_of_rate_and_momentum_works(subject: Subject) -> str:
    """OneCycleLR, which sets learning rate and momentum or the first beta, can drive it."""
    return _hold(subject, "a_scheduler_of_rate_and_momentum_works")


def a_loaded_optimizer_shares_no_memory(subject: Subject) -> str:
    """Of two optimizers, one loaded with the other's state_dict(), neither moves the other."""
    try:
        return _hold(subject, "a_loaded_optimizer_shares_no_memory")
    except CheckFailed:
        # A class that loads in a way of its own could copy, also where it calls torch's method.
        if inherits_from_torch(subject, "load_state_dict"):
            raise NotApplicable(
                "it shares memory with the state_dict() that it loaded, as does every class that "
                "inherits load_state_dict from torch.optim.Optimizer"
            ) from None
        raise


def inherits_from_torch(subject: Subject, method: str) -> bool:
    """Whether a class outside of torch has this method from torch's base class."""
    if is_of_torch(subject):
        return False
    return getattr(subject.factory, method, None) is getattr(torch.optim.Optimizer, method)


def is_of_torch(subject: Subject) -> bool:
    """Whether it is one of torch's own classes."""
    return getattr(subject.factory, "__module__", "").partition(".")[0] == "torch"


def saves_and_loads_before_the_first_step(subject: Subject) -> str:
    """It can be loaded before its first step, and with a parameter that never had a gradient."""
    return _hold(subject, "saves_and_loads_before_the_first_step")


def saves_and_loads_in_float16(subject: Subject) -> str:
    """With float16 parameters and small gradients it is resumed with the same bits."""
    return _hold(subject, "saves_and_loads_in_float16")


def float16_goes_on_after_70000_steps(subject: Subject) -> str:
    """With float16 parameters it goes on from more steps than float16 can count."""
    return _hold(subject, "float16_goes_on_after_70000_steps")


def eval_and_back_changes_nothing(subject: Subject) -> str:
    """Switched to eval() and back to train(), each twice, it goes on as if it had not been."""
    return _hold(subject, "eval_and_back_changes_nothing")


def a_gradient_scaler_does_not_matter(subject: Subject) -> str:
    """Under GradScaler, with unscale_ and clipping or not, it goes as without."""
    if subject.before_step is not None:
        raise NotApplicable("its hook is given the gradients before GradScaler divides them")
    return _hold(subject, "a_gradient_scaler_does_not_matter")


def complex_parameters_go_as_their_real_view(subject: Subject) -> str:
    """Complex parameters go the way of their real and imaginary parts, as torch has it."""
    if not subject.elementwise:
        raise NotApplicable("its rule is not elementwise, and a complex tensor has another shape")
    try:
        return _hold(subject, "complex_parameters_go_as_their_real_view")
    except CheckFailed as error:
        # A rule of absolute values is one, too: it goes the same way wherever the axes point.
        if _turns_with_its_axes(subject):
            text = f"{error}; it takes a complex number as one, where torch takes it as two"
            raise Advice(text, error.measured) from None
        hint = "to refuse complex parameters would be as good as view_as_real"
        raise CheckFailed(f"{error}; {hint}", error.measured) from error.__cause__


EVALUATED_STEPS = 8
"""Steps that are compared of an optimizer that evaluates the loss itself."""

EVALUATED = 1e-6
"""Bound on the difference of two of their paths, relative to the distance travelled."""

TURN = 0.6 + 0.8j
"""A rotation by no multiple of a right angle, which would do no more than exchange the parts."""

TURNED_STEPS = 25

ROUNDING = 1e-9
"""Rounding by multiplication with another number, relative to the distance travelled."""


def _turns_with_its_axes(subject: Subject) -> bool:
    """Whether turned starts and gradients turn the path."""
    paths = []
    for turn in (1.0, TURN):
        gradients = two_as_complex(subject.shapes, TURNED_STEPS, turn)
        session = Session(subject, gradients, dtype=torch.complex128)
        start = session.position()
        paths.append(torch.cat([start[None], session.trace(TURNED_STEPS)]))
    path, turned = (torch.view_as_complex(each.reshape(len(each), -1, 2)) for each in paths)
    apart = (turned - path * TURN).abs().max()
    return bool(apart <= ROUNDING * (path - path[:1]).abs().max())


def _hold(subject: Subject, check: str) -> str:
    """Hold every relation of a check; returns what was held in words.

    Raises
    ------
    CheckFailed
        The first relation that does not hold, and under which settings.
    NotApplicable
        Where none of them applies, with the reason of the first.
    """
    require_determinism(subject)
    reasons, worst, held = [], 0.0, []
    for relation in RELATIONS:
        if relation.check != check:
            continue
        if reason := _unmet(subject, relation):
            reasons.append(reason)
            continue
        tried = 0
        for settings in settings_over(subject, relation.over):
            apart = _held(subject, relation, settings)
            if apart is not None:
                worst, tried = max(worst, apart), tried + 1
        if tried:
            held.append(
                f"{relation.scenario.name} ({tried})" if tried > 1 else relation.scenario.name
            )
    if not held:
        raise NotApplicable(reasons[0] if reasons else "it refuses what this asks for")
    return f"{'; '.join(held)}; apart by at most {worst:.1g} times the distance travelled"


def _held(subject: Subject, relation: Relation, settings: Any) -> float | None:
    """Hold one relation under some settings; None where its partner does not run."""
    under = f"in {relation.scenario.name}, {shown({**subject.settings, **settings})}"
    theirs = None
    if relation.like is not None:
        try:
            theirs = _partner(subject, _with(relation.like, settings), relation.compares_state)
        # Other checks say what is wrong with ordinary use.
        except (Exception, SystemExit):  # noqa: BLE001
            return None
    only_finite = theirs is None or math.isinf(relation.bound)
    if theirs is not None and only_finite and not np.isfinite(theirs.path).all():
        return None
    try:
        ours = perform(
            subject, _with(relation.scenario, settings), keep_state=relation.compares_state
        )
    except (Exception, SystemExit) as error:
        # What is taken at the defaults may be refused in other company.
        in_company = settings and relation.needs & {"complex", "sparse"}
        if relation.is_refusable or in_company or is_refusal(error):
            return None
        raise CheckFailed(f"raises {describe(error)} {under}") from error
    path = torch.from_numpy(ours.path)
    for name in relation.unchanged:
        if ours.observations.get(name, AS_GIVEN) != AS_GIVEN:
            raise CheckFailed(f"writes to {name} {under}")
    if only_finite:
        if not path.isfinite().all():
            step = int((~path.isfinite()).any(1).nonzero()[0])
            raise CheckFailed(f"{under}: parameters are not finite after step {step}")
        return 0.0
    assert relation.like is not None
    assert theirs is not None
    if relation.compares_state:
        _require_same_state(ours, theirs, f"{under}: not as {relation.like.name}")
    other = torch.from_numpy(-theirs.path if relation.mirrored else theirs.path)
    bound = relation.bound
    if not bound:
        require_same_bits(path, other, f"goes another way {under}")
        return 0.0
    if subject.wants.evaluates_the_loss:
        # A line search makes much of a rounding, more with every step.
        path, other = path[:EVALUATED_STEPS], other[:EVALUATED_STEPS]
        bound = max(bound, EVALUATED)
    _, narrow = subject.state_of_float64
    if relation.scenario.layout and narrow:
        # Sums over another layout end in other bits, which are larger in float32.
        bound = max(bound, SINGLE)
    return require_agreement(
        path[1:], other[1:], start=other[0],
        relative=bound, dtype=getattr(torch, relation.scenario.dtype),
        who=relation.like.name, under=under,
    )  # fmt: skip


SINGLE = 1e-5
"""Bound on layouts where an optimizer computes in float32 whatever its parameters are."""

STATE = 1e-6
"""Bound on the difference of two states, relative to their size: scalars in them may be float32."""


def _require_same_state(ours: Record, theirs: Record, under: str) -> None:
    """Compare what a user may read besides the parameters: the state and the evaluated weights."""
    here, there = (
        Record(
            each.path,
            {
                **{f"the state, {place}": value for place, value in each.state.items()},
                IN_EVAL_MODE: each.observations.get(IN_EVAL_MODE),
            },
        )
        for each in (ours, theirs)
    )
    differing = next(disagreements(here, there, STATE), None)
    if differing is not None:
        raise CheckFailed(
            f"{differing.observable}: {differing.ours} here, {differing.theirs} there; {under}"
        )


def is_refusal(error: BaseException) -> bool:
    """Whether an exception was raised by a statement of Python's, and not by an operation.

    What is refused in so many words is no defect; an operation that fails was not thought of.
    """
    frames = traceback.extract_tb(error.__traceback__)
    return bool(frames) and (frames[-1].line or "").startswith("raise ")


def _partner(subject: Subject, scenario: Scenario, keep_state: bool) -> Record:
    """Return the record of a scenario, which may be the partner of many others."""
    key = f"{replace(scenario, name='', condition='')!r} {keep_state}"
    if key not in subject.records:
        subject.records[key] = perform(subject, scenario, keep_state=keep_state)
    record: Record = subject.records[key]
    return record


def _with(scenario: Scenario, settings: Mapping[str, Any]) -> Scenario:
    return replace(scenario, settings={**settings, **scenario.settings})


def _unmet(subject: Subject, relation: Relation) -> str:
    """Return why a relation does not apply, or an empty string."""
    needs = (NEEDS[need] for need in sorted(relation.needs))
    return next((reason for is_met, reason in needs if not is_met(subject)), "")


NEEDS: Mapping[str, tuple[Callable[[Subject], bool], str]] = {
    "betas": (lambda subject: subject.takes("betas"), "it takes no betas"),
    "complex": (lambda subject: subject.takes_complex, "complex parameters are not supported"),
    "dense": (lambda subject: not subject.wants.sparse, "it takes sparse gradients only"),
    "gradients": (
        lambda subject: not subject.wants.evaluates_the_loss,
        "it evaluates the loss itself",
    ),
    "groups": (lambda subject: subject.takes_groups, "it takes no parameter groups"),
    "half": (lambda subject: subject.takes_float16, "float16 parameters are not supported"),
    "lr": (lambda subject: subject.lr is not None, "it has no numeric lr"),
    "modes": (
        lambda subject: Session(subject, subject.sequence()).has_modes,
        "it has not both train() and eval()",
    ),
    "sparse": (lambda subject: subject.takes_sparse, "it takes no sparse gradients"),
    "vectors": (lambda subject: not subject.wants.matrices, "it takes matrices only"),
}
"""Whether an optimizer meets what a relation needs, and the reason where it does not."""
