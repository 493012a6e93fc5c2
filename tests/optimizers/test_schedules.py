"""Schedules of the learning rate: what they do to it, and what is refused."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch.optim import lr_scheduler

from optbench.optimizers import OPTIMIZERS, SCHEDULES, Optimizer, Route, Schedule
from optbench.optimizers.recipe import WrongHyperparameter
from optbench.optimizers.schedules import factors, without_schedule
from optbench.registry import NotAdoptable, UnknownName

NAMES = [row.name for row in SCHEDULES]
T = 1000


def cosine(t: float, of: float) -> float:
    return 0.5 * (1 + math.cos(math.pi * t / of))


FORMULAS = {
    "step": [1.0] * 334 + [0.1] * 334 + [0.01] * 332,
    "cosine": [cosine(t, T) for t in range(T)],
    "warmup": [min(1.0, (t + 1) / 100) for t in range(T)],
    "warmup-cosine": [(t + 1) / 100 if t < 100 else cosine(t - 100, 900) for t in range(T)],
}


@pytest.mark.parametrize("name", NAMES)
def test_a_schedule_follows_its_formula(name: str) -> None:
    assert factors(name, T) == pytest.approx(FORMULAS[name], rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("budget", [1, 2, 3, 7, 10, 11, 250])
def test_any_budget_has_a_rate_for_each_step(name: str, budget: int) -> None:
    seen = factors(name, budget)
    assert len(seen) == budget
    assert all(0 < factor <= 1 for factor in seen)
    assert max(seen) == pytest.approx(1.0)


@pytest.mark.parametrize("name", NAMES)
def test_a_row_says_what_it_is(name: str) -> None:
    row = SCHEDULES[name]
    assert row.summary.endswith(".")
    assert any(year in row.cite for year in ("2016", "2017"))


# What is refused, and what is said then.


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "lr_schedule is the name of a schedule .*, not None"),
        (0.1, "not 0.1"),
        (["cosine"], r"not \['cosine'\]"),
    ],
)
def test_what_is_no_name_is_refused(value: Any, said: str) -> None:
    with pytest.raises(WrongHyperparameter, match=said):
        OPTIMIZERS["adam"].settings({"lr_schedule": value})


def test_a_mistyped_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(UnknownName, match=r"unknown schedule 'cosin'; did you mean 'cosine'"):
        OPTIMIZERS["adam"].settings({"lr_schedule": "cosin"})


@pytest.mark.parametrize("name", [row.name for row in OPTIMIZERS])
def test_every_optimizer_takes_a_schedule_and_its_factory_is_not_told(name: str) -> None:
    row = OPTIMIZERS[name]
    told = row.settings({"lr_schedule": "cosine"})
    assert told == {**row.settings(), "lr_schedule": "cosine"}
    assert without_schedule(told) == row.settings()


class OwnSchedule(torch.optim.SGD):
    """Has something of its own under that name."""

    def __init__(self, params: Any, lr: float = 0.1, lr_schedule: str = "mine") -> None:
        super().__init__(params, lr=lr)


class NoRate(torch.optim.SGD):
    """Keeps its rate elsewhere."""

    def __init__(self, params: Any, lr: float = 0.1) -> None:
        super().__init__(params, lr=lr)
        for group in self.param_groups:
            self.rate = group.pop("lr")


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (OwnSchedule, "own takes a lr_schedule of its own, .* call"),
        (NoRate, "own keeps no lr in its parameter groups"),
    ],
)
def test_an_optimizer_whose_rate_is_out_of_reach_is_refused(kind: type, said: str) -> None:
    row = Optimizer("own", kind, {"lr": 0.1}, {}, Route.INSTANCE, "")
    assert row.settings() == {"lr": 0.1}
    with pytest.raises(WrongHyperparameter, match=said):
        row.settings({"lr_schedule": "cosine"})


@pytest.mark.parametrize("where", ["defaults", "space"])
def test_a_row_cannot_have_a_schedule_of_its_own(where: str) -> None:
    given: dict[str, Any] = {"defaults": {"lr": 0.1}, "space": {}}
    given[where] = {**given[where], "lr_schedule": "cosine"}
    with pytest.raises(ValueError, match="lr_schedule is set per run, not in a row"):
        Optimizer("own", torch.optim.SGD, route=Route.STACK, cite="", **given)


# Others' schedules.


def _raises(optimizer: torch.optim.Optimizer, budget: int) -> lr_scheduler.LRScheduler:
    raise RuntimeError("not today")


def _times(factor: float) -> Any:
    return lambda optimizer, budget: lr_scheduler.LambdaLR(optimizer, lambda t: factor)


HALF = Schedule("half", "Half of it.", "", _times(0.5))
RAISES = Schedule("raises", "", "", _raises)
WANTS_A_METRIC = Schedule(
    "plateau", "", "", lambda optimizer, budget: lr_scheduler.ReduceLROnPlateau(optimizer)
)
NAN, NEGATIVE = (Schedule(str(x), "", "", _times(x)) for x in (math.nan, -1.0))


@pytest.fixture(autouse=True)
def _nothing_remembered() -> Iterator[None]:
    factors.cache_clear()
    yield
    factors.cache_clear()


def test_a_schedule_of_a_module_is_found_under_its_path() -> None:
    assert factors("test_schedules:HALF", 3) == (0.5, 0.5, 0.5)
    assert SCHEDULES["test_schedules:HALF"].name == "test_schedules:HALF"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("RAISES", "raised RuntimeError: not today"),
        ("WANTS_A_METRIC", "raised TypeError: .*metrics"),
        ("NAN", "sets the learning rate nan times what it was"),
        ("NEGATIVE", "sets the learning rate -1.0 times"),
        ("T", "is a int, not an optbench Schedule"),
    ],
)
def test_a_schedule_that_is_none_is_told_in_words(name: str, said: str) -> None:
    with pytest.raises(NotAdoptable, match=said):
        factors(f"test_schedules:{name}", 3)
