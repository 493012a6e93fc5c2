"""Optimizers that a nightly meets sooner or later."""

import torch


class Diverges(torch.optim.SGD):
    """Walks uphill, faster and faster."""

    def __init__(self, params, lr=1e-2):
        super().__init__(params, lr=lr)

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.mul_(10.0)


class Stays(torch.optim.SGD):
    """Never gets anywhere."""

    def __init__(self, params, lr=1e-2):
        super().__init__(params, lr=lr)

    def step(self, closure=None):
        pass


class Raises(torch.optim.SGD):
    """Is found out only when it steps."""

    def __init__(self, params, lr=1e-2):
        super().__init__(params, lr=lr)

    def step(self, closure=None):
        raise RuntimeError("no step today")


class WantsMore(torch.optim.SGD):
    """Cannot be made of parameters and a rate."""

    def __init__(self, params, lr, secret):
        super().__init__(params, lr=lr)
