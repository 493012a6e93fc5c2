"""Lion: the sign of an interpolated momentum, found by program search."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.optim.optimizer import ParamsT

from optbench.optimizers.checked import check_range


class Lion(torch.optim.Optimizer):
    r"""Chen et al. 2023, *Symbolic Discovery of Optimization Algorithms*, Algorithm 2.

    .. math::
        c &= \beta_1 m + (1 - \beta_1) g \\
        \theta &\leftarrow \theta - \eta (\mathrm{sign}(c) + \lambda \theta) \\
        m &\leftarrow \beta_2 m + (1 - \beta_2) g

    Without decay every element moves by exactly ``lr`` or, where c is zero, not at all.

    Parameters
    ----------
    params : iterable
        Parameters or parameter groups.
    lr : float
        :math:`\eta`; the paper advises 3 to 10 times less than for Adam.
    betas : (float, float)
        :math:`\beta_1` of the update's interpolation, :math:`\beta_2` of the momentum.
    weight_decay : float
        :math:`\lambda`, decoupled: it stands outside the sign.
    maximize : bool
        Climb instead of descend.
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float = 1e-4,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
    ) -> None:
        check_range("lr", lr)
        check_range("betas[0]", betas[0], below=1.0)
        check_range("betas[1]", betas[1], below=1.0)
        check_range("weight_decay", weight_decay)
        super().__init__(
            params,
            {"lr": lr, "betas": betas, "weight_decay": weight_decay, "maximize": maximize},
        )

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One update of every parameter that has a gradient; returns the closure's loss."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            beta1, beta2 = group["betas"]
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                gradient = -parameter.grad if group["maximize"] else parameter.grad
                state = self.state[parameter]
                if not state:
                    state["exp_avg"] = torch.zeros_like(
                        parameter, memory_format=torch.preserve_format
                    )
                momentum = state["exp_avg"]
                # Both terms see the parameter from before the step, as in the algorithm.
                parameter.mul_(1 - group["lr"] * group["weight_decay"])
                direction = torch.lerp(gradient, momentum, beta1).sign_()
                parameter.add_(direction, alpha=-group["lr"])
                momentum.lerp_(gradient, 1 - beta2)
        return loss
