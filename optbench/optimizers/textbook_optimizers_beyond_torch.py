"""The NumPy rules that torch has no class for, as torch optimizers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import chain
from types import MappingProxyType
from typing import Any, ClassVar

import torch

from optbench.optimizers import (
    textbook,
    textbook_beyond_torch,
    textbook_matrix,
    textbook_schedule_free,
    textbook_whole_model,
)
from optbench.optimizers.textbook import Memory
from optbench.optimizers.textbook_optimizers import (
    TextbookOptimizer,
    to_numpy,
    write,
)


class TextbookSGDW(TextbookOptimizer):
    """`textbook_beyond_torch.sgdw`."""

    rule = textbook_beyond_torch.sgdw


class TextbookLAMB(TextbookOptimizer):
    """`textbook_beyond_torch.lamb`."""

    rule = textbook_beyond_torch.lamb
    readings = (
        {"bias_correction": False, "clamp_value": 10.0},
        {"bias_correction": False},
    )


class TextbookADOPT(TextbookOptimizer):
    """`textbook_beyond_torch.adopt`."""

    rule = textbook_beyond_torch.adopt
    readings = (
        {"decouple": True},
        {"decouple": True, "decay_at_start": True},
        {"clip_exp": None},
        {"clip_exp": None, "decouple": True},
        {"clip_exp": None, "decouple": True, "decay_at_start": True},
    )


class TextbookAdan(TextbookOptimizer):
    """`textbook_beyond_torch.adan`."""

    rule = textbook_beyond_torch.adan
    readings = ({"no_prox": True},)


class TextbookAdEMAMix(TextbookOptimizer):
    """`textbook_beyond_torch.ademamix`."""

    rule = textbook_beyond_torch.ademamix


class TextbookLookahead(TextbookOptimizer):
    """`textbook_beyond_torch.lookahead`."""

    rule = textbook_beyond_torch.lookahead

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group; ``k`` counts steps."""
        k = {**self.defaults, **param_group}["k"]
        if k < 1 or k % 1:
            raise ValueError(f"k must be a whole number >= 1, not {k!r}")
        super().add_param_group(param_group)


class TextbookSophia(TextbookOptimizer):
    """`textbook_beyond_torch.sophia`; `update_hessian` makes the estimate, as in SophiaG."""

    rule = textbook_beyond_torch.sophia
    other_names = ("sophiag",)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None, bs: float | None = None) -> Any:
        """Take a step, with a batch size for this and later steps if one is given."""
        if bs is not None:
            for group in self.param_groups:
                group["bs"] = bs
        return super().step(closure)

    def update_hessian(self) -> None:
        """Average the square of the gradients that are there into the estimate."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    memory = self._remembered(parameter)
                    gradient = to_numpy(parameter.grad)
                    textbook_beyond_torch.sophia_hessian(gradient, memory, betas=group["betas"])
                    self._remember(parameter, memory)


class TextbookSOAP(TextbookOptimizer):
    """`textbook_matrix.soap`."""

    rule = textbook_matrix.soap
    # The decompositions are float32 in the authors' code, whatever the parameters are.
    agreement = 1e-4
    shapes = ((5, 5), (3, 3), (6,), (5, 5))


class _ScheduleFree(TextbookOptimizer):
    """Parameters hold y in train mode, in which it begins, and the average x in eval mode."""

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group, in train mode."""
        super().add_param_group({"train_mode": True, **param_group})

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Take a step; in eval mode it is a RuntimeError."""
        if not all(group["train_mode"] for group in self.param_groups):
            raise RuntimeError(f"{type(self).__name__}.step needs train mode: call train()")
        return super().step(closure)

    def train(self) -> None:
        """Put y, the point of the gradient, into the parameters."""
        self._show(True)

    def eval(self) -> None:
        """Put the average into the parameters."""
        self._show(False)

    @torch.no_grad()
    def _show(self, train_mode: bool) -> None:
        for group in self.param_groups:
            beta = group["momentum"] if "momentum" in group else group["betas"][0]
            for parameter in group["params"] if group["train_mode"] != train_mode else ():
                memory = self._remembered(parameter)
                if "x" in memory:
                    y = textbook_schedule_free.interpolate(memory.x, memory.z, beta)
                    write(y if train_mode else memory.x, parameter)
            group["train_mode"] = train_mode


class TextbookScheduleFreeSGD(_ScheduleFree):
    """`textbook_schedule_free.schedule_free_sgd`."""

    rule = textbook_schedule_free.schedule_free_sgd
    other_names = ("sgdschedulefree",)


class TextbookScheduleFreeAdamW(_ScheduleFree):
    """`textbook_schedule_free.schedule_free_adamw`."""

    rule = textbook_schedule_free.schedule_free_adamw
    other_names = ("adamwschedulefree",)
    readings = ({"convention": "paper"},)


class TextbookProdigy(TextbookOptimizer):
    """`textbook_whole_model.prodigy`; the estimate is in ``param_groups[0]["shared"]["d"]``."""

    rule = textbook_whole_model.prodigy
    # While the estimate is 1e-6, of the distance to the start rounding leaves ten digits.
    agreement = 1e-8

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add the one group: the estimate is of all parameters."""
        if self.param_groups:
            raise ValueError("TextbookProdigy takes one parameter group")
        super().add_param_group({"shared": {}, **param_group})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Estimate the distance and take a step; returns the closure's loss."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        (group,) = self.param_groups
        moving = [parameter for parameter in group["params"] if parameter.grad is not None]
        memories, shared = [self._remembered(each) for each in moving], Memory(group["shared"])
        moved = textbook_whole_model.prodigy(
            [to_numpy(parameter) for parameter in moving],
            [to_numpy(parameter.grad) for parameter in moving],
            memories,
            shared,
            **self._settings(group),
        )
        group["shared"] = dict(shared)
        for parameter, memory, new in zip(moving, memories, moved, strict=True):
            self._remember(parameter, memory)
            write(new, parameter)
        return loss


class TextbookSAM(TextbookOptimizer):
    """`textbook_whole_model.sam_ascent`, and `textbook.sgd` with the gradient of that point."""

    extra_arguments: ClassVar[Mapping[str, Any]] = MappingProxyType(
        {"rho": 0.05, "adaptive": False, "perturb_eps": 1e-12}
    )
    rule = textbook.sgd

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Evaluate the loss twice and take a step; returns the loss of the first evaluation."""
        if closure is None:
            raise TypeError("TextbookSAM.step needs a closure: it evaluates the loss twice")
        with torch.enable_grad():
            loss = closure()
        group = self.param_groups[0]
        moving = [
            parameter
            for parameter in chain.from_iterable(each["params"] for each in self.param_groups)
            if parameter.grad is not None
        ]
        before = [parameter.clone() for parameter in moving]
        highest = textbook_whole_model.sam_ascent(
            [to_numpy(parameter) for parameter in moving],
            [to_numpy(parameter.grad) for parameter in moving],
            **{name: group[name] for name in self.extra_arguments},
        )
        for parameter, place in zip(moving, highest, strict=True):
            write(place, parameter)
        with torch.enable_grad():
            closure()
        for parameter, place in zip(moving, before, strict=True):
            parameter.copy_(place)
        super().step()
        return loss
