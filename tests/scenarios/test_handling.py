"""What is observed outside of the steps."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from optbench.scenarios.handling import OBSERVATIONS, observe
from optbench.scenarios.introspect import introspect
from optbench.scenarios.perform import perform
from optbench.scenarios.record import IDEAL
from optbench.scenarios.scenario import OwnValue, Scenario

OF_TORCH = {
    "the caller's parameter groups after the construction": "written to",
    "lr of a second optimizer over the same parameter groups": "that of the first, 0.001",
    "a parameter that is given twice": "stepped twice",
    "the derivative of a differentiable step where a gradient is zero": "not finite",
}
"""In which torch's Adam departs from the ideal."""


def test_torch_s_adam_comes_to_the_ideal_but_for_what_torch_is_known_for() -> None:
    adam = introspect("torch.optim:Adam")
    beside = observe(adam)
    assert beside.keys() == OBSERVATIONS.keys()
    scenario = Scenario("x", "steady", steps=3, settings={"lr": OwnValue(tensor=())})
    along = perform(adam, scenario).observations
    assert {**beside, **along}.keys() >= IDEAL.keys()
    found = {name: {**beside, **along}[name] for name in IDEAL}
    assert found == {**IDEAL, **OF_TORCH}


class Clumsy(torch.optim.SGD):
    """Clears the first group alone, takes what it has, and cannot be shown."""

    def zero_grad(self, set_to_none: bool = True) -> None:
        for p in self.param_groups[0]["params"]:
            p.grad = None

    def add_param_group(self, param_group: object) -> None:
        if isinstance(param_group, dict) and not self.param_groups:
            super().add_param_group(param_group)

    def __repr__(self) -> str:
        raise RuntimeError("nothing to show")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("gradients after zero_grad()", "None, not cleared, not cleared, not cleared"),
        ("gradients after zero_grad(set_to_none=False)",
         "None, not cleared, not cleared, not cleared"),
        ("add_param_group() of a parameter that it has", "taken"),
        ("add_param_group() of no dictionary", "taken"),
        ("repr()", "raises RuntimeError: nothing to show"),
    ],
)  # fmt: skip
def test_what_is_otherwise_is_observed(name: str, said: str) -> None:
    assert observe(introspect(Clumsy), (name,)) == {name: said}


def test_hooks_that_torch_calls_in_the_parent_s_step_too_are_called_once() -> None:
    class Parent(torch.optim.SGD):
        def step(self, closure: Any = None) -> Any:
            return super().step(closure)

    class Child(Parent):
        def step(self, closure: Any = None) -> Any:
            return super().step(closure)

    # torch wraps the step of a class when the first of its instances is built.
    Parent([torch.nn.Parameter(torch.ones(1))])
    name = "calls of step hooks"
    assert observe(introspect(Child), (name,)) == {name: "3 before and 3 after 3 steps"}
