"""Who is compared with whom, and what is said of a difference."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from mutants.nadam import NAdam

from optbench.conformance.contract import choose
from optbench.conformance.examiner import examine
from optbench.conformance.result import CheckResult, Status
from optbench.optimizers import textbook_optimizers_beyond_torch as textbooks
from optbench.scenarios.introspect import introspect


def examined(optimizer: type, reference: str) -> CheckResult:
    (check,) = choose(["follows_the_reference"])
    return examine(introspect(optimizer, reference=reference), check)


@pytest.mark.parametrize("reference", ["nadam", "torch.optim:NAdam"])
def test_a_correct_one_is_not_held_against_what_a_reference_rounds(reference: str) -> None:
    result = examined(NAdam, reference)
    assert result.status is Status.PASSED
    assert f"compared with textbook-nadam, the transcription of {reference}" in result.text


def test_what_differs_from_the_transcription_says_so() -> None:
    result = examined(torch.optim.NAdam, "nadam")
    assert "differs from textbook-nadam" in result.text
    assert result.text.endswith("compared with textbook-nadam, the transcription of nadam")


class DecaysByAConstant(torch.optim.Optimizer):
    """Takes off a constant for the decay, not a part of the parameter."""

    def __init__(self, params: Any, lr: float = 0.1, weight_decay: float = 0.0) -> None:
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    p.sub_(group["lr"] * (p.grad + group["weight_decay"]))


def test_clues_are_sought_with_the_settings_that_differ() -> None:
    result = examined(DecaysByAConstant, "textbook-sgd")
    assert result.status is Status.FAILED
    assert "differs only with another weight_decay" in result.text
    assert "agrees with weight_decay=0" in result.text
    assert "one tensor alone" not in result.text


class UncorrectedLAMB(torch.optim.Optimizer):
    """LAMB without bias correction; with ``coupled`` the decay is part of the gradient."""

    coupled = False

    def __init__(self, params: Any, lr: float = 0.01, weight_decay: float = 0.0) -> None:
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                state, decay = self.state[p], group["weight_decay"] * p
                if not state:
                    state["m"], state["v"] = torch.zeros_like(p), torch.zeros_like(p)
                gradient = p.grad + decay if self.coupled else p.grad
                state["m"].lerp_(gradient, 0.1)
                state["v"].lerp_(gradient.square(), 0.001)
                update = state["m"] / (state["v"].sqrt() + 1e-6)
                update = update if self.coupled else update + decay
                p.sub_(group["lr"] * p.norm() / update.norm() * update)


class CoupledLAMB(UncorrectedLAMB):
    """The other one of the two."""

    coupled = True


def test_one_without_a_switch_may_follow_another_reading_of_the_rule() -> None:
    result = examined(UncorrectedLAMB, "textbook-lamb")
    assert result.status is Status.PASSED
    assert "textbook-lamb was run with bias_correction=False" in result.text


def test_of_several_readings_the_nearest_is_what_a_difference_is_said_of() -> None:
    result = examined(CoupledLAMB, "textbook-lamb")
    assert result.status is Status.FAILED
    assert "differs only with another weight_decay" in result.text
    assert "textbook-lamb was run with bias_correction=False" in result.text


class SwitchedLAMB(UncorrectedLAMB):
    """Has the switch, and does not heed it."""

    def __init__(self, params: Any, lr: float = 0.01, bias_correction: bool = True) -> None:
        super().__init__(params, lr)


def test_one_that_has_the_switch_is_held_to_it() -> None:
    result = examined(SwitchedLAMB, "textbook-lamb")
    assert result.status is Status.FAILED
    assert "was run" not in result.text


def test_a_reference_may_be_comparable_on_some_shapes_alone() -> None:
    """Eigenvectors of one eigenvalue are the library's choice: bases after a rotation of it."""
    assert examined(textbooks.TextbookSOAP, "textbook-soap").status is Status.PASSED
    assert all(len(set(shape)) == 1 for shape in textbooks.TextbookSOAP.shapes or ())


def test_a_reference_whose_hessian_the_loop_estimates_is_given_the_hook() -> None:
    result = examined(textbooks.TextbookSophia, "textbook-sophia")
    assert result.status is Status.PASSED
    assert "apart by at most 0 times" in result.text


def made(name: str, *arguments: str) -> type:
    """A class of this name whose constructor takes these arguments besides the rate."""
    given = ", ".join(f"{each}=0.1" for each in ("lr", *arguments))
    names: dict[str, Any] = {"SGD": torch.optim.SGD}
    exec(
        f"class {name}(SGD):\n    def __init__(self, params, {given}):\n"
        "        super().__init__(params, lr)\n",
        names,
    )
    found: type = names[name]
    return found


@pytest.mark.parametrize(
    ("optimizer", "reference"),
    [
        (made("FusedAdam", "eps", "weight_decay"), "textbook-adam"),
        (made("MyAdamW", "weight_decay"), "textbook-adamw"),
        (made("Lion", "use_triton"), "textbook-lion"),
        (made("QHAdam", "nus"), ""),
        (made("SAM", "rho"), "textbook-sam"),
        (made("Lookahead", "alpha"), "textbook-lookahead"),
        (made("Lamb", "clamp"), "textbook-lamb"),
        (made("ADOPT"), "textbook-adopt"),
        (made("SOAP"), "textbook-soap"),
        (made("AdamWScheduleFree"), "textbook-schedule-free-adamw"),
        (made("ScheduleFreeAdamW"), "textbook-schedule-free-adamw"),
        (made("SGDScheduleFree"), "textbook-schedule-free-sgd"),
        (made("SophiaG"), "textbook-sophia"),
        (made("Adan"), "textbook-adan"),
        (made("Prodigy"), "textbook-prodigy"),
        (made("SGDW"), "textbook-sgdw"),
        (made("AdEMAMix"), "textbook-ademamix"),
        (made("WSAM", "gamma"), ""),
    ],
    ids=lambda each: getattr(each, "__name__", each),
)
def test_a_transcription_is_named_only_where_it_may_be_one_of_the_class(
    optimizer: type, reference: str
) -> None:
    (check,) = choose(["follows_its_oracle"])
    result = examine(introspect(optimizer), check)
    assert result.status is Status.NOT_APPLICABLE
    assert f"--reference {reference or 'NAME'} " in result.text
