"""NAdam in torch's convention."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from mutants.base import Group, State, Twin, coupled_decay, zeros


class NAdam(Twin):
    """Dozat 2016; the product of the momenta is a Python float, where torch has a float32."""

    def __init__(
        self,
        params: Any,
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum_decay: float = 4e-3,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "betas": betas,
                "eps": eps,
                "weight_decay": weight_decay,
                "momentum_decay": momentum_decay,
                "maximize": maximize,
            },
        )

    def begin(self, parameter: Tensor, group: Group) -> State:
        return {
            "step": 0,
            "mu_product": 1.0,
            "exp_avg": zeros(parameter),
            "exp_avg_sq": zeros(parameter),
        }

    def update(self, parameter: Tensor, gradient: Tensor, state: State, group: Group) -> None:
        beta1, beta2 = group["betas"]
        lr, step = group["lr"], self.tick(state, group)
        gradient = coupled_decay(parameter, gradient, group)
        now, then = self.momentum(step, group), self.momentum(step + 1, group)
        state["mu_product"] *= now
        first, second = state["exp_avg"], state["exp_avg_sq"]
        first.lerp_(gradient, 1 - beta1)
        second.mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
        denominator = second.div(1 - beta2**step).sqrt().add_(group["eps"])
        product, ahead = state["mu_product"], self.product_ahead(state["mu_product"], now, then)
        parameter.addcdiv_(gradient, denominator, value=-lr * (1.0 - now) / (1.0 - product))
        parameter.addcdiv_(first, denominator, value=-lr * then / (1.0 - ahead))

    def momentum(self, step: int, group: Group) -> float:
        """The momentum of a step, which grows towards beta1."""
        factor: float = 1.0 - 0.5 * 0.96 ** (step * group["momentum_decay"])
        return factor * group["betas"][0]

    def product_ahead(self, product: float, now: float, then: float) -> float:
        """The product of all momenta up to the step to come; ``product`` already has ``now``."""
        return product * then


class OneMomentumFactorTooMany(NAdam):
    """pytorch#92699: the product was multiplied with this step's momentum a second time."""

    def product_ahead(self, product: float, now: float, then: float) -> float:
        return product * now * then
