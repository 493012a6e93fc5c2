"""Work of a step by the functions that ask for it: counted, and so the same every time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

from optbench.engine.bench import Bench
from optbench.engine.model_shapes import MODELS
from optbench.scenarios.counted_work import work_by_function

SHAPES = MODELS["resnet18"].scaled(50_000).shapes


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """As a side's process has: two that wait for each other take seconds on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


Work = tuple[dict[str, tuple[float, float, float]], str]


class Plain(torch.optim.Optimizer):
    """Signs, by a function of its own."""

    def __init__(self, params: Any, lr: float = 0.1) -> None:
        super().__init__(params, {"lr": lr})
        self.steps = 0

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        self.steps += 1
        for group in self.param_groups:
            for parameter in group["params"]:
                self.update(parameter)

    def update(self, parameter: Any) -> None:
        parameter.add_(parameter.grad.sign(), alpha=-0.1)


class Doubled(Plain):
    """Two operations more a tensor."""

    def update(self, parameter: Any) -> None:
        parameter.add_(parameter.grad.mul(2.0).div(2.0).sign(), alpha=-0.1)


class Norms(Plain):
    """Asks through two of torch's Python functions, in an expression, at every second step."""

    def update(self, parameter: Any) -> None:
        if self.steps % 2:
            [torch.nn.utils.get_total_norm([each.grad]) for each in (parameter,)]


class Talkative(Plain):
    """Three Python calls more a tensor."""

    def update(self, parameter: Any) -> None:
        super().update(parameter)
        max(len("a"), len("b"))


def counted(kind: Any, **settings: Any) -> Work:
    return work_by_function(Bench(lambda params: kind(params, **settings), SHAPES))


def test_operations_are_those_of_the_function_that_asks_for_them() -> None:
    plain, _ = counted(Plain)
    assert plain["Plain.update"][0] == 2 * len(SHAPES)
    assert sum(work[0] for work in plain.values()) == 2 * len(SHAPES)
    # sign reads the gradient, add_ the parameter and the sign.
    elements = sum(torch.Size(shape).numel() for shape in SHAPES)
    assert plain["Plain.update"][1] == 3 * 4 * elements
    doubled, _ = counted(Doubled)
    assert doubled["Doubled.update"][0] == 4 * len(SHAPES)


def test_counts_and_digest_repeat() -> None:
    assert counted(torch.optim.Adam) == counted(torch.optim.Adam)
    assert counted(Plain)[1] != counted(Doubled)[1]


def ones(
    *strides: int, shape: tuple[int, ...] = (2, 3), dtype: Any = torch.float32
) -> torch.Tensor:
    return torch.empty_strided(shape, strides, dtype=dtype).fill_(1.0)


@pytest.mark.parametrize(
    "other",
    [
        lambda: ones(1, 2).abs().neg(),
        lambda: ones(3, 1, shape=(3, 2)).abs().neg(),
        lambda: ones(3, 1, dtype=torch.float64).abs().neg(),
        lambda: ones(3, 1).neg().abs(),
    ],
)
def test_the_digest_tells_strides_shapes_types_and_order_apart(other: Callable[[], Any]) -> None:
    def digest(work: Callable[[], Any]) -> str:
        return counted(type("One", (Plain,), {"update": lambda *_: work()}))[1]

    assert digest(lambda: ones(3, 1).abs().neg()) == digest(lambda: ones(3, 1).abs().neg())
    assert digest(lambda: ones(3, 1).abs().neg()) != digest(other)


def test_the_work_of_libraries_is_that_of_who_calls_them() -> None:
    norms, _ = counted(Norms)
    assert norms["Norms.update"][0] > 0
    assert not {name for name in norms if "norm" in name.lower()} - {"Norms.update"}


def test_what_is_done_at_some_steps_counts_by_its_mean() -> None:
    always = type("Always", (Norms,), {"steps": property(lambda _: 1, lambda *_: None)})
    assert counted(Norms)[0]["Norms.update"][0] * 2 == counted(always)[0]["Norms.update"][0]


def test_functions_of_torch_s_optimizers_have_names() -> None:
    loop, _ = counted(torch.optim.Adam)
    assert loop["_single_tensor_adam"][0] > 5 * len(SHAPES)


def test_an_operation_over_lists_counts_for_every_tensor() -> None:
    loop, _ = counted(torch.optim.SGD, foreach=False)
    lists, _ = counted(torch.optim.SGD, foreach=True)
    assert loop["_single_tensor_sgd"][0] == len(SHAPES)
    assert lists["_multi_tensor_sgd"][0] == len(SHAPES)


@pytest.mark.parametrize("kind", [Plain, Talkative])
def test_calls_are_those_of_the_caller(kind: type[Plain]) -> None:
    work, _ = counted(kind)
    assert work["Plain.update"][2] == 2 * len(SHAPES)
    if kind is Talkative:
        # super(), what it gives, two lengths and their maximum.
        assert work["Talkative.update"][2] >= 4 * len(SHAPES)
