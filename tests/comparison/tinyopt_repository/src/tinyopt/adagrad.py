import torch

from tinyopt.base import Base


class Adagrad(Base):
    def __init__(self, params, lr=1e-2, eps=1e-10):
        super().__init__(params, lr=lr, eps=eps)

    def update(self, p, grad, state, group):
        if not state:
            state["sum"] = torch.zeros_like(p)
        state["sum"].addcmul_(grad, grad)
        p.addcdiv_(grad, state["sum"].sqrt().add_(group["eps"]), value=-group["lr"])
