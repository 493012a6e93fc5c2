import torch

from tinyopt.base import Base


class RMSprop(Base):
    def __init__(self, params, lr=1e-2, alpha=0.99, eps=1e-8, centered=False):
        super().__init__(params, lr=lr, alpha=alpha, eps=eps, centered=centered)

    def update(self, p, grad, state, group):
        alpha = group["alpha"]
        if not state:
            state["square_avg"] = torch.zeros_like(p)
            if group["centered"]:
                state["grad_avg"] = torch.zeros_like(p)
        square = state["square_avg"]
        square.mul_(alpha).addcmul_(grad, grad, value=1 - alpha)
        if group["centered"]:
            state["grad_avg"].lerp_(grad, 1 - alpha)
            square = square.addcmul(state["grad_avg"], state["grad_avg"], value=-1).clamp_min_(0)
        p.addcdiv_(grad, square.sqrt().add_(group["eps"]), value=-group["lr"])
