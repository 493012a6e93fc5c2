"""Classes whose constructors do not take parameters alone, as released packages have them."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn


class Named(torch.optim.SGD):
    """Takes (name, parameter) pairs, and spares biases the decay."""

    def __init__(self, named_parameters: Any, lr: float = 0.1, weight_decay: float = 0.01) -> None:
        groups = [
            {"params": [p], "weight_decay": 0.0 if "bias" in name else weight_decay}
            for name, p in named_parameters
        ]
        super().__init__(groups, lr)


class Flagged(torch.optim.Optimizer):
    """Takes groups with a flag and fills in what they lack."""

    def __init__(self, param_groups: Any) -> None:
        for group in param_groups:
            assert "use_muon" in group
            if group["use_muon"]:
                group.setdefault("lr", 0.02)
                group.setdefault("momentum", 0.9)
            else:
                group.setdefault("lr", 0.005)
                group.setdefault("eps", 1e-8)
        super().__init__(param_groups, {})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    p.add_(p.grad if group["use_muon"] else p.grad.sign(), alpha=-group["lr"])


class FlaggedWithArguments(Flagged):
    def __init__(self, params: Any, lr: float = 0.02, aux_rate: float = 0.001) -> None:
        groups = [{**g, "lr": lr if g["use_muon"] else aux_rate} for g in params]
        super().__init__(groups)


class AroundInstance:
    """Wraps an instance, and is no torch.optim.Optimizer itself."""

    def __init__(self, base: torch.optim.Optimizer, k: int = 2) -> None:
        self.base, self.k = base, k

    @property
    def param_groups(self) -> Any:
        return self.base.param_groups

    @property
    def state(self) -> Any:
        return self.base.state

    def step(self, closure: Any = None) -> Any:
        return self.base.step(closure)

    def zero_grad(self, set_to_none: bool = True) -> None:
        self.base.zero_grad(set_to_none)

    def state_dict(self) -> Any:
        return self.base.state_dict()

    def load_state_dict(self, state: Any) -> None:
        self.base.load_state_dict(state)


class AroundClass(torch.optim.Optimizer):
    """Wraps a class, which it constructs itself, and needs a closure that its step does not say."""

    def __init__(self, params: Any, base_optimizer: Any, rho: float = 0.05, **kwargs: Any) -> None:
        super().__init__(params, {"rho": rho})
        self.base_optimizer = base_optimizer(self.param_groups, **kwargs)
        self.param_groups = self.base_optimizer.param_groups

    def step(self, closure: Any = None) -> Any:
        if closure is None:
            raise RuntimeError("it needs a closure")
        with torch.enable_grad():
            loss = closure()
        self.base_optimizer.step()
        return loss


class OfTheModel(torch.optim.SGD):
    """Takes the model."""

    def __init__(self, model: nn.Module, lr: float = 0.1) -> None:
        super().__init__(model.parameters(), lr)
        self.names = [name for name, _ in model.named_parameters()]


class OnlyMatrices(torch.optim.SGD):
    """Says in its step, not in its constructor, that it takes nothing else."""

    def step(self, closure: Any = None) -> Any:
        for group in self.param_groups:
            assert all(p.ndim == 2 for p in group["params"])
        return super().step(closure)


class OnlySparse(torch.optim.SparseAdam):
    pass


class NoRate(torch.optim.SGD):
    """Has no learning rate to set."""

    def __init__(self, params: Any, size: float = 0.05) -> None:
        super().__init__(params, size)


class RefusesNone(torch.optim.SGD):
    """Has the default lr=None, and refuses it."""

    def __init__(self, params: Any, lr: float | None = None) -> None:
        assert lr is not None
        super().__init__(params, lr)


class CalledBetween(torch.optim.SGD):
    """Wants update_hessian() now and then."""

    called = 0

    def update_hessian(self) -> None:
        assert all(p.grad is not None for g in self.param_groups for p in g["params"])
        self.called += 1


class Curved(torch.optim.SGD):
    """Steps by the squared gradients of every tenth step, as Sophia does."""

    @torch.no_grad()
    def update_hessian(self) -> None:
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    kept = self.state[p].setdefault("hessian", torch.zeros_like(p))
                    kept.mul_(0.9).addcmul_(p.grad, p.grad, value=0.1)

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    size = self.state[p].get("hessian", torch.ones_like(p)) + 1.0
                    p.sub_(group["lr"] * p.grad / size)


class ExitsInItsStep(torch.optim.SGD):
    def step(self, closure: Any = None) -> Any:
        import os

        os._exit(3)


class HangsInItsStep(torch.optim.SGD):
    def step(self, closure: Any = None) -> Any:
        import threading

        threading.Event().wait()


def mine(named_parameters: Any, lr: float = 0.1) -> torch.optim.Optimizer:
    """A row of one's own: weights and biases at two rates."""
    pairs = list(named_parameters)
    return torch.optim.SGD(
        [
            {"params": [p for name, p in pairs if "bias" not in name]},
            {"params": [p for name, p in pairs if "bias" in name], "lr": lr / 2},
        ],
        lr=lr,
    )
