import torch

from tinyopt.base import Base


class Lion(Base):
    def __init__(self, params, lr=1e-4, betas=(0.9, 0.99), weight_decay=0.0):
        super().__init__(params, lr=lr, betas=betas, weight_decay=weight_decay)

    def update(self, p, grad, state, group):
        beta1, beta2 = group["betas"]
        if not state:
            state["exp_avg"] = torch.zeros_like(p)
        p.mul_(1 - group["lr"] * group["weight_decay"])
        mixed = state["exp_avg"] * beta1 + grad * (1 - beta1)
        p.add_(mixed.sign(), alpha=-group["lr"])
        state["exp_avg"].mul_(beta2).add_(grad, alpha=1 - beta2)
