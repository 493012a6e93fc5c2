"""What all of them share."""

import torch


class Base(torch.optim.Optimizer):
    """An optimizer whose rule is one method for one tensor."""

    def __init__(self, params, **defaults):
        if not defaults["lr"] >= 0:
            raise ValueError(f"lr must not be negative: {defaults['lr']}")
        super().__init__(params, defaults)

    @torch.no_grad()
    def step(self, closure=None):
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    self.update(p, p.grad, self.state[p], group)
        return loss

    def update(self, p, grad, state, group):
        raise NotImplementedError
