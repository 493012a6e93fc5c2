"""Each check of schedulers fails on a fault of its kind, and passes on the class without it."""

from __future__ import annotations

import math
from typing import Any

import pytest
from odd_schedulers import Decays, ForgetsWhereItIs, WritesToTheTensor
from torch.optim import lr_scheduler
from torch.optim.lr_scheduler import LRScheduler

from optbench.conformance.contract import SCHEDULER_CONTRACT
from optbench.conformance.examiner import require
from optbench.conformance.targets import subject_of
from optbench.optimizers import textbook_schedules as textbook
from optbench.registry import NotAdoptable
from optbench.scenarios.outcomes import Advice, CheckFailed, NotApplicable

CHECKS = {check.name: check for check in SCHEDULER_CONTRACT}
FORMULA = "rates_follow_their_formula"
LONG = "rates_follow_their_formula_for_100_000_steps"


class PutsANumber(Decays):
    """Puts a number in the place of a rate that is a tensor."""

    def step(self, epoch: int | None = None) -> None:
        self.last_epoch = self.last_epoch + 1 if epoch is None else epoch
        for group, base in zip(self.optimizer.param_groups, self.base_lrs, strict=True):
            group["lr"] = float(base) * self.factor(self.last_epoch)
        self._last_lr = [group["lr"] for group in self.optimizer.param_groups]


class HoldsWhatCannotBeSaved(Decays):
    """Keeps a function of its own in its state, as CyclicLR did (pytorch#88684)."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.scale = lambda step: step


class CountsFromTheBeginning(Decays):
    """Counts its own steps, whatever last_epoch says."""

    steps = -1

    def get_lr(self) -> list[Any]:
        self.steps += 1
        return [base * self.factor(self.steps) for base in self.base_lrs]


class ReadsTheFirstGroup(Decays):
    """Gives all groups the rate of the first."""

    def get_lr(self) -> list[Any]:
        return [self.base_lrs[0] * self.factor(self.last_epoch) for _ in self.base_lrs]


class SaysTheRateBefore(Decays):
    """Says what was set at the step before."""

    def get_last_lr(self) -> list[Any]:
        return [base * self.factor(max(self.last_epoch - 1, 0)) for base in self.base_lrs]


class HidesItsOptimizer(Decays):
    """Has no optimizer, by which chains know what they are over."""

    def __init__(self, optimizer: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(optimizer, *args, **kwargs)
        self._groups = optimizer.param_groups
        del self.optimizer

    def step(self, epoch: int | None = None) -> None:
        if hasattr(self, "optimizer"):
            super().step(epoch)
            return
        self.last_epoch += 1
        for group, rate in zip(self._groups, self.get_lr(), strict=True):
            if hasattr(group["lr"], "fill_"):
                group["lr"].fill_(rate)
            else:
                group["lr"] = rate
        self._last_lr = [group["lr"] for group in self._groups]


class NamesTheNextEpoch(Decays):
    """Takes step(epoch) for the epoch after it."""

    def step(self, epoch: int | None = None) -> None:
        super().step(None if epoch is None else epoch + 1)


class HoldsAnObject(Decays):
    """Keeps an object in its state that torch.load refuses."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.kept = Kept()
        super().__init__(*args, **kwargs)


class Kept:
    """What torch.load does not know."""


class SortsTheList(LRScheduler):
    """Takes milestones out of the list that it is given."""

    def __init__(self, optimizer: Any, milestones: list[int], last_epoch: int = -1) -> None:
        if not isinstance(milestones, list):
            raise TypeError("milestones")
        self.left, self.passed = milestones, 0
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[Any]:
        while self.left and isinstance(self.left[0], int) and self.left[0] <= self.last_epoch:
            self.left.pop(0)
            self.passed += 1
        return [base * 0.5**self.passed for base in self.base_lrs]


class IgnoresItsFloor(Decays):
    """Has an argument without effect."""

    def factor(self, epoch: int) -> float:
        return float(self.gamma**epoch)


FAULTS: dict[type, tuple[str, type[Exception]]] = {
    WritesToTheTensor: ("tensor_rates_go_as_numbers", CheckFailed),
    ForgetsWhereItIs: ("resumes_at_every_step", CheckFailed),
    HoldsWhatCannotBeSaved: ("resumes_at_every_step", AttributeError),
    CountsFromTheBeginning: ("last_epoch_goes_on_in_mid_training", CheckFailed),
    ReadsTheFirstGroup: ("each_group_goes_as_alone", CheckFailed),
    SaysTheRateBefore: ("get_last_lr_is_what_is_set", CheckFailed),
    HidesItsOptimizer: ("chains_with_another", AttributeError),
    NamesTheNextEpoch: ("step_with_an_epoch_equals_step", CheckFailed),
    SortsTheList: ("given_lists_are_left_alone", CheckFailed),
}

