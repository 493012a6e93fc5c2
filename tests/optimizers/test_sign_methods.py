"""Lion and Signum against their algorithms, transcribed to NumPy in float64."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from optbench.optimizers.lion import Lion
from optbench.optimizers.signum import Signum

SHAPES = ((3, 4), (5,), (), (2, 1, 2))
STEPS = 50


def lion(
    x: np.ndarray, m: np.ndarray, g: np.ndarray, lr: float, decay: float, betas: Any
) -> tuple[np.ndarray, np.ndarray]:
    """Chen et al. 2023, Algorithm 2."""
    c = betas[0] * m + (1 - betas[0]) * g
    return x - lr * (np.sign(c) + decay * x), betas[1] * m + (1 - betas[1]) * g


def signum(
    x: np.ndarray, m: np.ndarray, g: np.ndarray, lr: float, decay: float, beta: Any
) -> tuple[np.ndarray, np.ndarray]:
    """Bernstein et al. 2018, Algorithm 2."""
    m = beta * m + (1 - beta) * g
    return x - lr * (np.sign(m) + decay * x), m


Rule = Callable[..., tuple[np.ndarray, np.ndarray]]
CASES = [
    pytest.param(Lion, lion, "betas", (0.9, 0.99), id="lion"),
    pytest.param(Lion, lion, "betas", (0.5, 0.6), id="lion-other-betas"),
    pytest.param(Lion, lion, "betas", (0.0, 0.0), id="lion-without-memory"),
    pytest.param(Signum, signum, "momentum", 0.9, id="signum"),
    pytest.param(Signum, signum, "momentum", 0.0, id="signsgd"),
]


def problem(seed: int) -> tuple[list[np.ndarray], list[list[np.ndarray | None]]]:
    """Starts, and gradients by step: the second tensor has none in every third step."""
    rng = np.random.default_rng(seed)
    starts = [rng.standard_normal(shape) for shape in SHAPES]
    gradients: list[list[np.ndarray | None]] = [
        [
            None if tensor == 1 and step % 3 == 0 else rng.standard_normal(shape)
            for tensor, shape in enumerate(SHAPES)
        ]
        for step in range(STEPS)
    ]
    return starts, gradients


@pytest.mark.parametrize("maximize", [False, True])
@pytest.mark.parametrize("decay", [0.0, 0.3])
@pytest.mark.parametrize(("method", "rule", "key", "memory"), CASES)
def test_it_follows_the_algorithm_over_fifty_steps(
    method: Any, rule: Rule, key: str, memory: Any, decay: float, maximize: bool
) -> None:
    starts, gradients = problem(1)
    lr = 0.01
    ours = [torch.nn.Parameter(torch.tensor(x)) for x in starts]
    optimizer = method(ours, lr=lr, weight_decay=decay, maximize=maximize, **{key: memory})
    theirs = [x.copy() for x in starts]
    moments = [np.zeros_like(x) for x in starts]
    for step in gradients:
        for k, gradient in enumerate(step):
            ours[k].grad = None if gradient is None else torch.tensor(gradient)
            if gradient is not None:
                sign = -1 if maximize else 1
                theirs[k], moments[k] = rule(
                    theirs[k], moments[k], sign * gradient, lr, decay, memory
                )
        optimizer.step()
    for mine, reference in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(mine.detach().numpy(), reference, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("method", [Lion, Signum])
def test_each_group_has_its_own_hyperparameters(method: Any) -> None:
    a, b = (torch.nn.Parameter(torch.zeros(2, dtype=torch.float64)) for _ in range(2))
    optimizer = method([{"params": [a]}, {"params": [b], "lr": 0.5, "maximize": True}], lr=0.1)
    for parameter in (a, b):
        parameter.grad = torch.tensor([1.0, -3.0], dtype=torch.float64)
    optimizer.step()
    assert a.tolist() == [-0.1, 0.1]
    assert b.tolist() == [0.5, -0.5]


@pytest.mark.parametrize("method", [Lion, Signum])
def test_no_gradient_leaves_the_parameter_and_no_state(method: Any) -> None:
    x = torch.nn.Parameter(torch.ones(2))
    optimizer = method([x], lr=0.1, weight_decay=0.5)
    optimizer.step()
    assert x.tolist() == [1.0, 1.0]
    assert not optimizer.state[x]


@pytest.mark.parametrize("method", [Lion, Signum])
def test_the_closure_is_called_once_with_gradients_on_and_its_loss_returned(method: Any) -> None:
    x = torch.nn.Parameter(torch.ones(2))
    calls = []

    def closure() -> torch.Tensor:
        calls.append(torch.is_grad_enabled())
        loss = x.square().sum()
        loss.backward()
        return loss

    loss = method([x], lr=0.1).step(closure)
    assert calls == [True]
    assert loss.item() == 2.0
    assert torch.equal(x.detach(), torch.full((2,), 0.9))


@pytest.mark.parametrize("method", [Lion, Signum])
def test_a_checkpoint_continues_bit_for_bit(method: Any) -> None:
    starts, gradients = problem(2)

    def go(parameters: list[torch.nn.Parameter], optimizer: Any, steps: slice) -> None:
        for step in gradients[steps]:
            for parameter, gradient in zip(parameters, step, strict=True):
                parameter.grad = None if gradient is None else torch.tensor(gradient)
            optimizer.step()

    through = [torch.nn.Parameter(torch.tensor(x)) for x in starts]
    optimizer = method(through, lr=0.01, weight_decay=0.1)
    go(through, optimizer, slice(0, 20))
    resumed = [torch.nn.Parameter(p.detach().clone()) for p in through]
    other = method(resumed, lr=1.0)
    other.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    go(through, optimizer, slice(20, None))
    go(resumed, other, slice(20, None))
    assert all(torch.equal(a, b) for a, b in zip(through, resumed, strict=True))


@pytest.mark.parametrize(
    ("method", "wrong", "said"),
    [
        (Lion, {"lr": -1.0}, "lr must be in [0, inf), not -1.0"),
        (Lion, {"lr": float("nan")}, "lr must be in [0, inf), not nan"),
        (Lion, {"betas": (1.0, 0.9)}, "betas[0] must be in [0, 1), not 1.0"),
        (Lion, {"betas": (0.9, -0.1)}, "betas[1] must be in [0, 1), not -0.1"),
        (Lion, {"weight_decay": -0.1}, "weight_decay must be in [0, inf), not -0.1"),
        (Signum, {"lr": -1.0}, "lr must be in [0, inf), not -1.0"),
        (Signum, {"momentum": 1.0}, "momentum must be in [0, 1), not 1.0"),
        (Signum, {"weight_decay": -0.1}, "weight_decay must be in [0, inf), not -0.1"),
    ],
)
def test_a_value_out_of_range_is_refused_by_name(
    method: Any, wrong: dict[str, Any], said: str
) -> None:
    with pytest.raises(ValueError, match="must be in") as caught:
        method([torch.nn.Parameter(torch.zeros(1))], **wrong)
    assert str(caught.value) == said
