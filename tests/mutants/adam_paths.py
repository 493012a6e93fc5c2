"""Adam with other ways to the same result: ``foreach`` and ``fused``."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from mutants.adam import Adam
from mutants.base import Group, Twin


class AdamWithPaths(Adam):
    """`Adam` one tensor at a time, all tensors at once, or with a `GradScaler`'s work in it.

    ``foreach=None`` and ``fused=None`` are the loop. ``fused=True`` is fused as far as a
    `torch.amp.GradScaler` sees it: it is handed scaled gradients, the scale and whether one of them
    overflowed, and does itself what the scaler would otherwise do.
    """

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        fused: bool | None = None,
    ) -> None:
        if foreach and fused:
            raise ValueError("foreach and fused are two ways; choose one")
        Twin.__init__(
            self,
            params,
            {
                "lr": lr,
                "betas": betas,
                "eps": eps,
                "weight_decay": weight_decay,
                "amsgrad": amsgrad,
                "maximize": maximize,
                "foreach": foreach,
                "fused": fused,
            },
        )

    @property
    def _step_supports_amp_scaling(self) -> bool:
        # What a GradScaler looks for.
        return any(group["fused"] for group in self.param_groups)

    def update_group(self, parameters: list[Tensor], group: Group) -> None:
        if group["fused"]:
            self.update_fused(parameters, group)
        elif self.goes_together(group) and parameters:
            self.update_together(parameters, group)
        else:
            super().update_group(parameters, group)

    # ------------------------------------------------------------------ foreach

    def goes_together(self, group: Group) -> bool:
        """Whether the group takes the foreach way."""
        return bool(group["foreach"])

    def update_together(self, parameters: list[Tensor], group: Group) -> None:
        """The loop's operations in the loop's order, each on all tensors."""
        beta1, beta2 = group["betas"]
        states = [self.state[parameter] for parameter in parameters]
        steps = [self.tick(state, group) for state in states]
        gradients = [self.gradient(parameter, group) for parameter in parameters]
        if group["weight_decay"] != 0:
            gradients = list(torch._foreach_add(gradients, parameters, alpha=group["weight_decay"]))
        firsts = [state["exp_avg"] for state in states]
        seconds = [state["exp_avg_sq"] for state in states]
        torch._foreach_lerp_(firsts, gradients, 1 - beta1)
        torch._foreach_mul_(seconds, beta2)
        torch._foreach_addcmul_(seconds, gradients, gradients, 1 - beta2)
        if group["amsgrad"]:
            maxima = [
                s.setdefault("max_exp_avg_sq", torch.zeros_like(s["exp_avg_sq"])) for s in states
            ]
            seconds = self.maxima(maxima, seconds)
        roots = list(torch._foreach_sqrt(seconds))
        torch._foreach_div_(roots, [self.bias(beta2, step) ** 0.5 for step in steps])
        torch._foreach_add_(roots, group["eps"])
        rates = [-(group["lr"] / self.bias(beta1, step)) for step in steps]
        torch._foreach_addcdiv_(parameters, firsts, roots, rates)

    def maxima(self, maxima: list[Tensor], seconds: list[Tensor]) -> list[Tensor]:
        """Raise the stored maxima, and give them."""
        torch._foreach_maximum_(maxima, seconds)
        return maxima

    # ------------------------------------------------------------------ fused

    def update_fused(self, parameters: list[Tensor], group: Group) -> None:
        """Unscale and step, unless a gradient overflowed."""
        scale, overflow = getattr(self, "grad_scale", None), getattr(self, "found_inf", None)
        if self.overflowed(overflow, scale):
            return
        for parameter in parameters:
            gradient = self.gradient(parameter, group)
            gradient = gradient if scale is None else self.unscaled(gradient, scale)
            precise = self.precise(parameter)
            self.update(precise, gradient, self.state[parameter], group)
            if precise is not parameter:
                parameter.copy_(precise)

    def overflowed(self, overflow: Tensor | None, scale: Tensor | None) -> bool:
        """Whether the step must be left out; ``scale`` is None after an explicit unscale_."""
        return overflow is not None and bool(overflow)

    def unscaled(self, gradient: Tensor, scale: Tensor) -> Tensor:
        """The gradient of the loss before it was scaled."""
        return gradient / scale.to(gradient.dtype)


class AmsgradForeachForgetsTheMax(AdamWithPaths):
    """pytorch#78807: the maxima were computed, used and dropped."""

    def maxima(self, maxima: list[Tensor], seconds: list[Tensor]) -> list[Tensor]:
        return list(torch._foreach_maximum(maxima, seconds))


class FusedIgnoresOverflow(AdamWithPaths):
    """pytorch#96755: the fused way steps where the loop, told of an overflow, does not."""

    def overflowed(self, overflow: Tensor | None, scale: Tensor | None) -> bool:
        return False


class ForeachByDefault(AdamWithPaths):
    """pytorch#97712: the default became foreach, which holds the roots of all tensors at once."""

    def goes_together(self, group: Group) -> bool:
        return group["foreach"] is not False


class UnscaledTwice(AdamWithPaths):
    """pytorch#94060: gradients that unscale_ has divided are divided by the last scale again."""

    def update_fused(self, parameters: list[Tensor], group: Group) -> None:
        scale = getattr(self, "grad_scale", None)
        seen = vars(self).setdefault("seen", {})
        seen["scale"] = seen.get("scale") if scale is None else scale
        if scale is None and hasattr(self, "found_inf"):
            self.grad_scale = seen["scale"]
        super().update_fused(parameters, group)


class EmptyLastTensorEndsTheStep(AdamWithPaths):
    """TransformerEngine#3207: a group whose last tensor has no elements is passed over."""

    def update_group(self, parameters: list[Tensor], group: Group) -> None:
        if parameters and parameters[-1].numel():
            super().update_group(parameters, group)
