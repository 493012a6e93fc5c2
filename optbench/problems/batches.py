"""Streams of mini-batches."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from torch import Tensor


def index_batches(rng: np.random.Generator, examples: int, batch_size: int) -> Iterator[np.ndarray]:
    """Epochs of shuffled indices, a block [steps, batch_size] an epoch; the rest is dropped."""
    steps = examples // batch_size
    while True:
        order = rng.permutation(examples)[: steps * batch_size]
        yield order.reshape(steps, batch_size)


def rows(examples: Tensor, batch: Tensor) -> Tensor:
    """The examples [K, n, ...] of a batch of indices [K, n]; quicker than ``examples[batch]``."""
    return examples.index_select(0, batch.flatten()).view(*batch.shape, *examples.shape[1:])
