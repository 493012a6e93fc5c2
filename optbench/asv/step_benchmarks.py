"""asv's benchmarks of a step: its time, its time by that of SGD, its bytes, its distance from the
limit that the memory sets."""

from __future__ import annotations

import time
from typing import ClassVar

import torch

from optbench.analysis.units import STATE_BYTES, TIMES_SGD, TIMES_THE_BOUND
from optbench.asv.convergence_runs import NotAtThisCommit, missing
from optbench.asv.interleaved_timing import blocks, turns
from optbench.asv.samples import Samples, samples
from optbench.engine.bench import Bench
from optbench.engine.model_shapes import MODELS, Shapes, equal
from optbench.optimizers import OPTIMIZERS
from optbench.optimizers.builders import torch_names


def bench(optimizer: str, shapes: Shapes) -> Bench:
    """Construct a registered optimizer or ``package.module:Class`` over parameters of these shapes.

    Raises
    ------
    NotAtThisCommit
        Where there is no such class.
    """
    reason = missing(optimizer)
    if reason:
        raise NotAtThisCommit(reason)
    row = OPTIMIZERS[optimizer]
    return Bench(
        lambda params: row.make(torch_names(params), row.settings()),
        shapes,
        # Slow, and part of the series of peaks of memory.
        sparse=(lambda gradient: gradient.to_sparse(1)) if row.sparse_gradients else None,
        closure=row.closure,
        before_step=row.before_step,
    )


class Step:
    """The time of a step, on one thread.

    ``params`` are optimizers, numbers of parameters, and how many tensors those are cut into.
    """

    params: ClassVar[tuple[tuple[str, ...], tuple[int, ...], tuple[int, ...]]] = (
        (),
        (1_000, 100_000, 10_000_000),
        (1, 100),
    )
    param_names = ("optimizer", "parameters", "tensors")
    version = "1"
    timeout = 300.0
    # Time that this process spent: another that takes the processor away is not counted.
    timer = staticmethod(time.process_time)
    rounds = 2
    repeat = (2, 10, 1.0)

    def setup(self, optimizer: str, parameters: int, tensors: int) -> None:
        """Make the optimizer and take a first step, which makes its state."""
        torch.set_num_threads(1)
        self.bench = bench(optimizer, equal(parameters, tensors))

    def time_step(self, *_: object) -> None:
        """One step."""
        self.bench.step()


class ModelStep:
    """The time of a step over the shapes of a model, scaled to 5 million elements, on one thread.

    ``params`` are optimizers and names of `optbench.engine.model_shapes.MODELS`.
    """

    params: ClassVar[tuple[tuple[str, ...], tuple[str, ...]]] = ((), tuple(MODELS))
    param_names = ("optimizer", "shapes")
    version = "1"
    timeout = 300.0
    timer = Step.timer
    rounds = Step.rounds
    repeat = Step.repeat

    def setup(self, optimizer: str, shapes: str) -> None:
        """Make the optimizer and take a first step, which makes its state."""
        torch.set_num_threads(1)
        self.bench = bench(optimizer, MODELS[shapes].scaled().shapes)

    def time_model_step(self, *_: object) -> None:
        """One step."""
        self.bench.step()


class RelativeStep:
    """The time of a step by that of plain SGD, in turns in one process.

    On a machine that others use too this is the figure to watch: what slows both is not in it.
    """

    params: ClassVar[tuple[tuple[str, ...], tuple[int, ...]]] = ((), (1_000, 1_000_000))
    param_names = ("optimizer", "parameters")
    version = "1"
    timeout = 300.0

    def setup(self, optimizer: str, parameters: int) -> None:
        """Make both."""
        torch.set_num_threads(1)
        self.bench = bench(optimizer, equal(parameters))
        self.sgd = bench("sgd", equal(parameters))

    def track_step_ratio(self, *_: object) -> Samples:
        """One sample a round: SGD, the optimizer, SGD."""
        return samples(turns(blocks(self.bench.time), blocks(self.sgd.time)))

    track_step_ratio.unit = TIMES_SGD  # type: ignore[attr-defined]


class Memory:
    """What an optimizer holds."""

    params: ClassVar[tuple[tuple[str, ...], ...]] = ((),)
    param_names = ("optimizer",)
    version = "1"
    timeout = 300.0
    parameters = 10_000_000

    def setup(self, optimizer: str) -> None:
        """Make it, and take a step."""
        torch.set_num_threads(1)
        self.bench = bench(optimizer, equal(self.parameters, 1))

    def track_state_bytes(self, *_: object) -> float:
        """Bytes of the parameters and of all that the optimizer keeps, for each parameter."""
        return (4 * self.bench.parameters + self.bench.state_bytes()) / self.bench.parameters

    def peakmem_step(self, *_: object) -> None:
        """Measure peak memory of the process, with 1e7 parameters (40 MB) and their gradients."""
        self.bench.give()
        self.bench.step()

    track_state_bytes.unit = STATE_BYTES  # type: ignore[attr-defined]


class MemoryBound:
    """How far Adam's fused step is from the limit that the memory's bandwidth sets."""

    version = "1"
    timeout = 300.0
    parameters = 10_000_000

    def setup(self) -> None:
        """Make the optimizer, and two tensors to measure the bandwidth with."""
        torch.set_num_threads(1)
        self.adam = bench("adam[fused]", equal(self.parameters, 1))
        self.stream = torch.zeros(self.parameters), torch.ones(self.parameters)

    def track_bandwidth_gap(self) -> Samples:
        """Seconds of a step by the seconds that its traffic takes at the measured bandwidth.

        Adam reads parameter, gradient and both moments and writes all but the gradient: 28 bytes
        a parameter. The bandwidth is that of ``a += b``, which reads two numbers and writes one,
        12 bytes, in place as Adam does, so that neither side pays for lines that it only writes.
        """
        seconds = turns(blocks(self.adam.time), blocks(self._add))
        return samples(each * 12 / 28 for each in seconds)

    def _add(self, steps: int) -> float:
        seconds = []
        into, what = self.stream
        for _ in range(steps):
            begun = time.perf_counter()
            into.add_(what)
            seconds.append(time.perf_counter() - begun)
        return min(seconds)

    track_bandwidth_gap.unit = TIMES_THE_BOUND  # type: ignore[attr-defined]
