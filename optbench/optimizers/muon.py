"""Muon as its users run it: matrices by Muon, everything else by AdamW."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.optim.optimizer import ParamsT

from optbench.optimizers.checked import check_range


class MuonWithAdamW(torch.optim.Optimizer):
    """``torch.optim.Muon`` for two-dimensional parameters, ``torch.optim.AdamW`` for the rest.

    Muon orthogonalises a matrix, so it has nothing to say about biases. Both parts share one
    ``lr`` and one ``weight_decay``: with ``adjust_lr_fn="match_rms_adamw"`` a Muon step has
    the RMS of an AdamW step (Liu et al. 2025, *Muon is Scalable for LLM Training*, eq. 4),
    which is what makes a shared rate meaningful.

    Parameters
    ----------
    params : iterable
        Parameters or parameter groups, of any dimensions.
    lr, weight_decay : float
        Of both parts.
    momentum, nesterov, ns_steps :
        Of Muon, as in ``torch.optim.Muon``.
    betas, eps :
        Of AdamW, as in ``torch.optim.AdamW``.
    """

    _MUON = ("lr", "weight_decay", "momentum", "nesterov", "ns_steps")
    _ADAMW = ("lr", "weight_decay", "betas", "eps")

    def __init__(
        self,
        params: ParamsT,
        lr: float = 1e-3,
        weight_decay: float = 0.1,
        momentum: float = 0.95,
        nesterov: bool = True,
        ns_steps: int = 5,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
    ) -> None:
        # Here, since torch's constructors check their defaults and not what a group brings.
        check_range("lr", lr)
        check_range("weight_decay", weight_decay)
        check_range("momentum", momentum)
        check_range("betas[0]", betas[0], below=1.0)
        check_range("betas[1]", betas[1], below=1.0)
        check_range("eps", eps)
        super().__init__(
            params,
            {
                "lr": lr,
                "weight_decay": weight_decay,
                "momentum": momentum,
                "nesterov": nesterov,
                "ns_steps": ns_steps,
                "betas": betas,
                "eps": eps,
            },
        )

    def _parts(self) -> list[torch.optim.Optimizer]:
        """Return the two optimizers over this one's groups and state.

        They are made anew for each step and hold nothing of their own, so that ``state_dict``,
        ``add_param_group`` and a scheduler's change of ``lr`` need no second bookkeeping.
        """
        matrices: list[dict[str, Any]] = []
        rest: list[dict[str, Any]] = []
        for group in self.param_groups:
            own = [p for p in group["params"] if p.ndim == 2]
            others = [p for p in group["params"] if p.ndim != 2]
            if own:
                matrices.append({"params": own, **{key: group[key] for key in self._MUON}})
            if others:
                rest.append({"params": others, **{key: group[key] for key in self._ADAMW}})
        parts: list[torch.optim.Optimizer] = []
        if matrices:
            parts.append(torch.optim.Muon(matrices, adjust_lr_fn="match_rms_adamw"))
        if rest:
            parts.append(torch.optim.AdamW(rest))
        for part in parts:
            part.state = self.state
        return parts

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One update of every parameter that has a gradient; returns the closure's loss."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for part in self._parts():
            part.step()
        return loss
