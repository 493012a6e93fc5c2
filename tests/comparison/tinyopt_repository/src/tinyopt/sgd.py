import torch

from tinyopt.base import Base


class SGD(Base):
    def __init__(self, params, lr=1e-2, momentum=0.9, weight_decay=0.0):
        super().__init__(params, lr=lr, momentum=momentum, weight_decay=weight_decay)

    def update(self, p, grad, state, group):
        if group["weight_decay"]:
            grad = grad.add(p, alpha=group["weight_decay"])
        if not state:
            state["momentum_buffer"] = torch.zeros_like(p)
        buffer = state["momentum_buffer"]
        buffer.mul_(group["momentum"]).add_(grad)
        p.add_(buffer, alpha=-group["lr"])
