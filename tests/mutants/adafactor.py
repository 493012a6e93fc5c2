"""Adafactor with a first moment, in torch's convention; the twin and a NumPy oracle."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from mutants.base import Group, State, Twin, decoupled_decay, zeros

Array = npt.NDArray[np.float64]


class Adafactor(Twin):
    """Shazeer & Stern 2018, Algorithms 4 and 5, with their optional momentum.

    As ``torch.optim.Adafactor`` at its default eps, d and beta2_decay; what torch applies, the
    clipped update, is averaged here before it is applied. ``beta1=0`` is torch's.
    """

    RANGES: Mapping[str, float] = {"beta1": 1.0}
    BETA2_DECAY = -0.8
    SMALLEST_RMS = 1e-3
    CLIP = 1.0

    def __init__(
        self,
        params: Any,
        lr: float = 1e-2,
        beta1: float = 0.9,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(
            params,
            {"lr": lr, "beta1": beta1, "weight_decay": weight_decay, "maximize": maximize},
        )

    def begin(self, parameter: Tensor, group: Group) -> State:
        state: State = {"step": 0, "exp_avg": zeros(parameter)}
        if parameter.ndim > 1:
            state["row_var"] = parameter.new_zeros(*parameter.shape[:-1], 1)
            state["col_var"] = parameter.new_zeros(*parameter.shape[:-2], 1, parameter.shape[-1])
        else:
            state["variance"] = zeros(parameter)
        return state

    def update(self, parameter: Tensor, gradient: Tensor, state: State, group: Group) -> None:
        step = self.tick(state, group)
        rate = max(self.SMALLEST_RMS, self.rms(parameter)) * min(group["lr"], step**-0.5)
        decoupled_decay(parameter, gradient, group)
        scaled = self.scaled(gradient, state, step**self.BETA2_DECAY)
        scaled.div_(max(1.0, self.rms(scaled) / self.CLIP))
        parameter.sub_(self.averaged_step(scaled, rate, state["exp_avg"], 1 - group["beta1"]))

    def scaled(self, gradient: Tensor, state: State, weight: float) -> Tensor:
        """The gradient over the root of its second moment, of which rows and columns are kept."""
        square = gradient.square()
        if gradient.ndim > 1:
            rows, columns = state["row_var"], state["col_var"]
            rows.lerp_(square.mean(-1, keepdim=True), weight)
            columns.lerp_(square.mean(-2, keepdim=True), weight)
            eps = torch.finfo(gradient.dtype).eps
            estimate = (rows @ columns).div_(rows.mean(-2, keepdim=True).clamp_(min=eps))
        else:
            estimate = state["variance"].lerp_(square, weight).clone()
        smallest = torch.finfo(gradient.dtype).eps ** 2
        return estimate.clamp_(min=smallest).rsqrt_().mul_(gradient)

    def averaged_step(self, scaled: Tensor, rate: float, average: Tensor, weight: float) -> Tensor:
        """The step: the average of the updates, at the rate of now."""
        return average.lerp_(scaled, weight) * rate

    def rms(self, tensor: Tensor) -> float:
        """Root mean square; zero of an empty tensor."""
        return float(tensor.norm()) / max(1, tensor.numel()) ** 0.5


class AveragesStepsInsteadOfUpdates(Adafactor):
    """transformers#34506: the rate is inside the average, old steps keep the rate of their time.

    The rate falls with the step and follows the parameter's size, so that it does not cancel.
    """

    def averaged_step(self, scaled: Tensor, rate: float, average: Tensor, weight: float) -> Tensor:
        return average.lerp_(scaled * rate, weight)


class RootMeanSquareOfNothing(Adafactor):
    """DeepSpeed#7736: a norm is divided by the root of the size, which may be zero."""

    def rms(self, tensor: Tensor) -> float:
        return float(tensor.norm()) / tensor.numel() ** 0.5


class ReferenceAdafactorMomentum(torch.optim.Optimizer):
    """The same rule in NumPy, written from the paper; float64 inside."""

    def __init__(
        self,
        params: Any,
        lr: float = 1e-2,
        beta1: float = 0.9,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(
            params,
            {"lr": lr, "beta1": beta1, "weight_decay": weight_decay, "maximize": maximize},
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
                if parameter.grad is not None:
                    x = parameter.detach().double().numpy().copy()
                    g = parameter.grad.double().numpy() * (-1.0 if group["maximize"] else 1.0)
                    x = self._one(x, g, self.state[parameter], group)
                    parameter.copy_(torch.from_numpy(np.asarray(x)))
        return loss

    def _one(self, x: Array, g: Array, s: State, group: Group) -> Array:
        s.setdefault("t", 0)
        s["t"] += 1
        t, eps1 = s["t"], float(np.finfo(np.float64).eps)
        beta2 = 1 - t**-0.8
        alpha = max(1e-3, float(np.sqrt(np.mean(x**2)))) * min(group["lr"], 1 / np.sqrt(t))
        if x.ndim > 1:
            R = s["R"] = beta2 * s.get("R", 0.0) + (1 - beta2) * np.mean(g**2, axis=-1)
            C = s["C"] = beta2 * s.get("C", 0.0) + (1 - beta2) * np.mean(g**2, axis=-2)
            total = np.maximum(np.mean(R, axis=-1), eps1)
            V = R[..., :, None] * C[..., None, :] / total[..., None, None]
        else:
            V = s["V"] = beta2 * s.get("V", 0.0) + (1 - beta2) * g**2
        U = g / np.maximum(np.sqrt(V), eps1)
        U = U / max(1.0, float(np.sqrt(np.mean(U**2))))
        M = s["M"] = group["beta1"] * s.get("M", 0.0) + (1 - group["beta1"]) * U
        return np.asarray(x * (1 - group["lr"] * group["weight_decay"]) - alpha * M)
