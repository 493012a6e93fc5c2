"""A route is right where every lane ends on the bits of its own run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from optbench.engine.certify import PROBES, certify, fastest_route
from optbench.optimizers import OPTIMIZERS, Optimizer, Route
from optbench.optimizers.catalogue import catalogue
from optbench.problems import PROBLEMS

ROWS = [row.name for row in catalogue()]


class WholeNorm(torch.optim.Optimizer):
    """Normalised gradient descent over all that it is given: lanes would share the norm."""

    def __init__(self, params: Any, lr: float = 0.01) -> None:
        super().__init__(params, {"lr": lr})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:
        parameters = [p for group in self.param_groups for p in group["params"]]
        norm = torch.sqrt(sum(p.grad.square().sum() for p in parameters))  # type: ignore[misc]
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter -= group["lr"] * parameter.grad / (norm + 1e-12)


class OwnNorm(torch.optim.Optimizer):
    """The same, tensor by tensor: right with a parameter a lane, wrong in a stack."""

    def __init__(self, params: Any, lr: float = 0.01) -> None:
        super().__init__(params, {"lr": lr})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter -= group["lr"] * parameter.grad / (parameter.grad.norm() + 1e-12)


class OneGroup(torch.optim.SGD):
    """Takes a flat list of parameters only, as some users' classes do."""

    def __init__(self, params: Any, lr: float = 0.01) -> None:
        params = list(params)
        if isinstance(params[0], dict):
            raise TypeError("parameter groups are not supported")
        super().__init__(params, lr=lr)


@pytest.mark.proof
@pytest.mark.parametrize("name", ROWS)
def test_every_registered_optimizer_is_certified_on_its_own_route(name: str) -> None:
    answer = certify(name)
    assert answer.certified, answer.reason
    assert (answer.optimizer, answer.route) == (name, OPTIMIZERS[name].route)


def test_the_probes_hold_matrices_noise_and_sparse_gradients_between_them() -> None:
    traits = frozenset().union(*(PROBLEMS[name].traits for name in PROBES))
    assert traits - {"parts"} == {"matrices", "only matrices", "sparse", "stochastic"}


@pytest.mark.parametrize("route", [Route.STACK, Route.GROUPS])
def test_a_class_that_looks_over_all_lanes_is_not_certified_and_the_reason_has_numbers(
    route: Route,
) -> None:
    answer = certify(f"{__name__}:WholeNorm", route)
    assert not answer.certified
    assert answer.route is route
    assert "differs from the lane's own run by up to" in answer.reason
    assert any(probe in answer.reason for probe in PROBES)


def test_an_uncertified_class_keeps_the_route_that_is_always_right() -> None:
    assert certify(f"{__name__}:WholeNorm").certified
    assert fastest_route(f"{__name__}:WholeNorm").route is Route.INSTANCE


def test_a_class_that_looks_at_one_tensor_gets_groups() -> None:
    stack = certify(f"{__name__}:OwnNorm", Route.STACK)
    assert not stack.certified
    assert fastest_route(f"{__name__}:OwnNorm").route is Route.GROUPS


def test_a_class_that_raises_on_a_route_is_not_certified_for_it_and_says_why() -> None:
    answer = certify(f"{__name__}:OneGroup", Route.GROUPS)
    assert not answer.certified
    assert "TypeError: parameter groups are not supported" in answer.reason
    assert fastest_route(f"{__name__}:OneGroup").route is Route.INSTANCE


@pytest.mark.parametrize(
    ("name", "route"),
    [
        ("torch.optim:Adam", Route.STACK),
        ("torch.optim:Adafactor", Route.GROUPS),
        ("torch.optim:LBFGS", Route.INSTANCE),
    ],
)
def test_the_fastest_right_route_is_found_in_one_call(name: str, route: Route) -> None:
    before = OPTIMIZERS[name]
    row = fastest_route(name)
    assert row.route is route
    assert (row.name, row.factory) == (name, before.factory)
    assert before.route is Route.INSTANCE, "the row itself is not changed"


@pytest.mark.parametrize("route", [Route.STACK, Route.GROUPS])
def test_a_closure_is_certified_for_lanes_one_at_a_time_only(route: Route) -> None:
    answer = certify("lbfgs", route)
    assert not answer.certified
    assert answer.reason == "the lanes of a closure run one at a time"
    assert certify("lbfgs", Route.INSTANCE).certified


def test_what_fits_no_probe_is_not_certified() -> None:
    answer = certify("muon", probes=("noisy-quadratic",))
    assert not answer.certified
    assert answer.reason == "it can run on none of the probes"


def test_a_row_need_not_be_registered() -> None:
    row = Optimizer("mine", torch.optim.SGD, {"lr": 0.01}, {}, Route.STACK, "nobody")
    assert certify(row, probes=("network-2-3-1",)).certified
    wrong = Optimizer("mine", WholeNorm, {"lr": 0.01}, {}, Route.STACK, "nobody")
    assert not certify(wrong, probes=("network-2-3-1",)).certified
