"""Does every argument matter: what it may act on besides the path, and who is asked in vain."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest
import torch
from odd_constructors import ForAttention
from torch import Tensor

from optbench.conformance.contract import choose
from optbench.conformance.examiner import examine
from optbench.conformance.result import CheckResult, Status
from optbench.scenarios.introspect import introspect


class Descent(torch.optim.Optimizer):
    """Gradient descent in pieces that can be replaced one by one."""

    def __init__(self, params: Any, lr: float = 0.1, **more: Any) -> None:
        super().__init__(params, {"lr": lr, **more})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    p.sub_(group["lr"] * self.direction(p, group))
                    self.after(p, group, self.state[p])

    def direction(self, p: Tensor, group: dict[str, Any]) -> Tensor:
        assert p.grad is not None
        return p.grad

    def after(self, p: Tensor, group: dict[str, Any], state: dict[str, Any]) -> None:
        pass


class AveragesTheWeights(Descent):
    def __init__(self, params: Any, lr: float = 0.1, decay: float = 0.9) -> None:
        super().__init__(params, lr, decay=decay)

    def after(self, p: Tensor, group: dict[str, Any], state: dict[str, Any]) -> None:
        average = state.setdefault("average", p.clone())
        average.lerp_(p, 1 - group["decay"])


class MayAverageTheWeights(AveragesTheWeights):
    """At its default it keeps no average."""

    def __init__(self, params: Any, lr: float = 0.1, decay: float = 0.0) -> None:
        super().__init__(params, lr, decay)

    def after(self, p: Tensor, group: dict[str, Any], state: dict[str, Any]) -> None:
        if group["decay"]:
            super().after(p, group, state)


class AveragesGradientsForNothing(Descent):
    """A buffer of gradients that no step reads."""

    def __init__(self, params: Any, lr: float = 0.1, momentum: float = 0.9) -> None:
        super().__init__(params, lr, momentum=momentum)

    def after(self, p: Tensor, group: dict[str, Any], state: dict[str, Any]) -> None:
        assert p.grad is not None
        state.setdefault("momentum_buffer", p.grad.clone()).lerp_(p.grad, 1 - group["momentum"])


class Logs(Descent):
    def __init__(self, params: Any, lr: float = 0.1, log_every: int = 0) -> None:
        super().__init__(params, lr, log_every=log_every)

    def after(self, p: Tensor, group: dict[str, Any], state: dict[str, Any]) -> None:
        state["step"] = state.get("step", 0) + 1
        if group["log_every"] and state["step"] % group["log_every"] == 0:
            logging.getLogger("theirs").info("step %d", state["step"])


class ScalesLargeOnesByBlocks(Descent):
    def __init__(self, params: Any, lr: float = 0.1, block_size: int = 64) -> None:
        super().__init__(params, lr, block_size=block_size)

    def direction(self, p: Tensor, group: dict[str, Any]) -> Tensor:
        right = super().direction(p, group)
        if p.numel() < 4096:
            return right
        return torch.cat([b / b.norm() for b in right.flatten().split(group["block_size"])]).view(
            p.shape
        )


class Uncalled(Descent):
    """The bound of something that a method prepares between steps."""

    def __init__(self, params: Any, lr: float = 0.1, rho: float = 0.04) -> None:
        super().__init__(params, lr, rho=rho)
        self.is_prepared = False

    @torch.no_grad()
    def refresh_curvature(self) -> None:
        self.is_prepared = True

    def direction(self, p: Tensor, group: dict[str, Any]) -> Tensor:
        right = super().direction(p, group)
        return right.clamp(-group["rho"], group["rho"]) if self.is_prepared else right


class CallsItsOwn(Descent):
    """A public method without arguments that each step calls: nobody else has to."""

    def __init__(self, params: Any, lr: float = 0.1, rho: float = 0.04) -> None:
        super().__init__(params, lr, rho=rho)

    @torch.no_grad()
    def tidy_up(self) -> None:
        pass

    def after(self, p: Tensor, group: dict[str, Any], state: dict[str, Any]) -> None:
        self.tidy_up()


class ChoosesItsRate(Descent):
    """Needs a rate only where it is told to choose none itself."""

    def __init__(self, params: Any, lr: float | None = None, relative_step: bool = True) -> None:
        super().__init__(params, 1.0, rate=lr, relative_step=relative_step)

    def direction(self, p: Tensor, group: dict[str, Any]) -> Tensor:
        return super().direction(p, group) * (0.1 if group["relative_step"] else group["rate"])


class DecaysByDefault(Descent):
    def __init__(self, params: Any, lr: float = 0.1, weight_decay: float = 0.3) -> None:
        super().__init__(params, lr, weight_decay=weight_decay)

    def direction(self, p: Tensor, group: dict[str, Any]) -> Tensor:
        return super().direction(p, group) + group["weight_decay"] * p


def examined(
    optimizer: Any, check: str = "every_hyperparameter_matters", **given: Any
) -> CheckResult:
    (chosen,) = choose([check])
    return examine(introspect(optimizer, settings=given), chosen)


@pytest.mark.parametrize(
    ("optimizer", "said"),
    [
        (AveragesTheWeights, "decay only to an average of the weights in its state, average of"),
        (MayAverageTheWeights, "decay only to an average of the weights in its state, average of"),
        (Logs, "log_every only to what is printed or logged"),
        (ScalesLargeOnesByBlocks, "block_size only to tensors of 4,096 elements and more"),
    ],
)
def test_what_acts_on_something_else_matters(optimizer: type[Descent], said: str) -> None:
    result = examined(optimizer)
    assert result.status is Status.PASSED, result.text
    assert said in result.text


def test_what_only_goes_with_a_value_of_the_argument_shows_that_it_matters() -> None:
    result = examined(ChoosesItsRate)
    said = "1 matter; refused whatever we tried: relative_step"
    assert (result.status, result.text) == (Status.PASSED, said)


def test_a_buffer_of_gradients_that_nothing_reads_is_not_read_by_the_user() -> None:
    result = examined(AveragesGradientsForNothing)
    assert result.status is Status.FAILED
    assert "momentum (tried" in result.text


def test_what_is_about_parameters_of_another_name_is_said_and_no_accusation() -> None:
    said = examined(ForAttention)
    assert said.status is Status.PASSED
    assert "no effect of n_heads, which may be about parameters of other names" in said.text


def test_a_method_that_nobody_called_is_named() -> None:
    result = examined(Uncalled)
    assert result.status is Status.ADVICE
    assert "rho (tried" in result.text
    assert (
        "it has refresh_curvature(), which a training loop may be expected to call" in result.text
    )
    assert examined(CallsItsOwn).status is Status.FAILED


@pytest.mark.parametrize("lr", [0, 1e-30])
@pytest.mark.parametrize("optimizer", [torch.optim.SGD, torch.optim.Adam])
def test_a_rate_that_moves_nothing_is_answered_by_what_was_asked(optimizer: Any, lr: float) -> None:
    for check, status in (
        ("every_hyperparameter_matters", Status.PASSED),
        ("dtypes_are_kept", Status.PASSED),
        ("a_changed_rate_takes_effect_on_the_next_step", Status.NOT_APPLICABLE),
    ):
        result = examined(optimizer, check, lr=lr)
        assert result.status is status, result.text
        assert f"lr={lr}: nothing moves, as asked" in result.text


def test_a_class_that_never_moves_is_not_excused_by_the_rate_that_it_was_given() -> None:
    class Rests(Descent):
        def direction(self, p: Tensor, group: dict[str, Any]) -> Tensor:
            return torch.zeros_like(p)

    result = examined(Rests, "dtypes_are_kept", lr=0.1)
    assert result.status is Status.FAILED
    assert "did not move" in result.text


@pytest.mark.parametrize("optimizer", [torch.optim.SGD, torch.optim.Adam])
def test_who_is_asked_to_maximize_is_compared_with_minimizing(optimizer: Any) -> None:
    assert examined(optimizer, "maximize_*", maximize=True).status is Status.PASSED
    ladder = examined(optimizer, "it_solves_the_ladder", maximize=True)
    assert ladder.status is Status.NOT_APPLICABLE
    assert "it was asked to maximize" in ladder.text


@pytest.mark.proof
def test_a_default_decay_is_left_out_where_a_minimum_is_sought() -> None:
    result = examined("test_hyperparameters:DecaysByDefault", "it_solves_the_ladder")
    assert result.status is Status.PASSED, result.text
    assert "at weight_decay=0, for its default moves the minimum" in result.text
    asked = examined(
        "test_hyperparameters:DecaysByDefault", "it_solves_the_ladder", weight_decay=0.3
    )
    assert asked.status is Status.FAILED
    assert "at weight_decay=0.3, which moves the minimum" in asked.text
