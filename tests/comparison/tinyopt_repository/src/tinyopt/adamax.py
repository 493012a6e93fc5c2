import torch

from tinyopt.base import Base


class Adamax(Base):
    def __init__(self, params, lr=2e-3, betas=(0.9, 0.999), eps=1e-8):
        super().__init__(params, lr=lr, betas=betas, eps=eps)

    def update(self, p, grad, state, group):
        beta1, beta2 = group["betas"]
        if not state:
            state["step"] = 0
            state["exp_avg"] = torch.zeros_like(p)
            state["exp_inf"] = torch.zeros_like(p)
        state["step"] += 1
        state["exp_avg"].mul_(beta1).add_(grad, alpha=1 - beta1)
        torch.maximum(
            state["exp_inf"].mul_(beta2), grad.abs().add_(group["eps"]), out=state["exp_inf"]
        )
        correction = 1 - beta1 ** state["step"]
        p.addcdiv_(state["exp_avg"], state["exp_inf"], value=-group["lr"] / correction)
