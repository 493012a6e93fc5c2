import torch

from tinyopt.base import Base


class Nesterov(Base):
    def __init__(self, params, lr=1e-2, momentum=0.9):
        super().__init__(params, lr=lr, momentum=momentum)

    def update(self, p, grad, state, group):
        if not state:
            state["momentum_buffer"] = torch.zeros_like(p)
        buffer = state["momentum_buffer"]
        buffer.mul_(group["momentum"]).add_(grad)
        p.add_(grad.add(buffer, alpha=group["momentum"]), alpha=-group["lr"])
