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


class ForAttention(torch.optim.SGD):
    """Takes (name, parameter) pairs, and an argument about those of one name."""

    def __init__(self, named_parameters: Any, lr: float = 0.1, n_heads: int = 4) -> None:
        groups = [
            {"params": [p], "lr": lr / n_heads if "q_proj" in name else lr}
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


class NeverInitialized(torch.optim.Optimizer):
    """Wraps an instance without calling its own base's constructor.

    torch then lacks what it asks for in ``step`` from the first copy on, which marks the class.
    """

    def __init__(self, optimizer: torch.optim.Optimizer, k: int = 2) -> None:
        self.optimizer, self.k = optimizer, k
        self.param_groups, self.state = optimizer.param_groups, optimizer.state
        self.defaults = optimizer.defaults

    def step(self, closure: Any = None) -> Any:
        return self.optimizer.step(closure)


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


class PerturbsByWhatIsThere(torch.optim.Optimizer):
    """SAM whose first gradients the training loop computes: ``closure(); step(closure)``."""

    def __init__(self, params: Any, lr: float = 0.01, rho: float = 0.05) -> None:
        super().__init__(params, {"lr": lr, "rho": rho})

    @torch.no_grad()
    def step(self, closure: Any) -> Any:  # type: ignore[override]
        params = [p for g in self.param_groups for p in g["params"]]
        there = [torch.zeros_like(p) if p.grad is None else p.grad.clone() for p in params]
        norm = torch.stack([g.norm() for g in there]).norm() + 1e-12
        starts = [p.clone() for p in params]
        for p, g in zip(params, there, strict=True):
            p.add_(self.param_groups[0]["rho"] * g / norm)
        with torch.enable_grad():
            loss = closure()
        for p, start in zip(params, starts, strict=True):
            p.copy_(start - self.param_groups[0]["lr"] * p.grad)
        return loss


class DifferentiatesGradients(torch.optim.SGD):
    """Requirements backward(create_graph=True), as AdaHessian does."""

    def step(self, closure: Any = None) -> Any:
        for group in self.param_groups:
            for p in group["params"]:
                p.grad.sum().backward(retain_graph=True)
        return super().step(closure)


class Reshapes(torch.optim.SGD):
    """Gives its parameters another shape."""

    def step(self, closure: Any = None) -> Any:
        loss = super().step(closure)
        for group in self.param_groups:
            for p in group["params"]:
                p.data = p.data.reshape(-1)
        return loss


class Widens(torch.optim.SGD):
    """Gives its parameters another type."""

    def step(self, closure: Any = None) -> Any:
        loss = super().step(closure)
        for group in self.param_groups:
            for p in group["params"]:
                p.data = p.data.double()
        return loss


class Freezes(torch.optim.SGD):
    """Leaves its parameters without gradients."""

    def step(self, closure: Any = None) -> Any:
        loss = super().step(closure)
        for group in self.param_groups:
            for p in group["params"]:
                p.requires_grad_(False)
        return loss


class Disables(torch.optim.SGD):
    """Leaves gradients disabled for all."""

    def step(self, closure: Any = None) -> Any:
        loss = super().step(closure)
        torch.set_grad_enabled(False)
        return loss


class OfTheModel(torch.optim.SGD):
    """Takes the model."""

    def __init__(self, model: nn.Module, lr: float = 0.1) -> None:
        super().__init__(model.parameters(), lr)
        self.names = [name for name, _ in model.named_parameters()]


class OfTheModelAndItsParameters(torch.optim.SGD):
    """Takes both, and another optimizer."""

    def __init__(self, model: nn.Module, params: Any, base_optimizer: Any, lr: float = 0.1) -> None:
        super().__init__(params, lr)
        self.model, self.base_optimizer = model, base_optimizer


class Demanding(torch.optim.SGD):
    """Has no default for what only its user knows."""

    def __init__(self, params: Any, num_data: int, k: int, lr: float = 0.1) -> None:
        super().__init__(params, lr)
        self.num_data, self.k = num_data, k


class Nothing(torch.optim.SGD):
    """Takes no hyperparameter."""

    def __init__(self, params: Any) -> None:
        super().__init__(params, 0.05)


class StepsOnItsLoss(torch.optim.SGD):
    """Its step wants the loss, not a closure."""

    def step(self, loss: Any) -> None:  # type: ignore[override]
        super().step()


class StepsOnAFunction(torch.optim.SGD):
    """Its step wants a closure and calls it otherwise."""

    def step(self, evaluate: Any) -> Any:
        return super().step(evaluate)


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
    """Requirements update_hessian() now and then."""

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


def demanding(named_parameters: Any, alpha: float) -> torch.optim.Optimizer:
    """A builder with a hyperparameter that has no default."""
    return torch.optim.SGD([p for _, p in named_parameters], lr=alpha)


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