ADVICE: dict[type, str] = {
    PutsANumber: "tensor_rates_go_as_numbers",
    HoldsAnObject: "saves_with_torch_save",
    IgnoresItsFloor: "every_argument_matters",
}


def hold(cls: Any, name: str) -> str:
    return require(subject_of(cls), CHECKS[name])


@pytest.mark.parametrize("name", CHECKS)
def test_a_scheduler_without_a_fault_passes(name: str) -> None:
    if name in (FORMULA, LONG, "rates_follow_the_reference"):
        with pytest.raises(NotApplicable, match="--reference"):
            hold(Decays, name)
    else:
        assert hold(Decays, name)


@pytest.mark.parametrize("cls", FAULTS, ids=lambda cls: cls.__name__)
def test_a_fault_fails_the_check_of_its_kind(cls: type) -> None:
    name, error = FAULTS[cls]
    with pytest.raises(error) as failure:
        hold(cls, name)
    assert not isinstance(failure.value, Advice)


@pytest.mark.parametrize(("cls", "name"), ADVICE.items(), ids=lambda v: getattr(v, "__name__", v))
def test_what_is_no_defect_is_advice(cls: type, name: str) -> None:
    with pytest.raises(Advice):
        hold(cls, name)


def test_one_that_counts_for_itself_does_not_begin_anew_in_a_sequence() -> None:
    with pytest.raises(CheckFailed, match="in a SequentialLR behind a constant"):
        hold(CountsFromTheBeginning, "works_in_a_sequence")


# ---------------------------------------------------------------------- torch's, by their formulas


class RestartsLate(lr_scheduler.CosineAnnealingWarmRestarts):
    """Begins anew one step after the cycle has ended."""

    def step(self, epoch: Any = None) -> None:
        if self.T_cur == self.T_i - 1 and epoch is None:
            self.T_cur -= 1
        super().step(epoch)


class ForgetsMomentum(lr_scheduler.OneCycleLR):
    """Changes the momentum of SGD, and not the betas of Adam."""

    def get_lr(self) -> list[Any]:
        betas = [group.get("betas") for group in self.optimizer.param_groups]
        rates = super().get_lr()
        for group, before in zip(self.optimizer.param_groups, betas, strict=True):
            if before is not None:
                group["betas"] = before
        return rates


class WaitsOneMore(lr_scheduler.ReduceLROnPlateau):
    """Takes patience for the steps before the decay, and not for those without one."""

    def step(self, metrics: Any, epoch: Any = None) -> None:
        self.num_bad_epochs = min(self.num_bad_epochs, self.patience - 1)
        super().step(metrics, epoch)


class GoesOnWithTheFirst(lr_scheduler.SequentialLR):
    """Begins the second schedule where the first one ended."""

    def step(self) -> None:  # type: ignore[override]
        self.last_epoch += 1
        at = self._milestones[0] <= self.last_epoch
        self._schedulers[at].step()
        self._last_lr = self._schedulers[at].get_last_lr()


class BeginsWithTheFirst(lr_scheduler.SequentialLR):
    """Begins with the first schedule where its milestone is 0, as torch 2.12 does."""

    def __init__(self, optimizer: Any, schedulers: Any, milestones: Any) -> None:
        super().__init__(optimizer, schedulers, milestones)
        if milestones == [0]:
            for group, base in zip(optimizer.param_groups, schedulers[0].base_lrs, strict=True):
                group["lr"] = base * 0.5


class HalvesByDefault(lr_scheduler.StepLR):
    """Has other defaults than its base."""

    def __init__(self, optimizer: Any, step_size: int = 3, gamma: float = 0.5) -> None:
        super().__init__(optimizer, step_size, gamma)


class StopsAtTheBottom(lr_scheduler.CosineAnnealingLR):
    """Does not rise again after the first half of the cosine."""

    def get_lr(self) -> list[Any]:
        if self.last_epoch > self.T_max:
            return [group["lr"] for group in self.optimizer.param_groups]
        return super().get_lr()


class AccumulatesThePhase(lr_scheduler.CosineAnnealingLR):
    """Adds the angle of a step to that of the steps before."""

    phase = 0.0

    def get_lr(self) -> list[Any]:
        self.phase += math.pi / self.T_max if self.last_epoch else 0.0
        return [base * (1 + math.cos(self.phase)) / 2 for base in self.base_lrs]


OF_TORCH: dict[type, str] = {
    RestartsLate: FORMULA,
    ForgetsMomentum: FORMULA,
    WaitsOneMore: FORMULA,
    GoesOnWithTheFirst: FORMULA,
    BeginsWithTheFirst: FORMULA,
    StopsAtTheBottom: FORMULA,
    AccumulatesThePhase: LONG,
}


