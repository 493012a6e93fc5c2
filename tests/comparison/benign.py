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
