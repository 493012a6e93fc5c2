"""Signum: SGD that moves by the sign of its momentum."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.optim.optimizer import ParamsT

from optbench.optimizers.checked import check_range


class Signum(torch.optim.Optimizer):
    r"""Bernstein et al. 2018, *signSGD: Compressed Optimisation for Non-Convex Problems*, Alg. 2.

    .. math::
        m &\leftarrow \beta m + (1 - \beta) g \\
        \theta &\leftarrow \theta - \eta\,(\mathrm{sign}(m) + \lambda \theta)

    With ``momentum=0`` it is signSGD (Algorithm 1).

    Parameters
    ----------
    params : iterable
        Parameters or parameter groups.
    lr : float
        :math:`\eta`, the distance that each element moves in a step.
    momentum : float
        :math:`\beta`.
    weight_decay : float
        :math:`\lambda`, decoupled: it stands outside the sign, as in the paper.
    maximize : bool
        Climb instead of descend.
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float = 1e-4,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
    ) -> None:
        check_range("lr", lr)
        check_range("momentum", momentum, below=1.0)
        check_range("weight_decay", weight_decay)
        super().__init__(
            params,
            {"lr": lr, "momentum": momentum, "weight_decay": weight_decay, "maximize": maximize},
        )

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One update of every parameter that has a gradient; returns the closure's loss."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                gradient = -parameter.grad if group["maximize"] else parameter.grad
                state = self.state[parameter]
                if not state:
                    state["momentum_buffer"] = torch.zeros_like(
                        parameter, memory_format=torch.preserve_format
                    )
                momentum = state["momentum_buffer"]
                momentum.lerp_(gradient, 1 - group["momentum"])
                parameter.mul_(1 - group["lr"] * group["weight_decay"])
                parameter.add_(momentum.sign(), alpha=-group["lr"])
        return loss
