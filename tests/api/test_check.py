"""``optbench.check``: results as values, and what happens where one fails."""

from __future__ import annotations

import pytest
import torch

import optbench
from optbench.api.check import failures
from optbench.conformance.result import CheckResult, Status
from optbench.errors import WrongUse
from optbench.registry import UnknownName
from optbench.scenarios.outcomes import CheckFailed


class Deaf(torch.optim.Optimizer):
    """SGD that reads its learning rate once."""

    def __init__(self, params, lr=0.1):
        super().__init__(params, {"lr": lr})
        self.rate = lr

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    parameter.sub_(self.rate * parameter.grad)


LIVE = "a_changed_rate_takes_effect_on_the_next_step"


def test_a_class_that_passes_gives_its_results() -> None:
    (result,) = optbench.check(torch.optim.SGD, only=LIVE, jobs=1)
    assert (result.target, result.check) == ("torch.optim.sgd:SGD", LIVE)
    assert result.status is Status.PASSED


def test_a_class_of_this_module_that_fails_raises_with_the_reason() -> None:
    with pytest.raises(CheckFailed, match=f"{__name__}:Deaf") as raised:
        optbench.check(Deaf, jobs=1, only=LIVE)
    assert "optbench check" in str(raised.value)


def test_a_failure_can_warn_or_be_left_to_the_caller() -> None:
    given = {"jobs": 1, "only": LIVE}
    with pytest.warns(UserWarning, match="Deaf"):
        optbench.check(Deaf, on_fail="warn", **given)
    results = optbench.check(Deaf, on_fail=None, **given)
    assert failures(results)


def test_advice_fails_only_where_it_is_asked_for() -> None:
    rows = [
        CheckResult("a:B", "c", status) for status in (Status.PASSED, Status.ADVICE, Status.XFAILED)
    ]
    assert failures(rows) == []
    assert [row.status for row in failures(rows, strict=True)] == [Status.ADVICE]


def test_wrong_arguments_are_refused_before_any_work() -> None:
    with pytest.raises(WrongUse, match="on_fail is"):
        optbench.check("sgd", on_fail="explode")  # type: ignore[arg-type]
    with pytest.raises(UnknownName, match="no check is called 'nope'"):
        optbench.check("sgd", only="nope")
    with pytest.raises(UnknownName, match="unknown optimizer 'adm'"):
        optbench.check("sgd", reference="adm")
    with pytest.raises(WrongUse, match="name what to check"):
        optbench.check([])
