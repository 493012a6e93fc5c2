"""The engine against the loop that a person would write: ``python benchmarks/THIS.py``.

Both run stock ``torch.optim.Adam`` on one thread, in one process, in turns (plain, engine,
plain), and what is printed is the ratio of their speeds in runs x steps a second: the median of
the rounds, with the least and the largest. Absolute speeds of a shared machine mean little;
ratios of neighbours in time mean something.

Both sides keep the loss of every step. On the networks neither looks at held-out data, so that
training is compared with training.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from optbench.engine.lanes import advance, one_thread
from optbench.optimizers import OPTIMIZERS
from optbench.problems import PROBLEMS, Problem, mnist
from optbench.problems.batches import index_batches, rows
from optbench.problems.network import dense, dense_start

Plain = Callable[[int], None]
"""Runs so many steps."""


def plain_rosenbrock() -> Plain:
    x = torch.tensor([-1.2, 1.0], requires_grad=True)
    optimizer = torch.optim.Adam([x])
    losses = []

    def run(steps: int) -> None:
        for _ in range(steps):
            optimizer.zero_grad()
            loss = (1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2
            loss.backward()
            optimizer.step()
            losses.append(loss.item())

    return run


def plain_quadratic() -> Plain:
    eigenvalues = torch.logspace(-1, 0, 100)
    x = torch.randn(100, requires_grad=True)
    optimizer = torch.optim.Adam([x])
    losses = []

    def run(steps: int) -> None:
        for _ in range(steps):
            optimizer.zero_grad()
            loss = 0.5 * (eigenvalues * x**2).sum()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())

    return run


def plain_network(model: nn.Module, x: Tensor, y: Tensor, batch_size: int) -> Plain:
    optimizer = torch.optim.Adam(model.parameters())
    criterion = nn.CrossEntropyLoss()
    losses = []
    order = iter(())

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
        hidden = torch.relu(dense(params, 0, rows(self.tensors["x"], batch)))
        return mnist.cross_entropy(dense(params, 1, hidden), self.tensors["y"].take(batch))

    def objective(self, params: Mapping[str, Tensor]) -> Tensor:
        return torch.ones(len(params["w0"]))


@dataclass(frozen=True)
class Case:
    name: str
    problem: Problem
    plain: Callable[[], Plain]
    steps: int
    lanes: tuple[int, ...]
    wanted: float


def cases() -> list[Case]:
    def plain_small() -> Plain:
        problem = SmallMlp()
        model = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
        return plain_network(model, torch.from_numpy(problem.x), torch.from_numpy(problem.y), 32)

    def plain_mnist() -> Plain:
        digits = mnist.load()
        model = nn.Sequential(nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 10))
        x, y = torch.from_numpy(digits.train_x), torch.from_numpy(digits.train_y)
        return plain_network(model, x, y, 64)

    mnist_mlp = copy.copy(PROBLEMS["mnist-mlp"])
    mnist_mlp.observe_every, mnist_mlp.held_out = 10**6, 64
    return [
        Case("rosenbrock-2d", PROBLEMS["rosenbrock-2d"], plain_rosenbrock, 1500, (64,), 50),
        Case("quadratic 100-d", PROBLEMS["quadratic"], plain_quadratic, 1500, (64,), 30),
        Case("mlp 64-32-10", SmallMlp(), plain_small, 1200, (64,), 8),
        Case("mnist-mlp", mnist_mlp, plain_mnist, 120, (2, 4, 8), 1.2),
    ]


def timed(function: Callable[[], object]) -> float:
    before = time.perf_counter()
    function()
    return time.perf_counter() - before


def ratios(case: Case, lanes: int, rounds: int) -> list[float]:
    """Speed of the engine over that of the plain loop, round by round."""
    plain = case.plain()
    adam = OPTIMIZERS["adam"]
    steps = case.steps
    settings, seeds = [dict(adam.defaults)] * lanes, list(range(lanes))

    def engine() -> None:
        advance(adam, case.problem, settings, seeds, steps)

    def by_hand() -> None:
        plain(case.steps)

    by_hand(), engine()  # warm-up
    found = []
    before = timed(by_hand)
    for _ in range(rounds):
        ours = timed(engine)
        after = timed(by_hand)
        found.append((lanes * steps / ours) / (case.steps / ((before + after) / 2)))
        before = after
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--only", default="", help="cases whose name holds this")
    options = parser.parse_args()
    print(f"{'problem':18}{'lanes':>6}{'median':>9}{'least':>9}{'most':>9}{'wanted':>9}")
    with one_thread():
        for case in cases():
            if options.only not in case.name:
                continue
            for lanes in (1, *case.lanes):
                found = ratios(case, lanes, options.rounds)
                wanted = 0.9 if lanes == 1 else case.wanted
                print(
                    f"{case.name:18}{lanes:6}{statistics.median(found):8.2f}x{min(found):8.2f}x"
                    f"{max(found):8.2f}x{wanted:8.2f}x",
                    flush=True,
                )


if __name__ == "__main__":
    main()
