"""The hybrid of Adam with particle-swarm optimization."""

from __future__ import annotations

import copy
import math
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch

from optbench.optimizers.swarm import AdamSwarm

SHAPES = ((2, 3), (4,))


def start(seed: int = 0) -> list[torch.nn.Parameter]:
    generator = torch.Generator().manual_seed(seed)
    return [
        torch.nn.Parameter(torch.randn(shape, generator=generator, dtype=torch.float64))
        for shape in SHAPES
    ]


def rugged(parameters: list[torch.nn.Parameter]) -> torch.Tensor:
    return sum((p.square() + torch.sin(3 * p)).sum() for p in parameters)  # type: ignore[return-value]


def closure_of(
    parameters: list[torch.nn.Parameter],
    calls: list[float],
    loss_of: Callable[[list[torch.nn.Parameter]], torch.Tensor] = rugged,
) -> Callable[[], torch.Tensor]:
    def closure() -> torch.Tensor:
        for parameter in parameters:
            parameter.grad = None
        loss = loss_of(parameters)
        loss.backward()
        calls.append(loss.item())
        return loss

    return closure


def run(steps: int, **settings: Any) -> list[torch.Tensor]:
    parameters = start()
    optimizer = AdamSwarm(parameters, **settings)
    closure = closure_of(parameters, [])
    for _ in range(steps):
        optimizer.step(closure)
    return [p.detach().clone() for p in parameters]


def equal(ours: list[Any], theirs: list[Any]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))


def test_one_particle_is_adam() -> None:
    ours = run(100, lr=0.05, betas=(0.8, 0.95), eps=1e-6, particles=1, spread=0.0, social=0.7)
    theirs = start()
    adam = torch.optim.Adam(theirs, lr=0.05, betas=(0.8, 0.95), eps=1e-6)
    closure = closure_of(theirs, [])
    for _ in range(100):
        adam.step(closure)
    for mine, reference in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, reference.detach(), rtol=1e-12, atol=1e-12)


