"""What a user observes of an optimizer outside of its steps: construction, clearing, hooks."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from optbench.scenarios.record import AS_GIVEN, Observation, observed
from optbench.scenarios.session import Session
from optbench.scenarios.subject import Subject

STEPS = 3
"""Steps of each observation that steps at all."""

IN_EVERY_GROUP = "in every group"


def observe(subject: Subject, names: tuple[str, ...] = ()) -> dict[str, Observation]:
    """Make the observations of these names (keys of `OBSERVATIONS`), or all of them.

    Where the optimizer raises, that is what is observed.
    """
    return observed(
        {name: functools.partial(OBSERVATIONS[name], subject) for name in names or OBSERVATIONS}
    )


def _parameters(subject: Subject) -> list[torch.nn.Parameter]:
    generator = torch.Generator().manual_seed(0)
    return [
        torch.nn.Parameter(torch.randn(shape, generator=generator, dtype=torch.float64))
        for shape in subject.shapes
    ]


def _two_groups(subject: Subject) -> list[dict[str, Any]]:
    first, *others = _parameters(subject)
    return [{"params": [first]}, {"params": others}]


def _callers_groups(subject: Subject) -> Observation:
    groups = _two_groups(subject)
    before = [{**group, "params": list(group["params"])} for group in groups]
    subject.make(groups)
    kept = all(
        old.keys() == new.keys() and [*map(id, old["params"])] == [*map(id, new["params"])]
        for old, new in zip(before, groups, strict=True)
    )
    return AS_GIVEN if kept else "written to"


def _second_rate(subject: Subject) -> Observation:
    if subject.lr is None:
        return None
    groups = _two_groups(subject)
    subject.make(groups)
    second = subject.make(groups, lr=2 * subject.lr)
    rates = {float(group["lr"]) for group in second.param_groups}
    return AS_GIVEN if rates == {2 * subject.lr} else f"that of the first, {min(rates):g}"


def _stepped(subject: Subject, how: Callable[[list[Any]], Any]) -> Observation:
    """Whether it steps parameters that are given in another form as it does those of a list."""
    ends = []
    for form in (list, how):
        session = Session(subject, subject.sequence())
        session.take_on(subject.make(form(session.params)))
        ends.append(session.advance(STEPS).position())
    return "as from a list" if torch.equal(*ends) else "goes another way than from a list"


def _from_a_generator(subject: Subject) -> Observation:
    return _stepped(subject, lambda params: (parameter for parameter in params))


def _named(subject: Subject) -> Observation:
    return _stepped(subject, lambda params: [(f"layer{i}.weight", p) for i, p in enumerate(params)])


def _given_twice(subject: Subject) -> Observation:
    """Whether a parameter that is given twice is stepped once, as it is alone, or refused."""
    sequence = subject.sequence().select([0])
    once, twice = (Session(subject, sequence) for _ in range(2))
    try:
        twice.take_on(subject.make([twice.params[0], twice.params[0]]))
    except ValueError:
        return "refused"
    equal = torch.equal(once.advance(1).position(), twice.advance(1).position())
    return "stepped once" if equal else "stepped twice"


def _cleared(subject: Subject, *, set_to_none: bool | None) -> Observation:
    params = _parameters(subject)
    optimizer = subject.make([{"params": params[:1]}, {"params": params[1:]}])
    for parameter in params:
        parameter.grad = torch.ones_like(parameter)
    if set_to_none is None:
        optimizer.zero_grad()
    else:
        optimizer.zero_grad(set_to_none=set_to_none)
    kinds = [
        "None" if p.grad is None else "zero" if not p.grad.any() else "not cleared" for p in params
    ]
    return f"{kinds[0]} {IN_EVERY_GROUP}" if len({*kinds}) == 1 else ", ".join(kinds)


def _hooks(subject: Subject) -> Observation:
    session = Session(subject, subject.sequence())
    fired = {"before": 0, "after": 0}

    def count(when: str) -> Callable[..., None]:
        def hook(*_: Any) -> None:
            fired[when] += 1

        return hook

    session.optimizer.register_step_pre_hook(count("before"))
    session.optimizer.register_step_post_hook(count("after"))
    session.advance(STEPS)
    before, after = fired["before"], fired["after"]
    if before == after and before and before % STEPS == 0:
        # torch calls them once more in a parent's step, where the parent was built before.
        before = after = STEPS
    return f"{before} before and {after} after {STEPS} steps"


def _state_hooks(subject: Subject) -> Observation:
    session = Session(subject, subject.sequence()).advance(STEPS)
    fired: list[str] = []

    def noted(name: str) -> Callable[..., Any]:
        def hook(_: Any, state: dict[str, Any] | None = None) -> dict[str, Any] | None:
            fired.append(name)
            # What a hook on a save returns is saved in place of what it was given.
            return {**(state or {}), "of a hook": True} if name == "state_dict_post" else None

        return hook

    optimizer: Any = session.optimizer
    for name in (
        "state_dict_pre",
        "state_dict_post",
        "load_state_dict_pre",
        "load_state_dict_post",
    ):
        getattr(optimizer, f"register_{name}_hook")(noted(name))
    saved = optimizer.state_dict()
    optimizer.load_state_dict({name: each for name, each in saved.items() if name != "of a hook"})
    dropped = "" if "of a hook" in saved else "; what a hook returns is not saved"
    return ", ".join(fired) + dropped


def _refuses(subject: Subject, group: Callable[[list[Tensor]], Any]) -> Observation:
    params: list[Any] = _parameters(subject)
    optimizer = subject.make(params[:1])
    try:
        optimizer.add_param_group(group(params))
    except (TypeError, ValueError):
        return "refused"
    return "taken"


def _shown(subject: Subject) -> Observation:
    return "works" if isinstance(repr(subject.make(_parameters(subject))), str) else "is no text"


def _derivatives(subject: Subject) -> Observation:
    """Compare the graph through a differentiable step with finite differences."""
    if not subject.takes("differentiable"):
        return None
    gradient = _some_gradient()
    slope = _slope(subject, gradient)
    if not slope.isfinite().all():
        return "not finite"
    apart = 0.0
    for place in range(0, gradient.numel(), 5):
        width = torch.zeros_like(gradient)
        width.view(-1)[place] = WIDTH
        ends = [_end(subject, gradient + sign * width).sum() for sign in (1.0, -1.0)]
        expected = (ends[0] - ends[1]) / (2 * WIDTH)
        apart = max(apart, float((slope.view(-1)[place] - expected).abs() / slope.abs().max()))
    return "as finite differences" if apart < AGREEMENT else f"off by {apart:.1g} of its size"


def _derivative_at_zero(subject: Subject) -> Observation:
    """Whether the graph through a differentiable step is finite where a gradient is zero."""
    if not subject.takes("differentiable"):
        return None
    gradient = _some_gradient()
    gradient[1, 1] = 0.0
    return "finite" if _slope(subject, gradient).isfinite().all() else "not finite"


def _some_gradient() -> Tensor:
    """Return a gradient of both signs, no element of which is near zero."""
    return torch.linspace(-1.0, 1.3, 12, dtype=torch.float64).reshape(4, 3)


WIDTH = 1e-6
"""Half the distance of two gradients of a finite difference."""

AGREEMENT = 1e-4
"""Agreement of a derivative with finite differences, relative to the largest one."""


def _end(subject: Subject, gradient: Tensor) -> Tensor:
    """Return the parameters after a differentiable step on this gradient and one on another.

    On one gradient twice, the steps of many methods hardly depend on its size.
    """
    start = torch.full_like(gradient, 0.5, requires_grad=True)
    moving = start.clone()
    optimizer = subject.make([moving], differentiable=True)
    other = torch.linspace(0.7, -0.9, gradient.numel(), dtype=torch.float64)
    for each in (gradient, other.reshape(gradient.shape)):
        moving.grad = each.clone()
        optimizer.step()
    return moving


def _slope(subject: Subject, gradient: Tensor) -> Tensor:
    """Return the derivative of the sum of `_end` by the gradient; zero where there is none."""
    leaf = gradient.clone().requires_grad_()
    _end(subject, leaf).sum().backward()
    return torch.zeros_like(leaf) if leaf.grad is None else leaf.grad


OBSERVATIONS: Mapping[str, Callable[[Subject], Observation]] = {
    "the caller's parameter groups after the construction": _callers_groups,
    "lr of a second optimizer over the same parameter groups": _second_rate,
    "parameters from a generator": _from_a_generator,
    "named parameters": _named,
    "a parameter that is given twice": _given_twice,
    "gradients after zero_grad()": lambda subject: _cleared(subject, set_to_none=None),
    "gradients after zero_grad(set_to_none=True)": lambda s: _cleared(s, set_to_none=True),
    "gradients after zero_grad(set_to_none=False)": lambda s: _cleared(s, set_to_none=False),
    "calls of step hooks": _hooks,
    "calls of state_dict hooks": _state_hooks,
    "add_param_group() of a parameter that it has": lambda subject: _refuses(
        subject, lambda params: {"params": params[:1]}
    ),
    "add_param_group() of no dictionary": lambda subject: _refuses(
        subject, lambda params: params[1:]
    ),
    "repr()": _shown,
    "the derivative of a differentiable step": _derivatives,
    "the derivative of a differentiable step where a gradient is zero": _derivative_at_zero,
}
"""Observations, by the name that a difference is reported under."""
