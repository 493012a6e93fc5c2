"""Small neural networks, written over lanes."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from optbench.problems import mnist
from optbench.problems.batches import InBatches, index_batches, rows
from optbench.problems.problem import LOSS_TARGETS, NEAR_TARGETS, Problem


def dense_start(
    rng: np.random.Generator, widths: tuple[int, ...], gain: float = 1.0
) -> dict[str, np.ndarray]:
    """Weights w0 [in, out], biases b0 [out], w1, ...: torch.nn.Linear's uniform start.

    Uniform in +-1/sqrt(in), times ``gain``, drawn by NumPy (torch's own start differs between
    instruction sets).
    """
    start = {}
    for layer, (fan_in, fan_out) in enumerate(itertools.pairwise(widths)):
        bound = 1 / np.sqrt(fan_in)
        start[f"w{layer}"] = gain * rng.uniform(-bound, bound, (fan_in, fan_out))
        start[f"b{layer}"] = rng.uniform(-bound, bound, fan_out)
    return start


def dense(params: Mapping[str, Tensor], layer: int, x: Tensor) -> Tensor:
    """One layer over lanes: [K, n, out] from x [K, n, in].

    The bits of a batched product may depend on the number of lanes, and on some processors they
    do where it is a matrix by a vector: that one is written as a product of elements and a sum. A
    test compares every problem's lanes with their own runs.
    """
    weight, bias = params[f"w{layer}"], params[f"b{layer}"].unsqueeze(1)
    if weight.shape[2] == 1:
        return (x * weight.mT).sum(2, keepdim=True) + bias
    return torch.baddbmm(bias, x, weight)


class TanhNetwork(Problem):
    """Regression of a teacher of the same form, with tanh between the layers: minimum 0.

    Half of the mean squared error over points drawn uniformly from [-1, 1]^in, full batch.

    Parameters
    ----------
    widths : tuple of int
        Layer widths, input first.
    gain : float
        Scale of the teacher's and the start's weights.
    """

    family = "network"
    points = samples = 100

    def __init__(self, name: str, *, widths: tuple[int, ...], gain: float, **row: Any) -> None:
        super().__init__(name, **row)
        self.widths = widths
        self.gain = gain
        rng = np.random.default_rng(20100101)
        self.x = rng.uniform(-1, 1, (self.points, widths[0]))
        teacher = dense_start(rng, widths, gain=2 * gain)
        y = self.x
        for layer in range(len(widths) - 1):
            y = y @ teacher[f"w{layer}"] + teacher[f"b{layer}"]
            y = np.tanh(y) if layer < len(widths) - 2 else y
        self.y = y

    @property
    def data(self) -> str:
        return "synthetic"

    def start(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        return dense_start(rng, self.widths, self.gain)

    def arrays(self) -> dict[str, np.ndarray]:
        return {"x": self.x, "y": self.y}

    def loss(self, params: Mapping[str, Tensor], batch: Tensor | None) -> Tensor:
        return self._loss(params, self.tensors["x"], self.tensors["y"])

    def part(
        self, params: Mapping[str, Tensor], batch: Tensor | None, rank: int, world: int
    ) -> Tensor:
        x, y = (self.tensors[name].tensor_split(world)[rank] for name in ("x", "y"))
        return self._loss(params, x, y) * (len(x) * world / self.points)

    def _loss(self, params: Mapping[str, Tensor], x: Tensor, y: Tensor) -> Tensor:
        h = x.expand(len(params["w0"]), *x.shape)
        last = len(self.widths) - 2
        for layer in range(last):
            h = torch.tanh(dense(params, layer, h))
        return 0.5 * (dense(params, last, h) - y).square().mean((1, 2))


class MnistNetwork(InBatches):
    """A network on MNIST in mini-batches of 64, scored on digits that it does not train on."""

    family = "network"
    max_lanes = 4
    observe_every = 25
    minimum_is_bound = True
    batch_size = 64
    held_out = 2000
    widths: tuple[int, ...]

    @property
    def data(self) -> str:
        return mnist.load().name

    def start(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        return dense_start(rng, self.widths)

    def arrays(self) -> dict[str, np.ndarray]:
        digits = mnist.load()
        return {
            "x": digits.train_x,
            "y": digits.train_y,
            "held_x": digits.held_x[: self.held_out],
            "held_y": digits.held_y[: self.held_out],
        }

    def batches(self, rng: np.random.Generator) -> Iterator[np.ndarray]:
        return index_batches(rng, len(mnist.load().train_y), self.batch_size)

    def forward(self, params: Mapping[str, Tensor], x: Tensor) -> Tensor:
        """Return outputs [K, n, out] of inputs [K, n, 784]."""
        raise NotImplementedError

    def held(self, params: Mapping[str, Tensor]) -> Tensor:
        """Return outputs [K, n, out] for the held-out digits, lane by lane.

        Lane by lane because a product's bits may depend on its shape, and because at this size
        there is nothing to gain from a stack.
        """
        x = self.tensors["held_x"].unsqueeze(0)
        lanes = len(params["w0"])
        return torch.cat(
            [self.forward({k: v[i : i + 1] for k, v in params.items()}, x) for i in range(lanes)]
        )


class MnistMlp(MnistNetwork):
    """784-hidden-10 with ReLU; cross-entropy.

    Parameters
    ----------
    hidden : int
        Units of the hidden layer: the size of the network, and all that its rows differ in.
    """

    def __init__(self, name: str, *, hidden: int = 128, **row: Any) -> None:
        super().__init__(name, **row)
        self.widths = (784, hidden, 10)

    def forward(self, params: Mapping[str, Tensor], x: Tensor) -> Tensor:
        return dense(params, 1, torch.relu(dense(params, 0, x)))

    def loss(self, params: Mapping[str, Tensor], batch: Tensor | None) -> Tensor:
        assert batch is not None
        logits = self.forward(params, rows(self.tensors["x"], batch))
        return mnist.cross_entropy(logits, self.tensors["y"].take(batch))

    def objective(self, params: Mapping[str, Tensor]) -> Tensor:
        return self.observe(params)[0]

    def metrics(self, params: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return self.observe(params)[1]

    def observe(self, params: Mapping[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        logits, y = self.held(params), self.tensors["held_y"]
        loss = mnist.cross_entropy(logits, y.expand(len(logits), -1))
        return loss, {"error_rate": logits.argmax(2).ne(y).double().mean(1)}


class MnistAutoencoder(MnistNetwork):
    """784-64-784 with ReLU and a sigmoid; mean squared error of a pixel."""

    widths = (784, 64, 784)
    held_out = 1000

    def forward(self, params: Mapping[str, Tensor], x: Tensor) -> Tensor:
        return torch.sigmoid(dense(params, 1, torch.relu(dense(params, 0, x))))

    def loss(self, params: Mapping[str, Tensor], batch: Tensor | None) -> Tensor:
        assert batch is not None
        x = rows(self.tensors["x"], batch)
        return (self.forward(params, x) - x).square().mean((1, 2))

    def objective(self, params: Mapping[str, Tensor]) -> Tensor:
        return (self.held(params) - self.tensors["held_x"]).square().mean((1, 2))


def networks() -> list[Problem]:
    """Return the problems of the family."""
    return [
        TanhNetwork("network-2-3-1", widths=(2, 3, 1), gain=1.5, budget=2000,
                    target=1e-2, targets=NEAR_TARGETS,
                    cite="A tutorial's classic; teacher and student as in Saad and Solla 1995",
                    summary="13 weights on 100 points drawn uniformly, with time to converge."),
        TanhNetwork("network-2-3-1-brief", widths=(2, 3, 1), gain=1.5, budget=10,
                    target=10.0 ** -0.5, targets=NEAR_TARGETS,
                    cite="A tutorial's classic: ten steps",
                    summary="The same in ten steps: all that can be seen is the first rate."),
        TanhNetwork("deep-tanh", widths=(2, *(4,) * 10, 1), gain=1.5, budget=1000,
                    target=10.0 ** -1, targets=NEAR_TARGETS,
                    cite="Glorot and Bengio 2010, Understanding the difficulty of training deep "
                         "feedforward neural networks",
                    summary="Ten hidden layers of four: gradients vanish on the way back."),
        TanhNetwork("shallow-tanh", widths=(2, 4, 1), gain=1.5, budget=1000,
                    target=10.0 ** -1, targets=NEAR_TARGETS,
                    cite="Glorot and Bengio 2010, Understanding the difficulty of training deep "
                         "feedforward neural networks",
                    summary="deep-tanh with one of its ten hidden layers."),
        MnistAutoencoder("mnist-autoencoder", budget=500, target=0.25, targets=LOSS_TARGETS,
                         cite="Hinton and Salakhutdinov 2006, Reducing the Dimensionality of Data",
                         summary="784-64-784 on real digits, scored on held-out digits."),
        MnistMlp("mnist-mlp", budget=750, target=0.15, targets=LOSS_TARGETS,
                 cite="LeCun et al. 1998, Gradient-Based Learning Applied to Document Recognition",
                 summary="784-128-10 on real digits, scored on held-out loss and error rate."),
        MnistMlp("mnist-mlp-8", hidden=8, budget=750, target=0.15, targets=LOSS_TARGETS,
                 cite="LeCun et al. 1998, Gradient-Based Learning Applied to Document Recognition",
                 summary="784-8-10: mnist-mlp but for its size."),
        MnistMlp("mnist-mlp-32", hidden=32, budget=750, target=0.15, targets=LOSS_TARGETS,
                 cite="LeCun et al. 1998, Gradient-Based Learning Applied to Document Recognition",
                 summary="784-32-10: mnist-mlp but for its size."),
    ]  # fmt: skip
