"""Streams of mini-batches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import torch
from torch import Tensor

from optbench.problems.problem import Problem


def index_batches(rng: np.random.Generator, examples: int, batch_size: int) -> Iterator[np.ndarray]:
    """Epochs of shuffled indices, a block [steps, batch_size] an epoch; the rest is dropped."""
    steps = examples // batch_size
    while True:
        order = rng.permutation(examples)[: steps * batch_size]
        yield order.reshape(steps, batch_size)


def rows(examples: Tensor, batch: Tensor) -> Tensor:
    """Return the examples [K, n, ...] of indices [K, n], faster than ``examples[batch]``."""
    return examples.index_select(0, batch.flatten()).view(*batch.shape, *examples.shape[1:])


class InBatches(Problem):
    """A problem whose loss is a mean over the examples of a batch of indices [K, n].

    What does not depend on the batch, such as a penalty, may stand beside the mean.
    """

    batch_size: int

    @property
    def samples(self) -> int:  # type: ignore[override]
        """The examples of a batch."""
        return self.batch_size

    def part(
        self, params: Mapping[str, Tensor], batch: Tensor | None, rank: int, world: int
    ) -> Tensor:
        """Return the loss of a range of the batch, weighted where ranges are not equally long."""
        assert batch is not None
        own = batch.tensor_split(world, dim=1)[rank]
        return self.loss(params, own) * (own.shape[1] * world / batch.shape[1])


def own_terms(batch: Tensor, rank: int, world: int) -> Tensor:
    """Return a rank's part of a batch [K, n] whose loss is a sum of n terms.

    The others are zero, and these count for all ranks.
    """
    own = torch.zeros_like(batch)
    first, last = (batch.shape[1] * each // world for each in (rank, rank + 1))
    own[:, first:last] = world * batch[:, first:last]
    return own
