"""L-BFGS with a strong Wolfe line search, which keeps to ``max_eval``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.optim.lbfgs import _strong_wolfe

from mutants.base import Group, Twin


class LBFGS(Twin):
    """``torch.optim.LBFGS(line_search_fn="strong_wolfe")``, but ``max_eval`` is the most.

    The line search is torch's own; it evaluates once before it looks at its limit. Torch 2.13
    gives it all evaluations that are left as its limit, and so takes one more than ``max_eval``.

    Every step begins with an empty memory, where torch keeps it: what moves and gradients of one
    minibatch say about another is mostly noise.
    """

    TOLERANCE_GRAD, TOLERANCE_CHANGE = 1e-7, 1e-9
    SMALLEST_CURVATURE = 1e-10

    def __init__(
        self, params: Any, lr: float = 1.0, max_eval: int = 6, history_size: int = 2
    ) -> None:
        super().__init__(params, {"lr": lr, "max_eval": max_eval, "history_size": history_size})

    def check(self, hyperparameters: Mapping[str, Any]) -> None:
        super().check(hyperparameters)
        for name in ("max_eval", "history_size"):
            value = hyperparameters.get(name, 1)
            if not (isinstance(value, int) and value >= 1):
                raise ValueError(f"{name} must be a whole number from 1 on, not {value!r}")

    def add_param_group(self, param_group: Group) -> None:
        """Take the one group."""
        if self.param_groups:
            raise ValueError("LBFGS has one parameter group: it is a method of the whole")
        super().add_param_group(param_group)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any]) -> Any:  # type: ignore[override]
        """Directions and line searches until a tolerance is met or evaluations run out."""
        closure = torch.enable_grad()(closure)
        group = self.param_groups[0]
        params: list[Tensor] = group["params"]
        memory: list[tuple[Tensor, Tensor]] = []
        first = closure()
        loss, gradient, used = float(first), flat_gradient(params), 1
        while gradient.abs().max() > self.TOLERANCE_GRAD and used < group["max_eval"]:
            direction = descent(gradient, memory)
            slope = gradient.dot(direction)
            if slope > -self.TOLERANCE_CHANGE or group["lr"] == 0:
                break
            rate = group["lr"]
            if used == 1:  # of the first move nothing is known: it is no longer than one
                rate = rate * min(1.0, 1.0 / float(gradient.abs().sum()))
            before = [parameter.clone() for parameter in params]

            def along(x: list[Tensor], t: Any, d: Tensor) -> tuple[float, Tensor]:
                put(params, x, t, d)
                return float(closure()), flat_gradient(params)

            old_loss, old_gradient = loss, gradient.clone()
            limit = self.search_limit(group["max_eval"] - used)
            loss, gradient, rate, evaluations = _strong_wolfe(
                along, before, rate, direction, loss, gradient, slope, max_ls=limit
            )
            put(params, before, rate, direction)
            used += evaluations
            move, difference = direction * rate, gradient - old_gradient
            if difference.dot(move) > self.SMALLEST_CURVATURE:
                memory = [*memory, (move, difference)][-group["history_size"] :]
            if move.abs().max() <= self.TOLERANCE_CHANGE:
                break
            if abs(loss - old_loss) < self.TOLERANCE_CHANGE:
                break
        return first

    def search_limit(self, left: int) -> int:
        """The search's limit, when ``left`` evaluations are; it takes one more than its limit."""
        return left - 1


def descent(gradient: Tensor, memory: list[tuple[Tensor, Tensor]]) -> Tensor:
    """Nocedal 1980: the direction, by two loops over moves and differences of gradients."""
    weights = [1.0 / y.dot(s) for s, y in memory]
    direction, projections = gradient.neg(), []
    for (s, y), weight in zip(reversed(memory), reversed(weights), strict=True):
        projections.append(s.dot(direction) * weight)
        direction.add_(y, alpha=-projections[-1])
    if memory:
        s, y = memory[-1]
        direction.mul_(y.dot(s) / y.dot(y))
    for (s, y), weight in zip(memory, weights, strict=True):
        direction.add_(s, alpha=projections.pop() - y.dot(direction) * weight)
    return direction


def flat_gradient(params: list[Tensor]) -> Tensor:
    """All gradients in one vector, zero where there is none."""
    return torch.cat(
        [(torch.zeros_like(p) if p.grad is None else p.grad).reshape(-1) for p in params]
    )


def put(params: list[Tensor], x: list[Tensor], t: Any, d: Tensor) -> None:
    """Set the parameters to x + t d."""
    pieces = d.split([p.numel() for p in params])
    for parameter, start, piece in zip(params, x, pieces, strict=True):
        parameter.copy_(start).add_(piece.view_as(parameter), alpha=t)


class LineSearchIgnoresMaxEval(LBFGS):
    """pytorch#91581: every search may take its own 25, whatever is left."""

    def search_limit(self, left: int) -> int:
        return 25
