import torch

from tinyopt.base import Base


class Signum(Base):
    def __init__(self, params, lr=1e-3, momentum=0.9):
        super().__init__(params, lr=lr, momentum=momentum)

    def update(self, p, grad, state, group):
        if not state:
            state["momentum_buffer"] = torch.zeros_like(p)
        state["momentum_buffer"].mul_(group["momentum"]).add_(grad, alpha=1 - group["momentum"])
        p.add_(state["momentum_buffer"].sign(), alpha=-group["lr"])
