"""What a problem's definition comes to, in a few digits: a change of it must change its version."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import Tensor

from optbench.problems.problem import Problem, as_tensor

SEEDS = (0, 1)

BLOCKS = 2
"""Number of blocks of the stream of batches that are hashed."""

DIGITS = 6
"""Of a number that counts: sums differ in the last digits from one processor to another."""


def definition(problem: Problem) -> str:
    """Return the definition as twelve hexadecimal digits, the same on every machine.

    Taken from what the problem does, not from its source: its starts and batches for two seeds,
    its constants, its loss, objective and metrics at those starts and beside them, in float64;
    and from what it states (targets, budget, minimum, fixed hyperparameters). Whatever file a
    constant comes from, a change of it shows; a comment does not.
    """
    facts: dict[str, Any] = {
        "name": problem.name,
        "family": problem.family,
        "data": problem.data,
        "minimum": _rounded(problem.minimum),
        "minimum_is_bound": problem.minimum_is_bound,
        "budget": problem.budget,
        "observe_every": problem.observe_every,
        "target": _rounded(problem.target),
        "targets": [_rounded(each) for each in problem.targets],
        "settings": {k: repr(v) for k, v in sorted(problem.settings.items())},
        "sparse": problem.sparse,
        "constants": {k: _projection(v) for k, v in sorted(problem.arrays().items())},
        "lanes": [list(_lane(problem, seed)) for seed in SEEDS],
    }
    text = json.dumps(facts, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _lane(problem: Problem, seed: int) -> Iterator[Any]:
    """Return the starts, batches and values of a run with this seed."""
    of_start, of_data = problem.generators(seed)
    start = problem.start(of_start)
    yield {name: [list(array.shape), _projection(array)] for name, array in start.items()}
    stream = problem.batches(of_data)
    blocks = [] if stream is None else list(islice(stream, BLOCKS))
    yield [[list(block.shape), _projection(block)] for block in blocks]
    bound = problem.bind(torch.float64, torch.device("cpu"))
    batch = as_tensor(blocks[0][:1], torch.float64, torch.device("cpu")) if blocks else None
    aside = np.random.default_rng(seed)
    for offset in (0.0, 0.1, 1.0):
        point = {
            name: as_tensor((array + offset * aside.standard_normal(array.shape))[None],
                            torch.float64, torch.device("cpu"))
            for name, array in start.items()
        }  # fmt: skip
        # No gradient: asv forks its benchmarks from a process that has computed this, and where
        # there is a GPU autograd would leave threads in it.
        with torch.no_grad():
            yield _rounded(bound.loss(point, batch).item())
            yield _rounded(bound.objective(point).item())
            yield {name: _rounded(value.item()) for name, value in bound.metrics(point).items()}
            bound.project(point)
            yield [_projection(each) for each in point.values()]


def _projection(values: np.ndarray | Tensor) -> list[str]:
    """Return an array's size and its components along two fixed random directions."""
    if isinstance(values, Tensor):
        values = (values.to_dense() if values.is_sparse else values).detach().numpy()
    flat = np.asarray(values, dtype=np.float64).ravel()
    directions = np.random.default_rng(flat.size).standard_normal((2, flat.size))
    scale = float(np.linalg.norm(flat))
    # Seen against the whole, so that what cancels to nothing is not its own rounding.
    along = directions @ flat / (scale or 1.0)
    return [_rounded(scale), *(f"{round(float(each), DIGITS - 2) + 0.0}" for each in along)]


def _rounded(number: float) -> str:
    return f"{number:.{DIGITS - 1}e}"
