"""Who is compared with whom, and what is said of a difference."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from mutants.nadam import NAdam

from optbench.conformance.acquaintance import acquaint
from optbench.conformance.contract import choose
from optbench.conformance.examiner import examine
from optbench.conformance.result import CheckResult, Status


def examined(optimizer: type, reference: str) -> CheckResult:
    (check,) = choose(["follows_the_reference"])
    return examine(acquaint(optimizer, reference=reference), check)


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
        (made("SAM", "rho"), ""),
        (made("Lookahead", "alpha"), ""),
    ],
    ids=lambda each: getattr(each, "__name__", each),
)
def test_a_transcription_is_named_only_where_it_may_be_one_of_the_class(
    optimizer: type, reference: str
) -> None:
    (check,) = choose(["follows_its_oracle"])
    result = examine(acquaint(optimizer), check)
    assert result.status is Status.NOT_APPLICABLE
    assert f"--reference {reference or 'NAME'} " in result.text
