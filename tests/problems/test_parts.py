"""A loss that several processes compute is the mean of their parts, and so is its gradient."""

from __future__ import annotations

import functools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from optbench.engine.lanes import feed, start
from optbench.problems import CATALOGUE, PROBLEMS
from optbench.problems.problem import Problem

CPU, F64 = torch.device("cpu"), torch.float64
DIVIDED = [problem.name for problem in CATALOGUE if "parts" in problem.traits]


@functools.cache
def bound(name: str) -> Problem:
    return PROBLEMS[name].bind(F64, CPU)


def gradients(loss: torch.Tensor, params: dict[str, torch.Tensor]) -> list[torch.Tensor]:
    return list(torch.autograd.grad(loss.sum(), list(params.values())))


def test_those_with_examples_or_noise_can_be_divided() -> None:
    assert set(DIVIDED) == {
        *("mnist-autoencoder", "mnist-logistic", "mnist-mlp", "mnist-mlp-8", "mnist-mlp-32"),
        *("sparse-logistic", "wilson", "deep-tanh", "shallow-tanh", "network-2-3-1"),
        *("network-2-3-1-brief", "noisy-quadratic", "heavy-tailed-quadratic"),
        *("multiplicative-quadratic", "noisy-rosenbrock"),
    }


@pytest.mark.parametrize("name", DIVIDED)
@settings(max_examples=4, deadline=None, derandomize=True)
@given(data=st.data())
def test_the_mean_of_the_parts_is_the_loss(name: str, data: st.DataObject) -> None:
    """Whether the batch divides evenly or not."""
    problem = bound(name)
    world = data.draw(st.integers(2, min(problem.samples, 9)) | st.just(problem.samples))
    seeds = [data.draw(st.integers(0, 99)), 7]
    params = {k: v.requires_grad_() for k, v in start(problem, seeds, F64, CPU).items()}
    batch = next(feed(problem, seeds, F64, CPU))
    whole = problem.loss(params, batch)
    parts = torch.stack([problem.part(params, batch, rank, world) for rank in range(world)])
    assert parts.shape == (world, 2)
    torch.testing.assert_close(parts.mean(0), whole, rtol=1e-11, atol=1e-13)
    for ours, theirs in zip(
        gradients(parts.mean(0), params), gradients(whole, params), strict=True
    ):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-13)
