"""SOAP: Adam in the eigenbasis of Shampoo's preconditioners; the twin and a NumPy oracle."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from mutants.base import Group, State, Twin, decoupled_decay, zeros

Array = npt.NDArray[np.float64]


class SOAP(Twin):
    """Vyas et al. 2024, Algorithms 3 and 4 (with Adam's bias corrections, as in their code).

    Averages of G G' and G' G begin as identities, as in Shampoo: with zeros the first bases would
    be made of rounding. What is no matrix goes by AdamW.
    """

    def __init__(
        self,
        params: Any,
        lr: float = 3e-3,
        betas: tuple[float, float] = (0.95, 0.95),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        precondition_frequency: int = 2,
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "betas": betas,
                "eps": eps,
                "weight_decay": weight_decay,
                "precondition_frequency": precondition_frequency,
            },
        )

    def check(self, hyperparameters: Mapping[str, Any]) -> None:
        super().check(hyperparameters)
        every = hyperparameters.get("precondition_frequency", 1)
        if not (isinstance(every, int) and every >= 1):
            raise ValueError(f"precondition_frequency must be a whole number, not {every!r}")

    def begin(self, parameter: Tensor, group: Group) -> State:
        state: State = {"step": 0, "exp_avg": zeros(parameter), "exp_avg_sq": zeros(parameter)}
        if parameter.ndim == 2:
            for side, size in zip(("left", "right"), parameter.shape, strict=True):
                for what in ("average", "basis"):
                    state[f"{side}_{what}"] = torch.eye(
                        size, dtype=parameter.dtype, device=parameter.device
                    )
        return state

    def update(self, parameter: Tensor, gradient: Tensor, state: State, group: Group) -> None:
        beta1, beta2 = group["betas"]
        step = self.tick(state, group)
        rotated = to_basis(gradient, state)
        first = self.first_moment(gradient, rotated, state, 1 - beta1)
        state["exp_avg_sq"].mul_(beta2).addcmul_(rotated, rotated, value=1 - beta2)
        root = (state["exp_avg_sq"].sqrt() / (1 - beta2**step) ** 0.5).add_(group["eps"])
        decoupled_decay(parameter, gradient, group)
        parameter.add_(from_basis(first / root, state), alpha=-group["lr"] / (1 - beta1**step))
        self.precondition(gradient, state, step, group)

    def first_moment(
        self, gradient: Tensor, rotated: Tensor, state: State, weight: float
    ) -> Tensor:
        """The average of the gradients, in the basis of now.

        It is averaged where a gradient is a gradient whatever the basis, and rotated afterwards.
        """
        state["exp_avg"].lerp_(gradient, weight)
        return to_basis(state["exp_avg"], state)

    def precondition(self, gradient: Tensor, state: State, step: int, group: Group) -> None:
        """Let the averages see the gradient, and turn the bases towards their eigenvectors."""
        if gradient.ndim != 2:
            return
        weight = 1 - group["betas"][1]
        state["left_average"].lerp_(gradient @ gradient.T, weight)
        state["right_average"].lerp_(gradient.T @ gradient, weight)
        if step % group["precondition_frequency"] == 0:
            for side in ("left", "right"):
                power = state[f"{side}_average"] @ state[f"{side}_basis"]
                # LAPACK has no half precision.
                wide = power if power.dtype == torch.float64 else power.float()
                state[f"{side}_basis"].copy_(torch.linalg.qr(wide).Q)


def to_basis(matrix: Tensor, state: State) -> Tensor:
    """Into the bases; what is no matrix has none."""
    if matrix.ndim != 2:
        return matrix
    return state["left_basis"].T @ matrix @ state["right_basis"]


def from_basis(matrix: Tensor, state: State) -> Tensor:
    """Back from the bases."""
    if matrix.ndim != 2:
        return matrix
    return state["left_basis"] @ matrix @ state["right_basis"].T


class FirstMomentInTheEigenbasis(SOAP):
    """HeavyBall#40: the average is of rotated gradients, each in the basis of its own time."""

    def first_moment(
        self, gradient: Tensor, rotated: Tensor, state: State, weight: float
    ) -> Tensor:
        return state["exp_avg"].lerp_(rotated, weight)


class ReferenceSOAP(torch.optim.Optimizer):
    """The same algorithm in NumPy, written from the paper and nothing else; float64 inside."""

    def __init__(
        self,
        params: Any,
        lr: float = 3e-3,
        betas: tuple[float, float] = (0.95, 0.95),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        precondition_frequency: int = 2,
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "betas": betas,
                "eps": eps,
                "weight_decay": weight_decay,
                "precondition_frequency": precondition_frequency,
            },
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
                    w = parameter.detach().double().numpy().copy()
                    g = parameter.grad.double().numpy()
                    w = self._one(w, g, self.state[parameter], group)
                    parameter.copy_(torch.from_numpy(np.asarray(w)))
        return loss

    def _one(self, w: Array, g: Array, s: State, group: Group) -> Array:
        lr, eps, decay = group["lr"], group["eps"], group["weight_decay"]
        b1, b2 = group["betas"]
        m, n = w.shape if w.ndim == 2 else (w.size, 1)
        G = g.reshape(m, n)
        if not s:
            s.update(t=0, M=np.zeros((m, n)), V=np.zeros((m, n)))
            s.update(L=np.eye(m), R=np.eye(n), QL=np.eye(m), QR=np.eye(n))
        s["t"] += 1
        Q, P = s["QL"], s["QR"]
        rotated = Q.T @ G @ P
        s["M"] = b1 * s["M"] + (1 - b1) * G
        s["V"] = b2 * s["V"] + (1 - b2) * rotated**2
        mean = Q.T @ s["M"] @ P / (1 - b1 ** s["t"])
        deviation = np.sqrt(s["V"] / (1 - b2 ** s["t"]))
        direction = Q @ (mean / (deviation + eps)) @ P.T
        if w.ndim == 2:
            s["L"] = b2 * s["L"] + (1 - b2) * G @ G.T
            s["R"] = b2 * s["R"] + (1 - b2) * G.T @ G
            if s["t"] % group["precondition_frequency"] == 0:
                s["QL"] = np.linalg.qr(s["L"] @ Q)[0]
                s["QR"] = np.linalg.qr(s["R"] @ P)[0]
        return np.asarray(w - lr * decay * w - lr * direction.reshape(w.shape))
