"""What is kept with every step is counted, wherever it is kept; what is not kept is not."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from optbench.comparison.memory_probe import weigh
from optbench.scenarios.introspect import introspect


class IntoItsClass(torch.optim.SGD):
    """Keeps numbers in a list that was there before it was weighed."""

    kept: list[float] = []  # noqa: RUF012

    def step(self, closure: Any = None) -> Any:
        self.kept.extend([0.5] * 8)
        return super().step(closure)


class IntoAnOldTensor(torch.optim.SGD):
    """Makes a tensor longer that was there before it was weighed."""

    kept = torch.zeros(1)

    def step(self, closure: Any = None) -> Any:
        self.kept.resize_(len(self.kept) + 5)
        return super().step(closure)


class IntoItself(torch.optim.SGD):
    """Keeps tensors of its own."""

    def step(self, closure: Any = None) -> Any:
        self.__dict__.setdefault("kept", []).append(torch.ones(3))
        return super().step(closure)


class IntoACycle(torch.optim.SGD):
    """Leaves what only the garbage collector frees."""

    def step(self, closure: Any = None) -> Any:
        left: list[Any] = [torch.ones(100)]
        left.append(left)
        return super().step(closure)


@pytest.mark.proof
@pytest.mark.parametrize(
    ("optimizer", "least", "most"),
    [
        (IntoItsClass, 40, 90),  # 64 on average: a list grows by leaps
        (IntoAnOldTensor, 20, 21),
        (IntoItself, 16, 24),
        (IntoACycle, 0, 1),
        (torch.optim.Adam, 0, 1),
    ],
)
def test_growth_is_what_is_kept_with_a_step(
    optimizer: type[torch.optim.Optimizer], least: float, most: float
) -> None:
    assert least <= weigh(introspect(optimizer)).growth_bytes <= most
