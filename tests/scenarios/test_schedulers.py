"""Schedulers are built with arguments that are found by trying, and their rates observed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from odd_schedulers import Decays, ForgetsWhereItIs, WritesToTheTensor
from torch.optim import lr_scheduler

from optbench.scenarios.schedulers import (
    COLUMNS,
    RATES,
    STEPS,
    TriedScheduler,
    observe_scheduler,
    scheduler_classes,
)

# They schedule other schedulers, and none can be built of an optimizer alone.
OF_OTHERS = {"SequentialLR", "ChainedScheduler"}
CLASSES = {name: cls for name, cls in scheduler_classes(lr_scheduler) if name not in OF_OTHERS}
PLAIN = "the learning rates"


class Factor(lr_scheduler.LRScheduler):
    """The initial rate times a factor that is a function of the step."""

    def __init__(self, optimizer: Any, factor: Any, last_epoch: int = -1) -> None:
        self.factor = factor
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[Any]:
        return [base * self.factor(self.last_epoch) for base in self.base_lrs]


def of(cls: type, name: str) -> Any:
    return observe_scheduler(TriedScheduler(cls))[name]


@pytest.mark.parametrize("name", CLASSES)
def test_torch_s_own_go_alike_resumed_and_with_tensors(name: str) -> None:
    scheduler = TriedScheduler(CLASSES[name])
    found = observe_scheduler(scheduler)
    rates = found[PLAIN]
    assert isinstance(rates, np.ndarray)
    assert rates.shape == (1 + STEPS, len(COLUMNS))
    assert (rates != rates[0]).any()
    for scenario, others in found.items():
        if ";" not in scenario and ("resumed" in scenario or "tensors" in scenario):
            assert np.allclose(others, rates, rtol=1e-9, atol=0), scenario  # type: ignore[arg-type]


def test_rates_are_those_of_the_rule() -> None:
    rates = of(Factor, PLAIN)[:, :2]
    assert rates == pytest.approx(np.outer(0.5 ** np.arange(1 + STEPS), RATES))
    assert of(Factor, f"{PLAIN}, chained")[:, :2] == pytest.approx(rates)
    for moment in ("", ", saved before its step"):
        later = of(Factor, f"{PLAIN}, constructed with last_epoch=3{moment}")
        assert later[:, :2] == pytest.approx(rates)


class Powers(Factor):
    """As ExponentialLR: a base above one would soon be more than a float holds."""

    def get_lr(self) -> list[Any]:
        return [base * self.factor**self.last_epoch for base in self.base_lrs]


def test_arguments_are_chosen_under_which_rates_stay_finite() -> None:
    scheduler = TriedScheduler(Powers)
    assert scheduler.arguments == {"factor": 0.5}
    assert isinstance(of(Powers, "the learning rates, which are tensors"), np.ndarray)
    assert TriedScheduler(lr_scheduler.ExponentialLR).arguments == {"gamma": 0.5}


def test_a_fault_shows_in_its_scenario_and_no_other() -> None:
    for cls, words in ((WritesToTheTensor, "tensors"), (ForgetsWhereItIs, "resumed")):
        good, bad = (observe_scheduler(TriedScheduler(each)) for each in (Decays, cls))
        differing = [
            name
            for name, seen in good.items()
            if not (
                np.allclose(seen, bad[name]) if isinstance(seen, np.ndarray) else seen == bad[name]
            )  # type: ignore[arg-type]
        ]
        assert differing
        assert all(words in name for name in differing)


def test_what_raises_is_observed() -> None:
    class Once(Factor):
        def load_state_dict(self, state_dict: dict[str, Any]) -> None:
            raise KeyError("no")

    assert of(Once, "the learning rates, resumed after step 3") == "raises KeyError: 'no'"
    assert isinstance(of(Once, PLAIN), np.ndarray)


def test_one_that_cannot_be_built_says_why() -> None:
    class Wants(lr_scheduler.LRScheduler):
        def __init__(self, optimizer: Any, wish: Any) -> None:
            raise TypeError("a unicorn")

    with pytest.raises(ValueError, match="no arguments were found that it takes: TypeError: a uni"):
        TriedScheduler(Wants)


def test_only_schedulers_that_are_exported_are_found() -> None:
    module = type(torch)("theirs")
    vars(module).update(
        Factor=Factor, _Hidden=Decays, SGD=torch.optim.SGD, base=lr_scheduler.LRScheduler
    )
    assert list(scheduler_classes(module)) == [("Factor", Factor)]
