"""Steps under torch.compile: the numbers, the graphs, what is compiled again."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import pytest
import torch

from optbench.engine.compiling import uncompiled
from optbench.scenarios.compiled import RATE_CHANGES_AT, STEPS, CompiledSteps, compiled_steps
from optbench.scenarios.introspect import introspect


class Descent(torch.optim.Optimizer):
    """Plain gradient descent."""

    def __init__(self, params: Any, lr: float = 0.1) -> None:
        super().__init__(params, {"lr": lr})

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    p.add_(self.direction(p, group), alpha=-1.0)
        return None

    def direction(self, p: Any, group: Any) -> torch.Tensor:
        return p.grad * group["lr"]


class ReadsANumber(Descent):
    def direction(self, p: Any, group: Any) -> torch.Tensor:
        return p.grad * group["lr"] / max(p.grad.norm().item(), 1.0)


class CountsInTheGroup(Descent):
    def direction(self, p: Any, group: Any) -> torch.Tensor:
        group["step"] = group.get("step", 0) + 1
        return p.grad * group["lr"] * float(str(group["step"]).count("1") + 1)


class IsAnotherWhereCompiled(Descent):
    def direction(self, p: Any, group: Any) -> torch.Tensor:
        return p.grad * group["lr"] * (1.1 if torch.compiler.is_compiling() else 1.0)


def observe(cls: type) -> CompiledSteps:
    # As a worker has it, where nothing else is compiled.
    with uncompiled():
        return compiled_steps(introspect(cls))


def test_a_step_that_can_be_compiled_is_one_graph_and_the_same() -> None:
    found = observe(Descent)
    assert found.tensor_rate
    assert found.graphs == (1,) * STEPS
    assert found.compiled_again == ()
    assert found.breaks == ()
    assert torch.allclose(found.path, found.eager, rtol=0, atol=1e-15)


def test_the_rate_is_halved_in_place_for_both() -> None:
    found = observe(Descent)
    path = torch.cat([found.start[None], found.eager])
    gradients = torch.from_numpy(
        np.concatenate(
            [each.reshape(STEPS, -1) for each in introspect(Descent).sequence(STEPS).gradients],
            axis=1,
        )
    )
    rates = (path[:-1] - path[1:]) / gradients
    assert torch.allclose(rates[:RATE_CHANGES_AT], torch.tensor(0.1, dtype=torch.float64))
    assert torch.allclose(rates[RATE_CHANGES_AT:], torch.tensor(0.05, dtype=torch.float64))


def test_a_number_that_is_read_breaks_the_graph_and_is_named() -> None:
    found = observe(ReadsANumber)
    assert found.graphs_per_step > 1
    assert any("Tensor.item()" in each for each in found.breaks)


def test_a_count_that_is_a_number_is_compiled_again() -> None:
    assert observe(CountsInTheGroup).compiled_again[0] == 4


def test_what_is_another_rule_where_it_is_compiled_shows() -> None:
    found = observe(IsAnotherWhereCompiled)
    assert float((found.path - found.eager).abs().max()) > 0.01


def test_nothing_of_it_is_left() -> None:
    level = logging.getLogger("torch._dynamo").level
    observe(Descent)
    assert logging.getLogger("torch._dynamo").level == level


@pytest.mark.parametrize("name", ["Adam", "AdamW", "SGD", "NAdam"])
def test_torch_s_own_are_one_graph(name: str) -> None:
    found = observe(getattr(torch.optim, name))
    assert found.graphs == (1,) * STEPS
    assert found.compiled_again == ()