@pytest.mark.parametrize(("cls", "name"), OF_TORCH.items(), ids=lambda v: getattr(v, "__name__", v))
def test_a_departure_from_the_formula_fails(
    cls: type, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (base,) = cls.__bases__
    for table in (textbook.RATES, textbook.MOMENTA):
        if base in table:
            monkeypatch.setitem(table, cls, table[base])  # type: ignore[arg-type]
    assert hold(base, name)
    with pytest.raises(CheckFailed, match="by its formula"):
        hold(cls, name)


def test_a_reference_is_demanded_and_named() -> None:
    same = subject_of(
        lr_scheduler.ExponentialLR, reference="torch.optim.lr_scheduler:ExponentialLR"
    )
    check = CHECKS["rates_follow_the_reference"]
    assert "within 0.0e+00" in require(same, check)
    other = subject_of(StopsAtTheBottom, reference="torch.optim.lr_scheduler:CosineAnnealingLR")
    with pytest.raises(CheckFailed, match=r"by torch\.optim\.lr_scheduler:CosineAnnealingLR"):
        require(other, check)
    unlike = subject_of(lr_scheduler.StepLR, reference="torch.optim.lr_scheduler:ExponentialLR")
    with pytest.raises(CheckFailed, match="ExponentialLR takes no step_size"):
        require(unlike, check)
    # Arguments of the same name have the values of the class that is checked.
    halves = subject_of(HalvesByDefault, reference="torch.optim.lr_scheduler:StepLR")
    assert "within 0.0e+00" in require(halves, check)
    with pytest.raises(NotAdoptable, match="'sgd' is no scheduler"):
        subject_of(lr_scheduler.StepLR, reference="sgd")


class WarmsUp(LRScheduler):
    """Rises, and falls along a cosine; it is no longer than it was said to be."""

    def __init__(
        self, *args: Any, warmup: int = 3, total: int = 20, verbose: bool = False, **kwargs: Any
    ) -> None:
        if total < 20:
            raise ValueError("total must be at least 20")
        self.warmup, self.total = warmup, total
        super().__init__(*args, **kwargs)

    def get_lr(self) -> list[Any]:
        rise = min((self.last_epoch + 1) / self.warmup, 1.0)
        left = math.cos(math.pi * self.last_epoch / self.total / 2)
        return [base * rise * left for base in self.base_lrs]


class WaitsForTheLoss(LRScheduler):
    """Halves the rate where a loss got no better."""

    def __init__(self, optimizer: Any) -> None:
        self.best, self.factor = math.inf, 1.0
        super().__init__(optimizer)

    def get_lr(self) -> list[Any]:
        return [base * self.factor for base in self.base_lrs]

    def step(self, loss: float = math.inf) -> None:  # type: ignore[override]
        self.factor *= 0.5 if loss >= self.best else 1.0
        self.best = min(self.best, loss)
        super().step()


class DecaysTheDecay(LRScheduler):
    """Multiplies the weight decay of the first group, and gives it to all."""

    def get_lr(self) -> list[Any]:
        first, *_ = self.optimizer.param_groups
        for place, group in enumerate(self.optimizer.param_groups):
            group["weight_decay"] = first["weight_decay"] * (0.5 if place else 0.9)
        return [group["lr"] for group in self.optimizer.param_groups]


class EndsInNaN(Decays):
    """Has no rate from the fourth step on."""

    def factor(self, epoch: int) -> float:
        return super().factor(epoch) if epoch < 4 else math.nan


class NeverMoves(LRScheduler):
    """Leaves the rates as they are."""

    def get_lr(self) -> list[Any]:
        return [group["lr"] for group in self.optimizer.param_groups]


@pytest.mark.parametrize("cls", [WarmsUp, WaitsForTheLoss], ids=lambda cls: cls.__name__)
def test_what_is_unusual_is_accused_of_nothing(cls: type) -> None:
    scheduler = subject_of(cls)
    for check in SCHEDULER_CONTRACT:
        try:
            require(scheduler, check)
        except NotApplicable:
            continue
    assert scheduler.moves  # type: ignore[union-attr]


def test_a_schedule_of_the_weight_decay_is_looked_at() -> None:
    with pytest.raises(CheckFailed, match=r"weight decay is .* where the group is alone"):
        hold(DecaysTheDecay, "each_group_goes_as_alone")


def test_a_rate_that_is_nan_is_said_to_be() -> None:
    for name in ("resumes_at_every_step", "each_group_goes_as_alone", "works_in_a_sequence"):
        with pytest.raises(CheckFailed, match="is nan after step"):
            hold(EndsInNaN, name)


def test_one_that_never_moves_is_said_to() -> None:
    with pytest.raises(Advice, match="nothing that it sets changes in 16 steps"):
        hold(NeverMoves, "every_argument_matters")


def test_torch_s_restart_in_mid_training_is_off() -> None:
    """With T_mult the constructor takes last_epoch for steps of the first cycle's length."""
    with pytest.raises(CheckFailed, match="T_mult=2"):
        hold(lr_scheduler.CosineAnnealingWarmRestarts, "last_epoch_goes_on_in_mid_training")
