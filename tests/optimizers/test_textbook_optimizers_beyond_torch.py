"""The classes: what they do besides their rules, which have tests of their own."""

from __future__ import annotations

import copy
import inspect
import io
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from optbench.optimizers import OPTIMIZERS, textbook_schedule_free
from optbench.optimizers import textbook_optimizers_beyond_torch as optimizers
from optbench.optimizers.catalogue import BEYOND_TORCH
from optbench.optimizers.textbook import Memory
from optbench.optimizers.textbook_optimizers import TextbookOptimizer

CLASSES = {row.factory for row in BEYOND_TORCH}


def parameters(dtype: torch.dtype = torch.float64) -> list[torch.nn.Parameter]:
    generator = torch.Generator().manual_seed(0)
    shapes = ((4, 4), (5,))
    return [
        torch.nn.Parameter(torch.randn(shape, generator=generator, dtype=dtype)) for shape in shapes
    ]


def advance(optimizer: Any, first: int, last: int) -> None:
    """Along gradients that depend on the step; those who want a closure have a quadratic, too."""
    moving = optimizer.param_groups[0]["params"]
    for step in range(first, last):
        generator = torch.Generator().manual_seed(step)
        given = [torch.randn(p.shape, generator=generator, dtype=p.dtype) for p in moving]

        def closure(given: list[torch.Tensor] = given) -> torch.Tensor:
            loss = torch.zeros(())
            for parameter, gradient in zip(moving, given, strict=True):
                parameter.grad = gradient + parameter.detach()
                loss = loss + (parameter.detach() ** 2).sum()
            return loss

        closure()
        if isinstance(optimizer, optimizers.TextbookSophia) and step % 3 == 0:
            optimizer.update_hessian()
        optimizer.step(closure if isinstance(optimizer, optimizers.TextbookSAM) else None)


def test_every_class_has_a_row() -> None:
    found = {
        cls
        for cls in vars(optimizers).values()
        if inspect.isclass(cls)
        and cls.__module__ == optimizers.__name__
        and not cls.__name__.startswith("_")
    }
    assert found == CLASSES
    assert all(issubclass(cls, TextbookOptimizer) for cls in found)


@pytest.mark.parametrize("row", BEYOND_TORCH, ids=lambda row: row.name)
def test_what_was_saved_and_copied_goes_on_to_the_bit(row: Any) -> None:
    ours = parameters()
    optimizer = row.factory(ours, **row.defaults)
    advance(optimizer, 0, 12)
    buffer = io.BytesIO()
    torch.save(optimizer.state_dict(), buffer)
    buffer.seek(0)
    theirs = [torch.nn.Parameter(p.detach().clone()) for p in ours]
    loaded = row.factory(theirs, **row.defaults)
    loaded.load_state_dict(torch.load(buffer, weights_only=True))
    copied = copy.deepcopy(optimizer)
    for each in (optimizer, loaded, copied):
        advance(each, 12, 24)
    for a, b, c in zip(ours, theirs, copied.param_groups[0]["params"], strict=True):
        assert torch.equal(a, b)
        assert torch.equal(a, c)
    assert not all(map(torch.equal, ours, parameters()))


@pytest.mark.parametrize("row", BEYOND_TORCH, ids=lambda row: row.name)
def test_readings_and_names_are_of_the_rule(row: Any) -> None:
    takes = inspect.signature(row.factory).parameters
    for reading in row.factory.readings:
        assert reading.keys() <= takes.keys()
        assert any(takes[name].default != value for name, value in reading.items())
        row.factory(parameters(), **reading)
    assert all(name == name.lower() for name in row.factory.other_names)


@pytest.mark.parametrize(
    ("made", "wrong", "text"),
    [
        (optimizers.TextbookSAM, {"rho": -0.1}, "rho must be in [0, inf), not -0.1"),
        (optimizers.TextbookSophia, {"rho": -0.1}, "rho must be in [0, inf)"),
        (optimizers.TextbookSophia, {"bs": math.nan}, "bs must be in [0, inf)"),
        (optimizers.TextbookAdan, {"betas": (0.9, 0.9, 1.0)}, "betas[2] must be in [0, 1)"),
        (optimizers.TextbookAdan, {"convention": "torch"}, "must be 'code' or 'paper', not"),
        (optimizers.TextbookProdigy, {"d0": -1.0}, "d0 must be in [0, inf)"),
        (optimizers.TextbookScheduleFreeSGD, {"warmup_steps": -1}, "warmup_steps must be"),
        (optimizers.TextbookLookahead, {"k": 0}, "k must be a whole number >= 1, not 0"),
        (optimizers.TextbookLookahead, {"k": 1.5}, "k must be a whole number >= 1, not 1.5"),
        (optimizers.TextbookLookahead, {"alpha": -1.0}, "alpha must be"),
    ],
)
def test_a_wrong_value_is_refused(
    made: type[TextbookOptimizer], wrong: dict[str, Any], text: str
) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        made(parameters(), **wrong)
    assert text in str(caught.value)


