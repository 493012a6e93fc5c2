"""An optimizer over made-up parameters and gradients, ready to be timed: the step alone."""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable

import torch
from torch import Tensor

from optbench.engine.state import state_bytes
from optbench.engine.stepping import Stepper
from optbench.optimizers.builders import BeforeStep

TENSORS = 10
"""Default number of parameter tensors."""


class Bench:
    """An optimizer over so many float32 parameters, ready to be timed.

    The gradient is put back before every step, outside of what is timed: some write into it, and
    what grows without bounds is slower to compute with.

    Parameters
    ----------
    make : callable
        Gives the optimizer of a list of parameters.
    parameters : int
        Numbers to optimize, about: they are cut into tensors of one shape, near square.
    tensors : int
        How many.
    sparse : bool
        The optimizer wants sparse gradients.
    closure : bool
        Its ``step`` wants a closure.
    before_step : callable or None
        As of a row; it is timed with the step.
    """

    def __init__(
        self,
        make: Callable[[list[torch.nn.Parameter]], torch.optim.Optimizer],
        parameters: int,
        *,
        tensors: int = TENSORS,
        sparse: bool = False,
        closure: bool = False,
        before_step: BeforeStep | None = None,
    ) -> None:
        each = max(1, parameters // tensors)
        rows = max(1, int(math.sqrt(each)))
        columns = each // rows
        generator = torch.Generator().manual_seed(0)
        self.params = [
            torch.nn.Parameter(torch.randn(rows, columns, generator=generator) * 0.05)
            for _ in range(tensors)
        ]
        self._gradients = [torch.randn(rows, columns, generator=generator) for _ in self.params]
        self._sparse = sparse
        self._buffers = [torch.empty_like(gradient) for gradient in self._gradients]
        self._closure = self._loss if closure else None
        self.optimizer = make(self.params)
        self._stepper = Stepper(self.optimizer, before_step)
        self.first = self.time(1)

    @property
    def parameters(self) -> int:
        """Numbers that are optimized: what was asked for, but for the rounding of the shape."""
        return sum(parameter.numel() for parameter in self.params)

    def time(self, steps: int) -> float:
        """Seconds a step: the least of so many, for what interferes only ever adds."""
        seconds = []
        gc.disable()
        try:
            for _ in range(steps):
                self.give()
                begun = time.perf_counter()
                self.step()
                seconds.append(time.perf_counter() - begun)
        finally:
            gc.enable()
        return min(seconds)

    def state_bytes(self) -> int:
        """Bytes of what the optimizer keeps."""
        return state_bytes(self.optimizer)

    def step(self) -> None:
        """One step with the gradients that are there."""
        self._stepper.step(self._closure)

    def give(self) -> None:
        """Put the gradients back."""
        for parameter, gradient, buffer in zip(
            self.params, self._gradients, self._buffers, strict=True
        ):
            # The same buffer each time, whatever the last step put in its place.
            parameter.grad = gradient.to_sparse(1) if self._sparse else buffer.copy_(gradient)

    def _loss(self) -> Tensor:
        """Return the loss of a quadratic with the given gradients, for closure methods."""
        total = torch.zeros(())
        with torch.no_grad():
            for parameter, gradient in zip(self.params, self._gradients, strict=True):
                parameter.grad = parameter + gradient
                total += ((0.5 * parameter + gradient) * parameter).sum()
        return total
