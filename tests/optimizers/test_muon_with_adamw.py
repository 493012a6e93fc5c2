"""Muon as its users run it: matrices by torch's Muon, everything else by torch's AdamW."""

from __future__ import annotations

import copy
import math
from typing import Any

import pytest
import torch

from optbench.optimizers.muon import MuonWithAdamW

SHAPES = ((4, 6), (6,), (6, 3), (), (2, 3, 2))
STEPS = 12


def start() -> list[torch.nn.Parameter]:
    generator = torch.Generator().manual_seed(1)
    return [
        torch.nn.Parameter(torch.randn(shape, generator=generator, dtype=torch.float64))
        for shape in SHAPES
    ]


def go(
    parameters: list[torch.nn.Parameter],
    optimizers: list[torch.optim.Optimizer],
    first: int = 0,
    last: int = STEPS,
) -> None:
    """Steps ``first`` to ``last``, with gradients that depend on the step alone."""
    for step in range(first, last):
        generator = torch.Generator().manual_seed(100 + step)
        for parameter in parameters:
            parameter.grad = torch.randn(
                parameter.shape, generator=generator, dtype=parameter.dtype
            )
        for optimizer in optimizers:
            optimizer.step()


def alone(parameters: list[torch.nn.Parameter], **shared: float) -> list[torch.optim.Optimizer]:
    matrices = [p for p in parameters if p.ndim == 2]
    rest = [p for p in parameters if p.ndim != 2]
    return [
        torch.optim.Muon(matrices, adjust_lr_fn="match_rms_adamw", **shared),
        torch.optim.AdamW(rest, **shared),
    ]


def equal(ours: list[torch.nn.Parameter], theirs: list[torch.nn.Parameter]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))


@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_each_tensor_moves_as_under_its_own_optimizer_alone(decay: float) -> None:
    ours, theirs = start(), start()
    go(ours, [MuonWithAdamW(ours, lr=0.01, weight_decay=decay)])
    go(theirs, alone(theirs, lr=0.01, weight_decay=decay))
    assert equal(ours, theirs)
    assert not equal(ours, start())


def test_its_hyperparameters_reach_their_part() -> None:
    ours, theirs = start(), start()
    matrices = [p for p in theirs if p.ndim == 2]
    rest = [p for p in theirs if p.ndim != 2]
    muon = {"momentum": 0.5, "nesterov": False, "ns_steps": 3}
    adamw = {"betas": (0.5, 0.7), "eps": 1e-3}
    go(ours, [MuonWithAdamW(ours, lr=0.1, weight_decay=0.2, **muon, **adamw)])  # type: ignore[arg-type]
    go(
        theirs,
        [
            torch.optim.Muon(
                matrices, lr=0.1, weight_decay=0.2, adjust_lr_fn="match_rms_adamw", **muon
            ),  # type: ignore[arg-type]
            torch.optim.AdamW(rest, lr=0.1, weight_decay=0.2, **adamw),  # type: ignore[arg-type]
        ],
    )
    assert equal(ours, theirs)


@pytest.mark.parametrize("kept", [(0, 2), (1, 3, 4)], ids=["matrices alone", "no matrix"])
def test_one_part_may_have_nothing_to_do(kept: tuple[int, ...]) -> None:
    ours, theirs = ([start()[k] for k in kept] for _ in range(2))
    go(ours, [MuonWithAdamW(ours, lr=0.01)])
    part = torch.optim.Muon if kept == (0, 2) else torch.optim.AdamW
    extra = {"adjust_lr_fn": "match_rms_adamw"} if kept == (0, 2) else {}
    go(theirs, [part(theirs, lr=0.01, weight_decay=0.1, **extra)])  # type: ignore[operator]
    assert equal(ours, theirs)


def test_a_schedulers_change_of_rate_takes_effect_in_both_parts() -> None:
    ours, theirs, constant = start(), start(), start()
    together = [MuonWithAdamW(ours, lr=0.01, weight_decay=0.1)]
    apart = alone(theirs, lr=0.01, weight_decay=0.1)
    for optimizers, parameters in ((together, ours), (apart, theirs)):
        schedulers = [torch.optim.lr_scheduler.StepLR(o, 4, 0.5) for o in optimizers]
        for step in range(STEPS):
            go(parameters, list(optimizers), step, step + 1)
            for scheduler in schedulers:
                scheduler.step()
    go(constant, [MuonWithAdamW(constant, lr=0.01, weight_decay=0.1)])
    assert together[0].param_groups[0]["lr"] == 0.01 * 0.5**3
    assert equal(ours, theirs)
    for ended, unscheduled in zip(ours, constant, strict=True):
        assert not torch.equal(ended, unscheduled)


def test_groups_keep_their_own_rates() -> None:
    ours, theirs = start(), start()
    go(
        ours,
        [MuonWithAdamW([{"params": ours[:2]}, {"params": ours[2:], "lr": 0.2}], lr=0.01)],
    )
    go(
        theirs,
        [
            *alone(theirs[:2], lr=0.01, weight_decay=0.1),
            *alone(theirs[2:], lr=0.2, weight_decay=0.1),
        ],
    )
    assert equal(ours, theirs)


def test_a_checkpoint_in_the_middle_continues_bit_for_bit() -> None:
    ours = start()
    optimizer = MuonWithAdamW(ours, lr=0.01)
    go(ours, [optimizer], 0, 5)
    resumed = [torch.nn.Parameter(p.detach().clone()) for p in ours]
    other = MuonWithAdamW(resumed, lr=1.0)
    other.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    go(ours, [optimizer], 5)
    go(resumed, [other], 5)
    assert equal(ours, resumed)


def test_a_parameter_without_a_gradient_stays() -> None:
    ours = start()
    optimizer = MuonWithAdamW(ours, lr=0.01)
    before = [p.detach().clone() for p in ours]
    ours[0].grad = torch.ones_like(ours[0])
    ours[1].grad = torch.ones_like(ours[1])
    optimizer.step()
    moved = [not torch.equal(a, b) for a, b in zip(ours, before, strict=True)]
    assert moved == [True, True, False, False, False]


def test_the_closure_is_called_once_and_its_loss_returned() -> None:
    x = torch.nn.Parameter(torch.ones(2, 2))
    calls = []

    def closure() -> torch.Tensor:
        calls.append(torch.is_grad_enabled())
        loss = x.square().sum()
        loss.backward()
        return loss

    assert MuonWithAdamW([x], lr=0.1).step(closure).item() == 4.0
    assert calls == [True]


@pytest.mark.parametrize("kept", [SHAPES, SHAPES[:1], SHAPES[1:2]], ids=["both", "muon", "adamw"])
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("lr", -1.0),
        ("lr", math.nan),
        ("momentum", -0.1),
        ("weight_decay", -1.0),
        ("betas", (0.9, 1.0)),
        ("betas", (-0.1, 0.9)),
        ("eps", -1e-8),
    ],
)
def test_a_wrong_value_is_refused_whatever_the_shapes(
    kept: tuple[tuple[int, ...], ...], name: str, value: Any
) -> None:
    """torch's own constructors check their defaults only, and not what a group brings."""
    with pytest.raises(ValueError, match=name):
        MuonWithAdamW([torch.nn.Parameter(torch.zeros(shape)) for shape in kept], **{name: value})