def test_sam_without_a_radius_is_its_base_and_returns_the_first_loss() -> None:
    ours, theirs = parameters(), parameters()
    settings = {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.1}
    advance(optimizers.TextbookSAM(ours, rho=0.0, **settings), 0, 10)
    advance(torch.optim.SGD(theirs, **settings), 0, 10)
    assert all(torch.allclose(a, b, rtol=0, atol=1e-14) for a, b in zip(ours, theirs, strict=True))


def test_sam_descends_from_where_it_was_by_the_gradient_of_the_highest_point() -> None:
    """On half the square of (3, 4), of norm 5: the gradient of x + rho x / 5 is that point."""
    first, second = (torch.nn.Parameter(torch.tensor(x, dtype=torch.float64)) for x in (3.0, 4.0))
    optimizer = optimizers.TextbookSAM([{"params": [first]}, {"params": [second]}], 0.1, rho=0.5)

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = (first**2 + second**2) / 2
        loss.backward()
        return loss

    assert optimizer.step(closure) == 12.5
    assert first.item() == pytest.approx(3 - 0.1 * 3.3)
    assert second.item() == pytest.approx(4 - 0.1 * 4.4)
    with pytest.raises(TypeError, match="needs a closure"):
        optimizer.step()


@pytest.mark.parametrize(
    ("made", "rule"),
    [
        (optimizers.TextbookScheduleFreeSGD, textbook_schedule_free.schedule_free_sgd),
        (optimizers.TextbookScheduleFreeAdamW, textbook_schedule_free.schedule_free_adamw),
    ],
)
def test_the_average_is_shown_in_eval_mode(
    made: type[Any], rule: Callable[..., np.ndarray]
) -> None:
    (parameter, _) = ours = parameters()
    optimizer = made(ours, lr=0.1)
    optimizer.eval()
    optimizer.train()  # nothing to show yet
    y, s = parameter.detach().numpy().copy(), Memory()
    for _ in range(5):
        for each in ours:
            each.grad = torch.ones_like(each)
        optimizer.step()
        y = rule(y, np.ones_like(y), s, lr=0.1)
    assert np.array_equal(parameter.detach().numpy(), y)
    for _ in range(2):  # twice is as once
        optimizer.eval()
        assert np.array_equal(parameter.detach().numpy(), s.x)
    with pytest.raises(RuntimeError, match="needs train mode"):
        optimizer.step()
    optimizer.train()
    assert np.array_equal(parameter.detach().numpy(), y)


def test_the_batch_size_of_sophia_is_that_of_its_last_step() -> None:
    for given in ({}, {"bs": 2.0}):
        (parameter,) = ours = parameters()[1:]
        optimizer = optimizers.TextbookSophia(ours, lr=0.1, rho=1.0, bs=1.0, weight_decay=0.0)
        before, parameter.grad = parameter.detach().clone(), torch.ones_like(parameter)
        optimizer.update_hessian()
        optimizer.step(**given)
        # h = 0.01 and m = 0.035: clipped, until the curvature is above it.
        assert torch.allclose(before - parameter, torch.full_like(parameter, 0.1))
        optimizer.step(bs=7.0)
        # m = 0.068775 over 0.07
        moved = 0.1 * (1 + 0.068775 / 0.07)
        assert torch.allclose(before - parameter, torch.full_like(parameter, moved))


def test_the_loop_is_told_to_estimate_the_hessian_of_sophia() -> None:
    (parameter,) = ours = parameters()[1:]
    optimizer, hook = optimizers.TextbookSophia(ours), OPTIMIZERS["textbook-sophia"].before_step
    parameter.grad = torch.full_like(parameter, 2.0)
    assert hook is not None
    hook(optimizer, 0)
    assert torch.allclose(optimizer.state[parameter]["h"], torch.full_like(parameter, 0.04))


def test_prodigy_estimates_one_distance_for_all_its_parameters() -> None:
    ours = parameters()
    with pytest.raises(ValueError, match="takes one parameter group"):
        optimizers.TextbookProdigy([{"params": [each]} for each in ours])
    optimizer, calls = optimizers.TextbookProdigy(ours, d0=1e-3), []

    def closure() -> float:
        calls.append(torch.is_grad_enabled())
        ours[0].grad = ours[0].detach().clone()
        return 3.0

    for _ in range(20):
        assert optimizer.step(closure) == 3.0
    assert calls == [True] * 20
    assert optimizer.param_groups[0]["shared"]["d"] > 1e-3
    assert torch.equal(ours[1], parameters()[1]), "it had no gradient"
