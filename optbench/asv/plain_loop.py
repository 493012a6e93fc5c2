"""The loop that a person would write, beside the engine: stock ``torch.optim.Adam``, one thread.

Both sides keep the loss of every step. On the networks neither looks at held-out data, so that
training is compared with training.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from optbench.engine.lanes import advance
from optbench.optimizers import OPTIMIZERS
from optbench.problems import PROBLEMS, Problem, mnist
from optbench.problems.batches import index_batches, rows
from optbench.problems.network import dense, dense_start

Plain = Callable[[int], None]
"""Runs so many steps."""


def plain_rosenbrock() -> Plain:
    """Rosenbrock's function, by hand."""
    x = torch.tensor([-1.2, 1.0], requires_grad=True)
    optimizer = torch.optim.Adam([x])
    losses: list[float] = []

    def run(steps: int) -> None:
        for _ in range(steps):
            optimizer.zero_grad()
            loss = (1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2
            loss.backward()
            optimizer.step()
            losses.append(loss.item())

    return run


def plain_quadratic() -> Plain:
    """Minimize a quadratic of 100 dimensions and condition 10 in a plain loop."""
    eigenvalues = torch.logspace(-1, 0, 100)
    x = torch.randn(100, requires_grad=True)
    optimizer = torch.optim.Adam([x])
    losses: list[float] = []

    def run(steps: int) -> None:
        for _ in range(steps):
            optimizer.zero_grad()
            loss = 0.5 * (eigenvalues * x**2).sum()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())

    return run


def plain_network(model: nn.Module, x: Tensor, y: Tensor, batch_size: int) -> Plain:
    """Train a network on mini-batches in a plain loop."""
    optimizer = torch.optim.Adam(model.parameters())
    criterion = nn.CrossEntropyLoss()
    losses: list[float] = []

    def batches() -> Iterator[Tensor]:
        while True:
            yield from torch.randperm(len(x)).split(batch_size)[:-1]

    order = batches()

    def run(steps: int) -> None:
        for _ in range(steps):
            batch = next(order)
            optimizer.zero_grad()
            loss = criterion(model(x[batch]), y[batch])
            loss.backward()
            optimizer.step()
            losses.append(loss.item())

    return run


class SmallMlp(Problem):
    """64-32-10 in mini-batches of 32, on made-up data: between the toys and MNIST."""

    family = "network"
    observe_every = 10**6
    max_lanes = 64

    def __init__(self) -> None:
        super().__init__("mlp-64-32-10")
        rng = np.random.default_rng(0)
        self.x = rng.standard_normal((2000, 64)).astype(np.float32)
        self.y = rng.integers(0, 10, 2000)

    def start(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        return dense_start(rng, (64, 32, 10))

    def arrays(self) -> dict[str, np.ndarray]:
        return {"x": self.x, "y": self.y}

    def batches(self, rng: np.random.Generator) -> Iterator[np.ndarray]:
        return index_batches(rng, 2000, 32)

    def loss(self, params: Mapping[str, Tensor], batch: Tensor | None) -> Tensor:
        assert batch is not None
        hidden = torch.relu(dense(params, 0, rows(self.tensors["x"], batch)))
        return mnist.cross_entropy(dense(params, 1, hidden), self.tensors["y"].take(batch))

    def objective(self, params: Mapping[str, Tensor]) -> Tensor:
        return torch.ones(len(params["w0"]))


@dataclass(frozen=True)
class Case:
    """A problem for the engine, and the loop of a person on the same."""

    problem: Problem
    plain: Callable[[], Plain]
    lanes: int
    steps: int


CASES = {
    "rosenbrock-2d": (64, 1500),
    "quadratic": (64, 1500),
    "mlp-64-32-10": (64, 1200),
    "mnist-mlp": (4, 120),
}
"""Problem to lanes and steps of a round."""


def case(name: str) -> Case:
    """Return a problem by name, with its plain loop."""

    def plain_small() -> Plain:
        small = SmallMlp()
        model = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
        return plain_network(model, torch.from_numpy(small.x), torch.from_numpy(small.y), 32)

    def plain_mnist() -> Plain:
        digits = mnist.load()
        model = nn.Sequential(nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 10))
        x, y = torch.from_numpy(digits.train_x), torch.from_numpy(digits.train_y)
        return plain_network(model, x, y, 64)

    lanes, steps = CASES[name]
    if name == "mlp-64-32-10":
        return Case(SmallMlp(), plain_small, lanes, steps)
    if name == "mnist-mlp":
        problem = copy.copy(PROBLEMS[name])
        problem.observe_every, problem.held_out = 10**6, 64  # type: ignore[attr-defined]
        return Case(problem, plain_mnist, lanes, steps)
    plain = plain_rosenbrock if name == "rosenbrock-2d" else plain_quadratic
    return Case(PROBLEMS[name], plain, lanes, steps)


class Contest:
    """The engine with so many lanes and the plain loop, ready to be timed."""

    def __init__(self, which: Case, lanes: int) -> None:
        self._adam = OPTIMIZERS["adam"]
        self._problem, self._steps, self._lanes = which.problem, which.steps, lanes
        self._plain = which.plain()
        self.by_hand(), self.engine()  # warm-up

    def engine(self) -> float:
        """Seconds of a step of one lane."""
        settings = [dict(self._adam.defaults)] * self._lanes
        begun = time.perf_counter()
        advance(self._adam, self._problem, settings, list(range(self._lanes)), self._steps)
        return (time.perf_counter() - begun) / (self._steps * self._lanes)

    def by_hand(self) -> float:
        """Seconds of a step of the plain loop."""
        begun = time.perf_counter()
        self._plain(self._steps)
        return (time.perf_counter() - begun) / self._steps
