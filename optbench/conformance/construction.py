"""Is it built, cleared, hooked and differentiated as torch.optim.Optimizer documents?"""

from __future__ import annotations

from collections.abc import Mapping

from optbench.conformance.laws import inherits_from_torch, is_of_torch
from optbench.scenarios.handling import IN_EVERY_GROUP, observe
from optbench.scenarios.outcomes import Advice, CheckFailed, NotApplicable
from optbench.scenarios.record import AS_GIVEN
from optbench.scenarios.subject import Subject


def the_constructor_leaves_its_arguments_alone(subject: Subject) -> str:
    """Parameter groups that are handed over are not written to, and can be used twice."""
    if not subject.takes_groups:
        raise NotApplicable("it takes no parameter groups")
    return _as_expected(
        subject,
        {
            "the caller's parameter groups after the construction": AS_GIVEN,
            "lr of a second optimizer over the same parameter groups": AS_GIVEN,
        },
        inherited="add_param_group",
    )


def parameters_may_come_in_any_form(subject: Subject) -> str:
    """Parameters from a generator, or with names, are stepped as those of a list are."""
    said = _as_expected(subject, {"parameters from a generator": AS_FROM_A_LIST})
    try:
        return f"{said}; {_as_expected(subject, {'named parameters': AS_FROM_A_LIST})}"
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
    names = (
        "add_param_group() of a parameter that it has",
        "add_param_group() of no dictionary",
    )
    for name in names:
        found = _observed(subject, name)
        if not found.startswith("refused"):
            raise CheckFailed(f"{name}: {found}")
    return "a known parameter, a list"


def zero_grad_clears_every_group(subject: Subject) -> str:
    """zero_grad() clears all gradients, and set_to_none chooses between None and zeros."""
    if not subject.takes_groups:
        raise NotApplicable("it takes no parameter groups")
    default = _observed(subject, "gradients after zero_grad()")
    if default not in (f"None {IN_EVERY_GROUP}", f"zero {IN_EVERY_GROUP}"):
        raise CheckFailed(f"gradients after zero_grad(): {default}")
    return _as_expected(
        subject,
        {
            "gradients after zero_grad(set_to_none=True)": f"None {IN_EVERY_GROUP}",
            "gradients after zero_grad(set_to_none=False)": f"zero {IN_EVERY_GROUP}",
        },
    )


def hooks_are_called_once_a_step(subject: Subject) -> str:
    """Hooks on it are called once before and once after each step, each save and each load."""
    said = _as_expected(subject, {"calls of step hooks": "3 before and 3 after 3 steps"})
    of_the_state = "state_dict_pre, state_dict_post, load_state_dict_pre, load_state_dict_post"
    try:
        return f"{said}; {_as_expected(subject, {'calls of state_dict hooks': of_the_state})}"
    except CheckFailed as error:
        # An override of state_dict or load_state_dict of its own is rarely hooked.
        raise Advice(str(error)) from None


def a_differentiable_step_has_its_derivative(subject: Subject) -> str:
    """With differentiable=True, the graph through two steps gives what finite differences do."""
    if not subject.takes("differentiable"):
        raise NotApplicable("it takes no differentiable")
    if subject.asks_for:
        raise NotApplicable(f"it asks for {subject.asks_for[0]} itself")
    said = _as_expected(
        subject, {"the derivative of a differentiable step": "as finite differences"}
    )
    at_zero = {"the derivative of a differentiable step where a gradient is zero": "finite"}
    try:
        return f"{said}; {_as_expected(subject, at_zero)}"
    except CheckFailed as error:
        raise Advice(f"{error}: the root of a second moment has no slope there") from None


AS_FROM_A_LIST = "as from a list"


def _observed(subject: Subject, name: str) -> str:
    return str(observe(subject, (name,))[name])


def _as_expected(subject: Subject, expected: Mapping[str, str], *, inherited: str = "") -> str:
    """Hold observations to what they ought to be; None, where there is nothing to observe, passes.

    Raises
    ------
    CheckFailed
        The first that is something else.
    NotApplicable
        Where it is something else because of torch's base class.
    """
    for name, value in expected.items():
        found = _observed(subject, name)
        if found not in (value, "None"):
            if inherited:
                _unless_inherited(subject, inherited, found)
            raise CheckFailed(f"{name}: {found}")
    return "; ".join(expected)


def _unless_inherited(subject: Subject, method: str, found: str) -> None:
    if inherits_from_torch(subject, method):
        raise NotApplicable(
            f"{found}, as with every class that inherits {method} from torch.optim.Optimizer"
        )
