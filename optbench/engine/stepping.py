"""One optimizer, handled as a training loop handles it: gradients cleared, modes, hooks.

The training loop, the contract's sessions and the timings all step an optimizer through this.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from optbench.engine.as_found import same_random_numbers, torch_as_found
from optbench.engine.state import leaves_of
from optbench.optimizers.builders import BeforeStep, Named

Closure = Callable[[], Any]


class Stepper:
    """An optimizer with what a training loop does to it besides calling ``step``.

    Parameters
    ----------
    optimizer : torch.optim.Optimizer
        Fresh from its constructor. One with both ``train()`` and ``eval()`` is put in train mode.
    before_step : callable or None
        As `optbench.optimizers.Optimizer.before_step`.
    steps : int
        Number of steps that were taken before: a hook goes on counting from there.
    gradients_first : bool
        As `optbench.optimizers.Optimizer.gradients_first`.

    Attributes
    ----------
    has_modes : bool
        Whether it has both ``train()`` and ``eval()``; the weights of the latter are scored.
    zero_grad : callable or None
        The class's own ``zero_grad``, where it does not inherit torch's.
    """

    def __init__(
        self,
        optimizer: Any,
        before_step: BeforeStep | None = None,
        *,
        steps: int = 0,
        gradients_first: bool = False,
    ) -> None:
        self.optimizer = optimizer
        kind = type(optimizer)
        self.has_modes = all(callable(getattr(kind, mode, None)) for mode in ("train", "eval"))
        own = kind.zero_grad is not torch.optim.Optimizer.zero_grad
        self.zero_grad: Callable[[], None] | None = optimizer.zero_grad if own else None
        self._before_step = before_step
        self._steps = steps
        self._gradients_first = gradients_first
        if self.has_modes:
            optimizer.train()

    def step(self, closure: Closure | None = None) -> Any:
        """Take a step on the gradients that are there, or on those of the closure.

        Gives what the optimizer's ``step`` returns.
        """
        if closure is not None:
            if self._gradients_first:
                closure()
            return self.optimizer.step(closure)
        if self._before_step is not None:
            self._before_step(self.optimizer, self._steps)
            self._steps += 1
        return self.optimizer.step()

    @contextlib.contextmanager
    def evaluating(self) -> Iterator[None]:
        """Show the weights of ``eval()``; afterwards nothing is left of the look.

        ``train()`` may undo ``eval()`` up to rounding only, so parameters and state are put back
        to the bit: a run must not depend on how often it is looked at.
        """
        if not self.has_modes:
            yield
            return
        kept = _Kept(self.optimizer)
        self.optimizer.eval()
        try:
            yield
        finally:
            self.optimizer.train()
            kept.put_back()


class _Kept:
    """Copies of all parameters and of the state, to be put back in place."""

    def __init__(self, optimizer: Any) -> None:
        self._state = optimizer.state
        params = [p for group in optimizer.param_groups for p in group["params"]]
        self._params = [(p, p.data, p.detach().clone()) for p in params]
        self._entries: list[tuple[dict[str, Any], dict[str, Any]]] = [
            (entry, dict(entry)) for entry in self._state.values() if isinstance(entry, dict)
        ]
        tensors = {
            id(leaf): leaf for _, leaf in leaves_of(dict(self._state)) if isinstance(leaf, Tensor)
        }
        self._tensors = [(leaf, leaf.detach().clone()) for leaf in tensors.values()]

    def put_back(self) -> None:
        """Give every parameter and every entry of the state its tensor and its bits again."""
        with torch.no_grad():
            for parameter, data, value in self._params:
                if parameter.data_ptr() != data.data_ptr():
                    parameter.data = data
                parameter.copy_(value)
            for entry, values in self._entries:
                entry.update(values)
            for tensor, value in self._tensors:
                tensor.copy_(value)


def reads_gradients_first(make: Callable[[Named], Any]) -> bool:
    """Whether ``step(closure)`` uses gradients that were there before it calls the closure.

    As some implementations of SAM (Foret et al. 2021, Algorithm 1) do, whose README computes the
    first gradients in the training loop: ``closure(); optimizer.step(closure)``. Where a step fails
    here, it does not.
    """
    ends = []
    for factor in (1.0, -3.0):
        leaf = torch.nn.Parameter(torch.tensor([[0.5, -1.0], [2.0, 0.25]]))
        try:
            with torch_as_found():
                same_random_numbers()
                stepper = Stepper(make([("layers.0.weight", leaf)]))

                def closure(leaf: Tensor = leaf, stepper: Stepper = stepper) -> Tensor:
                    stepper.optimizer.zero_grad()
                    loss = leaf.pow(4).sum()
                    loss.backward()
                    return loss.detach()

                leaf.grad = torch.full_like(leaf, 0.1 * factor)
                stepper.step(closure)
        # It is anybody's code; what it raises is said where it is trained.
        except (Exception, SystemExit):  # noqa: BLE001
            return False
        ends.append(leaf.detach())
    return not torch.equal(*ends)


def moved(before: Mapping[str, Tensor], after: Mapping[str, Tensor]) -> Tensor:
    """Which lanes of parameters [K, ...] differ in any element: a mask [K]."""
    changed = [
        (after[name] != start).flatten(1).any(1) if start.ndim > 1 else after[name] != start
        for name, start in before.items()
    ]
    return torch.stack(changed).any(0)
