"""Is it built, cleared, hooked and differentiated as torch.optim.Optimizer documents?"""

from __future__ import annotations

from optbench.conformance.laws import inherits_from_torch, is_of_torch
from optbench.scenarios.handling import IN_EVERY_GROUP, observe
from optbench.scenarios.outcomes import Advice, CheckFailed, NotApplicable
from optbench.scenarios.record import IDEAL
from optbench.scenarios.subject import Subject


def the_constructor_leaves_its_arguments_alone(subject: Subject) -> str:
    """Parameter groups that are handed over are not written to, and can be used twice."""
    if not subject.takes_groups:
        raise NotApplicable("it takes no parameter groups")
    return _as_expected(
        subject,
        "the caller's parameter groups after the construction",
        "lr of a second optimizer over the same parameter groups",
        inherited="add_param_group",
    )


def parameters_may_come_in_any_form(subject: Subject) -> str:
    """Parameters from a generator, or with names, are stepped as those of a list are."""
    said = _as_expected(subject, "parameters from a generator")
    try:
        return f"{said}; {_as_expected(subject, 'named parameters')}"
    except CheckFailed as error:
        raise Advice(f"{error} (torch.optim.Optimizer takes them since 2.6)") from None


def a_parameter_given_twice_is_stepped_once(subject: Subject) -> str:
    """A parameter that is given twice in one list is refused, or stepped once."""
    name = "a parameter that is given twice"
    found = _observed(subject, name)
    if found == "stepped twice" and not is_of_torch(subject):
        raise NotApplicable(f"{name} is stepped twice, as by every class of torch.optim")
    if found not in ("refused", "stepped once"):
        raise CheckFailed(f"{name}: {found}")
    return found


def wrong_groups_are_refused(subject: Subject) -> str:
    """add_param_group() refuses a parameter that it has, and what is no dictionary."""
    return _as_expected(
        subject,
        "add_param_group() of a parameter that it has",
        "add_param_group() of no dictionary",
    )


def zero_grad_clears_every_group(subject: Subject) -> str:
    """zero_grad() clears all gradients, and set_to_none chooses between None and zeros."""
    if not subject.takes_groups:
        raise NotApplicable("it takes no parameter groups")
    default = _observed(subject, "gradients after zero_grad()")
    if default not in (f"None {IN_EVERY_GROUP}", f"zero {IN_EVERY_GROUP}"):
        raise CheckFailed(f"gradients after zero_grad(): {default}")
    return _as_expected(
        subject,
        "gradients after zero_grad(set_to_none=True)",
        "gradients after zero_grad(set_to_none=False)",
    )


def hooks_are_called_once_a_step(subject: Subject) -> str:
    """Hooks on it are called once before and once after each step, each save and each load."""
    said = _as_expected(subject, "calls of step hooks")
    name = "calls of state_dict hooks"
    if (found := _observed(subject, name)) != HOOKS_OF_THE_STATE:
        # An override of state_dict or load_state_dict of its own is rarely hooked.
        raise Advice(f"{name}: {found}")
    return f"{said}; {name}"


def a_differentiable_step_has_its_derivative(subject: Subject) -> str:
    """With differentiable=True, the graph through two steps gives what finite differences do."""
    if not subject.takes("differentiable"):
        raise NotApplicable("it takes no differentiable")
    if subject.asks_for:
        raise NotApplicable(f"it asks for {subject.asks_for[0]} itself")
    said = _as_expected(subject, "the derivative of a differentiable step")
    at_zero = "the derivative of a differentiable step where a gradient is zero"
    try:
        return f"{said}; {_as_expected(subject, at_zero)}"
    except CheckFailed as error:
        raise Advice(f"{error}: the root of a second moment has no slope there") from None


HOOKS_OF_THE_STATE = "state_dict_pre, state_dict_post, load_state_dict_pre, load_state_dict_post"
"""What is observed of hooks on a save and a load that are called."""


def _observed(subject: Subject, name: str) -> str:
    return str(observe(subject, (name,))[name])


def _as_expected(subject: Subject, *names: str, inherited: str = "") -> str:
    """Hold observations to `IDEAL`; None, where there is nothing to observe, passes.

    Raises
    ------
    CheckFailed
        The first that is something else.
    NotApplicable
        Where it is something else because of torch's base class.
    """
    for name in names:
        found = _observed(subject, name)
        if found not in (IDEAL[name], "None"):
            if inherited:
                _unless_inherited(subject, inherited, found)
            raise CheckFailed(f"{name}: {found}")
    return "; ".join(names)


def _unless_inherited(subject: Subject, method: str, found: str) -> None:
    if inherits_from_torch(subject, method):
        raise NotApplicable(
            f"{found}, as with every class that inherits {method} from torch.optim.Optimizer"
        )
