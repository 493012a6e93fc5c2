"""What an optimizer may do to its process, and must not do to its neighbours."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from optbench.engine.error_text import LONGEST_ERROR
from optbench.engine.lanes import advance, has_diverged
from optbench.engine.runs import Run, Status, frozen
from optbench.engine.work import Unit, perform
from optbench.optimizers import OPTIMIZERS, Optimizer, Route
from optbench.problems import PROBLEMS


class Reassigning(torch.optim.SGD):
    """Correct, but by ``p.data = ...``."""

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:
        for group in self.param_groups:
            for p in group["params"]:
                p.data = p.data.add(p.grad, alpha=-group["lr"])


class Hostile(torch.optim.SGD):
    act: Callable[[], None]

    def step(self, closure: Any = None) -> None:
        type(self).act()
        super().step()


def row(factory: type[torch.optim.Optimizer], **fields: Any) -> Optimizer:
    return Optimizer("made", factory, {"lr": 0.1}, {}, Route.INSTANCE, "nobody", **fields)


def failing(monkeypatch: pytest.MonkeyPatch, act: Callable[[], None]) -> Any:
    """The one result of a unit of an optimizer that does this in its step."""
    monkeypatch.setattr(Hostile, "act", staticmethod(act), raising=False)
    monkeypatch.setitem(OPTIMIZERS._entries, "made", row(Hostile))
    (result,) = perform(unit("made"))
    return result


def unit(optimizer: str) -> Unit:
    return Unit((Run(optimizer, frozen({"lr": 0.1}), "quadratic", 1, "none", 0, 20),))


def test_an_optimizer_that_assigns_data_gets_where_one_that_writes_in_place_gets() -> None:
    settings, seeds = [{"lr": 0.1}] * 3, [0, 1, 2]
    quadratic = PROBLEMS["quadratic"]
    assigned = advance(row(Reassigning), quadratic, settings, seeds, 30)
    in_place = advance(OPTIMIZERS["sgd"], quadratic, settings, seeds, 30)
    assert torch.equal(assigned.params["x"], in_place.params["x"])
    assert (assigned.gaps[-1] < assigned.gaps[0]).all()


def test_another_shape_in_a_parameter_s_place_is_a_failure_that_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Misshapen(torch.optim.SGD):
        def step(self, closure: Any = None) -> None:
            for p in self.param_groups[0]["params"]:
                p.data = p.data.new_zeros(3, 3)

    monkeypatch.setitem(OPTIMIZERS._entries, "made", row(Misshapen))
    (result,) = perform(unit("made"))
    assert result.status is Status.FAILED
    assert "shape (100,) the shape (3, 3)" in result.error


def raising(error: BaseException) -> Callable[[], None]:
    def act() -> None:
        raise error

    return act


class Unheard(BaseException):
    """Not even an Exception."""


@pytest.mark.parametrize("error", [SystemExit(7), Unheard("of"), GeneratorExit("early")], ids=repr)
def test_whatever_a_step_raises_is_the_result_of_its_run(
    error: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = failing(monkeypatch, raising(error))
    assert result.status is Status.FAILED
    assert type(error).__name__ in result.error


def test_an_interrupt_in_the_user_s_own_process_stays_an_interrupt(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(KeyboardInterrupt):
        failing(monkeypatch, raising(KeyboardInterrupt()))


def test_an_error_text_is_short_printable_and_encodable(monkeypatch: pytest.MonkeyPatch) -> None:
    odd = RuntimeError("half \udcff, escape \x1b[31m, nul \x00, line\nfeed " + "h" * 10**5)
    text = failing(monkeypatch, raising(odd)).error
    text.encode("utf-8")
    assert "\x1b" not in text
    assert "\x00" not in text
    assert "line\nfeed" in text
    assert len(text) < LONGEST_ERROR + 500
    assert "characters)" in text


def test_torch_s_global_state_is_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    alone = perform(unit("adam"))[0]
    rng = torch.get_rng_state()

    def meddle() -> None:
        torch.set_default_dtype(torch.float64)
        torch.set_num_threads(2)
        torch.manual_seed(1)
        torch.set_grad_enabled(False)

    failing(monkeypatch, meddle)
    assert torch.get_default_dtype() is torch.float32
    assert torch.is_grad_enabled()
    assert torch.equal(torch.get_rng_state(), rng)
    after = perform(unit("adam"))[0]
    np.testing.assert_array_equal(after.traces["gap"].values, alone.traces["gap"].values)


def test_a_start_at_or_below_the_minimum_is_no_divergence() -> None:
    gaps = np.array([[0.0, -5.0, 1.0], [3.0, -4.0, 2e6], [np.nan, 1.0, 1.0]])
    expected = [[False] * 3, [False, False, True], [True, False, False]]
    np.testing.assert_array_equal(has_diverged(gaps, gaps[0]), expected)


def test_exit_while_importing_is_an_answer(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "leaves_early.py").write_text("raise SystemExit(0)\n")
    monkeypatch.syspath_prepend(tmp_path)
    sys.modules.pop("leaves_early", None)
    with pytest.raises(LookupError, match=r"cannot import 'leaves_early'.*SystemExit"):
        OPTIMIZERS["leaves_early:Adam"]
