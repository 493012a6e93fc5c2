"""An optimizer over made-up parameters and gradients, ready to be timed: the step alone."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from optbench.engine.state import state_bytes
from optbench.engine.stepping import Stepper
from optbench.optimizers.builders import BeforeStep


class Bench:
    """An optimizer over float32 parameters of given shapes, ready to be timed.

    The gradient is put back before every step, outside of what is timed: some write into it, and
    what grows without bounds is slower to compute with.

    Parameters
    ----------
    make : callable
        Gives the optimizer of a list of parameters.
    shapes : sequence of tuple of int
        Of the parameters, as of `optbench.engine.model_shapes`.
    sparse : callable or None
        Makes a sparse gradient, a copy, of a dense one: for an optimizer that wants those.
    closure : bool
        Its ``step`` wants a closure.
    before_step : callable or None
        As of a row; it is timed with the step.
    """

    def __init__(
        self,
        make: Callable[[list[torch.nn.Parameter]], torch.optim.Optimizer],
        shapes: Sequence[tuple[int, ...]],
        *,
        sparse: Callable[[Tensor], Tensor] | None = None,
        closure: bool = False,
        before_step: BeforeStep | None = None,
    ) -> None:
        generator = torch.Generator().manual_seed(0)
        self.params = [
            torch.nn.Parameter(torch.randn(shape, generator=generator) * 0.05) for shape in shapes
        ]
        self._gradients = [torch.randn(shape, generator=generator) for shape in shapes]
        self._sparse = sparse
        self._buffers = [torch.empty_like(gradient) for gradient in self._gradients]
        self._closure = self._loss if closure else None
        self.optimizer = make(self.params)
        self._stepper = Stepper(self.optimizer, before_step)
        self.first = self.time(1)

    @property
    def parameters(self) -> int:
        """Number of elements of all parameters."""
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
            parameter.grad = self._sparse(gradient) if self._sparse else buffer.copy_(gradient)

    def _loss(self) -> Tensor:
        """Return the loss of a quadratic with the given gradients, for closure methods."""
        total = torch.zeros(())
        with torch.no_grad():
            for parameter, gradient in zip(self.params, self._gradients, strict=True):
                parameter.grad = parameter + gradient
                total += ((0.5 * parameter + gradient) * parameter).sum()
        return total


def with_all_rows(gradient: Tensor) -> Tensor:
    """Return what ``to_sparse(1)`` does of rows without zeros, which takes seconds for millions."""
    rows = torch.arange(len(gradient))[None]
    return torch.sparse_coo_tensor(
        rows, gradient.clone(), gradient.shape, is_coalesced=True, check_invariants=False
    )
