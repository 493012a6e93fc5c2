"""Commits that change nothing but the text, or the last digits: nobody may be accused for one."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Benign:
    """A commit to one module.

    Attributes
    ----------
    subject : str
    module : str
        Of tinyopt; its class is the only one that may be anything but identical.
    optimizer : str
        The class.
    verdict : str
        ``identical`` or ``rounding``.
    edits : tuple of pairs
        What is replaced by what.
    """

    subject: str
    module: str
    optimizer: str
    verdict: str
    edits: tuple[tuple[str, str], ...]


REFACTORS = (
    Benign(
        "Adam: names of locals",
        "adam",
        "Adam",
        "identical",
        (
            ("        second = exp_avg_sq\n", "        v = exp_avg_sq\n"),
            (
                '            second = state["max_exp_avg_sq"]',
                '            v = state["max_exp_avg_sq"]',
            ),
            ("(second / correction2)", "(v / correction2)"),
        ),
    ),
    Benign(
        "AdamW: a method of its own for the decay",
        "adamw",
        "AdamW",
        "identical",
        (
            (
                '        p.mul_(1 - group["lr"] * group["weight_decay"])\n',
                "        self.decay(p, group)\n",
            ),
            (
                "    def update(self",
                "    def decay(self, p, group):\n"
                '        p.mul_(1 - group["lr"] * group["weight_decay"])\n\n'
                "    def update(self",
            ),
        ),
    ),
    Benign(
        "SGD: another name in the state",
        "sgd",
        "SGD",
        "identical",
        (
            ('            state["momentum_buffer"] = ', '            state["velocity"] = '),
            ('        buffer = state["momentum_buffer"]', '        buffer = state["velocity"]'),
        ),
    ),
    Benign(
        "RMSprop: a new switch, off",
        "rmsprop",
        "RMSprop",
        "identical",
        (
            ("centered=False):", "centered=False, nesterov=False):"),
            ("centered=centered)", "centered=centered, nesterov=nesterov)"),
        ),
    ),
    Benign(
        "Adagrad: out of place where it was in place",
        "adagrad",
        "Adagrad",
        "identical",
        (
            (
                '        state["sum"].addcmul_(grad, grad)\n',
                '        state["sum"] = state["sum"].addcmul(grad, grad)\n',
            ),
        ),
    ),
    Benign(
        "Lion: sign() by comparisons",
        "lion",
        "Lion",
        "identical",
        (
            (
                "        p.add_(mixed.sign(), ",
                "        direction = (mixed > 0).to(p.dtype) - (mixed < 0).to(p.dtype)\n"
                "        p.add_(direction, ",
            ),
        ),
    ),
    Benign(
        "Adamax: a comment and a docstring",
        "adamax",
        "Adamax",
        "identical",
        (("class Adamax(Base):\n", 'class Adamax(Base):\n    """Adam with a maximum."""\n\n'),),
    ),
    Benign(
        "Signum: the state made by another function",
        "signum",
        "Signum",
        "identical",
        (
            ("torch.zeros_like(p)", "self.buffer(p)"),
            (
                "    def update(self",
                "    @staticmethod\n    def buffer(p):\n"
                "        return torch.full_like(p, 0.0)\n\n    def update(self",
            ),
        ),
    ),
)
"""The same bits by other words."""

REWRITES = (
    Benign(
        "Adam: lerp for mul and add",
        "adam",
        "Adam",
        "rounding",
        (
            (
                "exp_avg.mul_(beta1).add_(grad, alpha=1 - beta1)",
                "exp_avg.lerp_(grad, 1 - beta1)",
            ),
        ),
    ),
    Benign(
        "AdamW: the corrections folded into the step and eps",
        "adamw",
        "AdamW",
        "rounding",
        (
            (
                '        denominator = (state["exp_avg_sq"] / correction2).sqrt().add_(group["eps"])\n',
                '        denominator = state["exp_avg_sq"].sqrt() / correction2**0.5 + group["eps"]\n',
            ),
        ),
    ),
    Benign(
        "SGD: the rate within the sum",
        "sgd",
        "SGD",
        "rounding",
        (
            (
                '        p.add_(buffer, alpha=-group["lr"])\n',
                '        p.sub_(group["lr"] * buffer.div(3).mul(3))\n',
            ),
        ),
    ),
    Benign(
        "Nesterov: the look ahead in another order",
        "nag",
        "Nesterov",
        "rounding",
        (
            (
                '        p.add_(grad.add(buffer, alpha=group["momentum"]), alpha=-group["lr"])\n',
                '        p.add_(grad, alpha=-group["lr"])\n'
                '        p.add_(buffer, alpha=-group["lr"] * group["momentum"])\n',
            ),
        ),
    ),
    Benign(
        "RMSprop: foreach",
        "rmsprop",
        "RMSprop",
        "rounding",
        (
            (
                "        square.mul_(alpha).addcmul_(grad, grad, value=1 - alpha)\n",
                "        torch._foreach_mul_([square], alpha)\n"
                "        torch._foreach_add_([square], torch._foreach_mul([grad * grad], 1 - alpha))\n",
            ),
        ),
    ),
    Benign(
        "Adagrad: a division and a product for addcdiv",
        "adagrad",
        "Adagrad",
        "rounding",
        (
            (
                '        p.addcdiv_(grad, state["sum"].sqrt().add_(group["eps"]), value=-group["lr"])\n',
                '        p.sub_(grad * (group["lr"] / (state["sum"].sqrt() + group["eps"])))\n',
            ),
        ),
    ),
    Benign(
        "Adadelta: one root for two",
        "adadelta",
        "Adadelta",
        "rounding",
        (
            (
                '(state["acc_delta"] + eps).sqrt() / (state["square_avg"] + eps).sqrt() * grad',
                '((state["acc_delta"] + eps) / (state["square_avg"] + eps)).sqrt() * grad',
            ),
        ),
    ),
    Benign(
        "Adamax: the correction on the average",
        "adamax",
        "Adamax",
        "rounding",
        (
            (
                '        p.addcdiv_(state["exp_avg"], state["exp_inf"], value=-group["lr"] / correction)\n',
                '        average = state["exp_avg"] / correction\n'
                '        p.addcdiv_(average, state["exp_inf"], value=-group["lr"])\n',
            ),
        ),
    ),
)
"""The same rule in another order."""

STATE = (
    Benign(
        "Adam: the step counter as a tensor",
        "adam",
        "Adam",
        # From a checkpoint whose counter is a tensor, the base takes powers of that.
        "rounding",
        (
            ('state["step"] = 0', 'state["step"] = torch.zeros((), dtype=torch.float64)'),
            ('beta1 ** state["step"]', 'beta1 ** float(state["step"])'),
            ('beta2 ** state["step"]', 'beta2 ** float(state["step"])'),
        ),
    ),
    Benign(
        "AdamW: buffers made with the group, as soon as it is added",
        "adamw",
        "AdamW",
        "identical",
        (
            (
                "        if not state:\n"
                '            state["step"] = 0\n'
                '            state["exp_avg"] = torch.zeros_like(p)\n'
                '            state["exp_avg_sq"] = torch.zeros_like(p)\n',
                "        if not state:  # loaded from before it had a gradient\n"
                "            self.prepare(p)\n",
            ),
            (
                "    def update(self",
                "    def add_param_group(self, param_group):\n"
                "        super().add_param_group(param_group)\n"
                '        for p in self.param_groups[-1]["params"]:\n'
                "            self.prepare(p)\n\n"
                "    def prepare(self, p):\n"
                '        self.state[p]["step"] = 0\n'
                '        self.state[p]["exp_avg"] = torch.zeros_like(p)\n'
                '        self.state[p]["exp_avg_sq"] = torch.zeros_like(p)\n\n'
                "    def update(self",
            ),
        ),
    ),
    Benign(
        "Nesterov: another name in the state, old checkpoints taken over",
        "nag",
        "Nesterov",
        "identical",
        (
            ('            state["momentum_buffer"] = ', '            state["velocity"] = '),
            ('        buffer = state["momentum_buffer"]', '        buffer = state["velocity"]'),
            (
                "    def update(self",
                "    def __setstate__(self, state):\n"
                "        super().__setstate__(state)\n"
                "        for each in self.state.values():\n"
                '            if "momentum_buffer" in each:\n'
                '                each["velocity"] = each.pop("momentum_buffer")\n\n'
                "    def update(self",
            ),
        ),
    ),
    Benign(
        "RMSprop: the centre made when it is first needed",
        "rmsprop",
        "RMSprop",
        "identical",
        (
            (
                '            state["square_avg"] = torch.zeros_like(p)\n'
                '            if group["centered"]:\n'
                '                state["grad_avg"] = torch.zeros_like(p)\n',
                '            state["square_avg"] = torch.zeros_like(p)\n'
                '        if group["centered"] and "grad_avg" not in state:\n'
                '            state["grad_avg"] = torch.zeros_like(p)\n',
            ),
        ),
    ),
    Benign(
        "Adagrad: a copy of what is loaded",
        "adagrad",
        "Adagrad",
        "identical",
        (
            ("import torch\n", "import copy\n\nimport torch\n"),
            (
                "    def update(self",
                "    def load_state_dict(self, state_dict):\n"
                "        super().load_state_dict(copy.deepcopy(state_dict))\n\n"
                "    def update(self",
            ),
        ),
    ),
    Benign(
        "Adadelta: the state in another order, by a loop",
        "adadelta",
        "Adadelta",
        "identical",
        (
            (
                '            state["square_avg"] = torch.zeros_like(p)\n'
                '            state["acc_delta"] = torch.zeros_like(p)\n',
                '            state.update({k: torch.zeros_like(p) for k in ("acc_delta", "square_avg")})\n',
            ),
        ),
    ),
    Benign(
        "Adamax: keys that an old checkpoint's groups lack",
        "adamax",
        "Adamax",
        "identical",
        (
            (
                "    def update(self",
                "    def __setstate__(self, state):\n"
                "        super().__setstate__(state)\n"
                "        for group in self.param_groups:\n"
                '            group.setdefault("eps", 1e-8)\n'
                '            group.setdefault("betas", (0.9, 0.999))\n\n'
                "    def update(self",
            ),
        ),
    ),
    Benign(
        "Lion: a copy of the caller's group",
        "lion",
        "Lion",
        "identical",
        (
            (
                "    def update(self",
                "    def add_param_group(self, param_group):\n"
                "        super().add_param_group(dict(param_group))\n\n"
                "    def update(self",
            ),
        ),
    ),
)
"""The same bits from another state, and by other ways into it."""

HANDLING = (
    Benign(
        "Adam: a hook of its own",
        "adam",
        "Adam",
        "identical",
        (
            (
                "    def update(self",
                "        self.taken = 0\n"
                "        self.register_step_post_hook(self.count)\n\n"
                "    def count(self, *_):\n"
                "        self.taken += 1\n\n"
                "    def update(self",
            ),
        ),
    ),
    Benign(
        "AdamW: the last loss kept",
        "adamw",
        "AdamW",
        "identical",
        (
            (
                "    def update(self",
                "    def step(self, closure=None):\n"
                "        loss = super().step(closure)\n"
                "        self.last_loss = None if loss is None else float(loss)\n"
                "        return loss\n\n"
                "    def update(self",
            ),
        ),
    ),
    Benign(
        "SGD: zero_grad with a docstring",
        "sgd",
        "SGD",
        "identical",
        (
            (
                "    def update(self",
                "    def zero_grad(self, set_to_none=True):\n"
                '        """Clear the gradients."""\n'
                "        super().zero_grad(set_to_none=set_to_none)\n\n"
                "    def update(self",
            ),
        ),
    ),
    Benign(
        "RMSprop: a cached property",
        "rmsprop",
        "RMSprop",
        "identical",
        (
            ("import torch\n", "import functools\n\nimport torch\n"),
            (
                "    def update(self",
                "    @functools.cached_property\n"
                "    def least(self):\n"
                "        return 0.0\n\n"
                "    def update(self",
            ),
            ("clamp_min_(0)", "clamp_min_(self.least)"),
        ),
    ),
    Benign(
        "Adagrad: the rate after the division",
        "adagrad",
        "Adagrad",
        "rounding",
        (
            (
                '        p.addcdiv_(grad, state["sum"].sqrt().add_(group["eps"]), value=-group["lr"])\n',
                '        root = state["sum"].sqrt().add_(group["eps"])\n'
                '        p.sub_(grad / root * group["lr"])\n',
            ),
        ),
    ),
    Benign(
        "Adadelta: the rate in place",
        "adadelta",
        "Adadelta",
        "rounding",
        (
            (
                '        p.add_(delta, alpha=-group["lr"])\n',
                '        p.sub_(delta.mul_(group["lr"]))\n',
            ),
        ),
    ),
    Benign(
        "Adamax: a version in the checkpoint",
        "adamax",
        "Adamax",
        "identical",
        (
            (
                "    def update(self",
                "    def state_dict(self):\n"
                '        return {**super().state_dict(), "version": 2}\n\n'
                "    def update(self",
            ),
        ),
    ),
    Benign(
        "Lion: the decay as a difference",
        "lion",
        "Lion",
        "rounding",
        (
            (
                '        p.mul_(1 - group["lr"] * group["weight_decay"])\n',
                '        p.sub_(p * (group["lr"] * group["weight_decay"]))\n',
            ),
        ),
    ),
    Benign(
        "Signum: a counter that nothing depends on",
        "signum",
        "Signum",
        "identical",
        (
            (
                '            state["momentum_buffer"] = torch.zeros_like(p)\n',
                '            state["momentum_buffer"] = torch.zeros_like(p)\n'
                '        state["step"] = state.get("step", 0) + 1\n',
            ),
        ),
    ),
)
"""Hooks, inherited methods and reordered operations."""
