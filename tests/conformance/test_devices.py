"""How the check of a GPU against the CPU compares, tried on the one device that is everywhere."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch

from optbench.conformance import devices
from optbench.conformance.devices import STEPS, _agrees
from optbench.engine.as_found import torch_as_found
from optbench.engine.lanes import one_thread
from optbench.scenarios.introspect import introspect
from optbench.scenarios.outcomes import CheckFailed
from optbench.scenarios.session import Session


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """As a check runs."""
    with torch_as_found(), one_thread():
        yield


def test_every_implementation_is_compared_and_what_is_not_offered_is_said() -> None:
    """Capturable implementations are for GPUs."""
    assert _agrees(introspect(torch.optim.Adam), "cpu") == (
        "3 implementations, 30 steps; not offered: capturable"
    )
    assert _agrees(introspect(torch.optim.SGD), "cpu") == "3 implementations, 30 steps"


def test_what_a_check_holds_is_on_the_subject_s_device() -> None:
    subject = replace(introspect(torch.optim.SGD), device="meta")
    session = Session(subject, subject.sequence())
    session.give_gradients()
    tensors = [*session.params, *(p.grad for p in session.params)]
    assert {t.device.type for t in tensors if t is not None} == {"meta"}


class Careless(torch.optim.SGD):
    """Its foreach is another rule."""

    def __init__(self, params: Any, lr: float = 0.1, *, foreach: bool | None = None) -> None:
        super().__init__(params, lr=1.001 * lr if foreach else lr)


def test_an_implementation_that_goes_elsewhere_is_named() -> None:
    with pytest.raises(CheckFailed, match="on cpu, foreach=True"):
        _agrees(introspect(Careless), "cpu")


class Refusing(torch.optim.SGD):
    """Not for this device: it takes the steps that the CPU is asked for, and no more."""

    steps = 0

    def step(self, closure: Any = None) -> Any:
        if Refusing.steps == STEPS:
            raise RuntimeError("not on this device")
        Refusing.steps += 1
        return super().step()


def test_one_that_does_not_run_there_at_all_is_not_passed_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(devices, "require_determinism", lambda subject: None)  # it takes steps
    subject = replace(introspect(torch.optim.SGD), factory=Refusing)
    with pytest.raises(RuntimeError, match="not on this device"):
        _agrees(subject, "cpu")
    assert Refusing.steps == STEPS