def test_without_the_social_term_particle_zero_is_adam_among_others() -> None:
    parameters = start()
    swarm = AdamSwarm(parameters, lr=0.05, particles=3, social=0.0, spread=0.5, seed=3)
    closure = closure_of(parameters, [])
    theirs = start()
    adam = torch.optim.Adam(theirs, lr=0.05)
    for _ in range(30):
        swarm.step(closure)
        adam.step(closure_of(theirs, []))
    for mine, reference in zip(parameters, theirs, strict=True):
        zero = swarm.state[mine]["positions"][0]
        torch.testing.assert_close(zero, reference.detach(), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("particles", [1, 2, 5])
def test_a_step_costs_as_many_gradients_as_there_are_particles(particles: int) -> None:
    parameters, calls = start(), []
    optimizer = AdamSwarm(parameters, particles=particles)
    closure = closure_of(parameters, calls)
    for step in range(1, 4):
        loss = optimizer.step(closure)
        assert len(calls) == particles * step
        assert loss.item() == min(calls[-particles:])


def test_the_parameters_hold_the_best_particle_as_it_leaves_the_step() -> None:
    parameters, calls = start(), []
    optimizer = AdamSwarm(parameters, particles=4, spread=0.5, lr=0.01)
    closure = closure_of(parameters, calls)
    for _ in range(5):
        optimizer.step(closure)
        best = min(range(4), key=lambda k: calls[-4:][k])
        for parameter in parameters:
            assert torch.equal(optimizer.state[parameter]["positions"][best], parameter)


def test_the_pull_is_to_the_best_by_the_share_that_was_drawn() -> None:
    """Without gradients (lr 0) a step is the social term alone."""
    parameters, calls = start(), []
    optimizer = AdamSwarm(parameters, lr=0.0, particles=3, social=0.8, spread=0.5, seed=5)
    closure = closure_of(parameters, calls)
    optimizer.step(closure)
    before = [optimizer.state[p]["positions"].clone() for p in parameters]
    optimizer.step(closure)
    best = min(range(3), key=lambda k: calls[-3:][k])
    shares = 0.8 * torch.rand(3, generator=torch.Generator().manual_seed(5 + 2)).double()
    for parameter, x in zip(parameters, before, strict=True):
        share = shares.reshape(-1, *(1,) * parameter.ndim)
        expected = x + share * (x[best] - x)
        torch.testing.assert_close(
            optimizer.state[parameter]["positions"], expected, rtol=1e-12, atol=0
        )
        assert torch.equal(parameter.detach(), x[best])


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_particle_whose_loss_is_no_number_never_leads(bad: float) -> None:
    """Particle 1 is spoilt in every evaluation, however low its loss."""
    parameters = start()
    turn = 0

    def loss_of(params: list[torch.nn.Parameter]) -> torch.Tensor:
        nonlocal turn
        turn += 1
        return rugged(params) * (bad if turn % 3 == 2 else 1.0)

    optimizer = AdamSwarm(parameters, particles=3, spread=0.1, social=0.5)
    for _ in range(10):
        loss = optimizer.step(closure_of(parameters, [], loss_of))
        assert math.isfinite(loss.item())
        assert optimizer.state[parameters[0]]["leader"] != 1
        for parameter in parameters:
            assert torch.isfinite(parameter).all()
            assert torch.isfinite(optimizer.state[parameter]["positions"][[0, 2]]).all()


def test_the_global_generator_is_not_touched() -> None:
    torch.manual_seed(7)
    before = torch.get_rng_state()
    run(3, particles=4)
    assert torch.equal(torch.get_rng_state(), before)


def test_the_same_seed_gives_the_same_bits_and_another_does_not() -> None:
    torch.manual_seed(1)
    one = run(20, particles=4, seed=11)
    torch.manual_seed(2)
    assert equal(one, run(20, particles=4, seed=11))
    assert not equal(one, run(20, particles=4, seed=12))


def test_a_checkpoint_continues_bit_for_bit() -> None:
    parameters = start()
    optimizer = AdamSwarm(parameters, lr=0.02, particles=3, spread=0.4, seed=9)
    for _ in range(7):
        optimizer.step(closure_of(parameters, []))
    resumed = [torch.nn.Parameter(p.detach().clone()) for p in parameters]
    other = AdamSwarm(resumed, lr=1.0)
    other.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    for _ in range(7):
        optimizer.step(closure_of(parameters, []))
        other.step(closure_of(resumed, []))
    assert equal(parameters, resumed)
    assert equal(
        [optimizer.state[p]["positions"] for p in parameters],
        [other.state[p]["positions"] for p in resumed],
    )


def test_whoever_moves_the_parameters_between_steps_moves_the_leader() -> None:
    parameters, calls = start(), []
    optimizer = AdamSwarm(parameters, particles=2, spread=0.3)
    closure = closure_of(parameters, calls)
    optimizer.step(closure)
    leader = optimizer.state[parameters[0]]["leader"]
    with torch.no_grad():
        for parameter in parameters:
            parameter.fill_(-0.5)
        expected = rugged(parameters).item()
    optimizer.step(closure)
    assert calls[-2:][leader] == expected


def test_a_parameter_without_a_gradient_stays_where_its_leader_is() -> None:
    parameters = start()

    def loss_of(params: list[torch.nn.Parameter]) -> torch.Tensor:
        return params[0].square().sum()

    before = parameters[1].detach().clone()
    optimizer = AdamSwarm(parameters, particles=1)
    optimizer.step(closure_of(parameters, [], loss_of))
    assert torch.equal(parameters[1].detach(), before)


def test_without_a_closure_it_says_what_it_needs() -> None:
    with pytest.raises(TypeError, match="needs a closure"):
        AdamSwarm(start()).step()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("lr", -1.0),
        ("lr", math.nan),
        ("betas", (1.0, 0.9)),
        ("betas", (0.9, 1.0)),
        ("eps", -1e-8),
        ("particles", 0),
        ("particles", 2.5),
        ("social", -0.1),
        ("spread", -0.1),
        ("spread", math.nan),
    ],
)
def test_a_wrong_value_is_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=name):
        AdamSwarm(start(), **{name: value})


def test_a_parameter_without_a_gradient_stays_in_every_particle() -> None:
    parameters = [torch.nn.Parameter(torch.ones(3)), torch.nn.Parameter(torch.ones(2))]
    optimizer = AdamSwarm(parameters, lr=0.1)

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = parameters[0].square().sum()
        loss.backward()
        return loss

    for _ in range(3):
        optimizer.step(closure)
    assert torch.equal(parameters[1].detach(), torch.ones(2))
    assert torch.equal(optimizer.state[parameters[1]]["positions"], torch.ones(4, 2))


def test_a_parameter_that_is_given_twice_is_refused() -> None:
    parameter = torch.nn.Parameter(torch.zeros(2))
    with warnings.catch_warnings():
        # torch warns of it, and goes on.
        warnings.simplefilter("ignore")
        with pytest.raises(ValueError, match="a parameter is given twice"):
            AdamSwarm([parameter, parameter])
