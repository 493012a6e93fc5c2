"""A learning-rate scheduler, and two that are wrong in one thing."""

from __future__ import annotations

from typing import Any

from torch.optim.lr_scheduler import LRScheduler


class Decays(LRScheduler):
    """The initial rate times a power of gamma, and never below a share of it."""

    def __init__(
        self, optimizer: Any, gamma: float, last_epoch: int = -1, floor: float = 0.0
    ) -> None:
        self.gamma, self.floor = gamma, floor
        super().__init__(optimizer, last_epoch)

    def factor(self, epoch: int) -> float:
        return max(float(self.gamma**epoch), self.floor)

    def get_lr(self) -> list[Any]:
        return [base * self.factor(self.last_epoch) for base in self.base_lrs]


class WritesToTheTensor(Decays):
    """Multiplies the initial rate itself, where it is a tensor (pytorch#126854)."""

    def get_lr(self) -> list[Any]:
        rates = []
        for base in self.base_lrs:
            base *= self.factor(self.last_epoch)
            rates.append(base)
        return rates


class ForgetsWhereItIs(Decays):
    """Leaves the count of its steps out of its state."""

    def state_dict(self) -> dict[str, Any]:
        return {k: v for k, v in super().state_dict().items() if k != "last_epoch"}
