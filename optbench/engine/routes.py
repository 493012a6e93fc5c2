"""How an optimizer drives lanes: one parameter for all, one a lane, or one optimizer a lane."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from optbench.engine.ranks import Loss, shared_loss
from optbench.engine.state import bytes_of, leaves_of, wrapped_in
from optbench.engine.stepping import Stepper
from optbench.optimizers import Optimizer, Route
from optbench.optimizers.of_the_run import DDP, told_to_the_factory
from optbench.optimizers.schedules import LR_SCHEDULE, factors
from optbench.problems import Problem


class BudgetSpent(Exception):
    """Raised by a closure that would exceed the budget."""


_View = tuple[Tensor, Tensor, int | slice]
"""A parameter that an optimizer is given, the leaf whose storage it shares, and its lanes there."""

_Rate = tuple[float, Sequence[float]] | None
"""The learning rate of a parameter group and its factor at every step; None: it stays."""


class Driver:
    """An optimizer over lanes, with the one step of the one training loop.

    Parameters
    ----------
    optimizer : Optimizer
        The row.
    problem : Problem
        Bound to a dtype and a device.
    settings : sequence of mappings
        Hyperparameters of each lane. Lanes of equal settings must stand together; all have the same
        ``ddp``, and with one this is a process of a group (`optbench.engine.ranks`).
    start : mapping
        Initial parameters, [K, ...].
    budget : int
        Gradient evaluations of a lane: what a schedule of its learning rate spreads over.
    route : Route
        `Optimizer.route`, unless a certification tries another.

    Attributes
    ----------
    params : dict
        The parameters of all lanes, name to [K, ...].
    has_modes : bool
        Whether the parameters to score are other ones than those that it trains (`evaluating`).
    cut_short : bool
        Whether the budget ended in the middle of a step, which was undone.

    Notes
    -----
    A parameter of all lanes is one leaf tensor, so loss and gradient are computed once. With
    one setting on the STACK route the optimizer gets the leaf itself. In every other case it
    gets *views* of the leaf's storage (a range of lanes a setting, or single lanes).

    Each step does what a training loop does: it clears the gradients (``zero_grad``, to None),
    computes fresh ones and hands them to the optimizer, whatever that did to the last ones. A
    view is handed the part of its leaf's gradient that is its own, so that nothing is copied.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        problem: Problem,
        settings: Sequence[Mapping[str, Any]],
        start: Mapping[str, Tensor],
        budget: int,
        route: Route | None = None,
    ) -> None:
        self.problem = problem
        self._loss: Loss = problem.loss
        self.params: dict[str, Tensor]
        if DDP in settings[0]:
            leaves = {name: torch.nn.Parameter(leaf) for name, leaf in start.items()}
            self._loss = shared_loss(problem, leaves)
            self.params = dict(leaves)
        else:
            self.params = {name: leaf.requires_grad_() for name, leaf in start.items()}
        self._leaves = list(self.params.values())
        self._names = [_as_in_torch(name) for name in self.params]
        self._detached = {name: leaf.detach() for name, leaf in self.params.items()}
        self._ones = torch.ones(len(settings), dtype=self._leaves[0].dtype,
                                device=self._leaves[0].device)  # fmt: skip
        self._sparse = optimizer.sparse_gradients
        self._views: list[_View] = []
        self._frozen: set[int] = set()
        route = route or optimizer.route
        if optimizer.closure and len(settings) > 1:
            raise ValueError(f"{optimizer.name} needs a closure and runs one lane at a time")
        groups = list(_ranges(settings))
        schedules = [setting.get(LR_SCHEDULE) for setting in settings]
        settings = [told_to_the_factory(setting) for setting in settings]
        if not optimizer.takes_groups and (route is not Route.STACK or len(groups) > 1):
            # A builder makes its own parameter groups.
            route = Route.INSTANCE
        made: list[Any]
        if route is Route.STACK and len(groups) == 1 and not self._sparse:
            made = [optimizer.make(self._named(self._leaves), settings[0])]
        elif route is Route.INSTANCE:
            made = [
                optimizer.make(self._named(self._lane(lane)), setting)
                for lane, setting in enumerate(settings)
            ]
        else:
            parameter_groups = [
                {"params": self._range(lanes, route), **settings[lanes.start]} for lanes in groups
            ]
            made = [optimizer.factory(parameter_groups, **settings[0])]
        self._steppers = [
            Stepper(each, optimizer.before_step, gradients_first=optimizer.gradients_first)
            for each in made
        ]
        self._optimizers = made
        self._own_zero_grads = [each.zero_grad for each in self._steppers if each.zero_grad]
        self.has_modes = any(each.has_modes for each in self._steppers)
        self._live = [each.step for each in self._steppers]
        self._per_lane = route is Route.INSTANCE
        # Only what nobody certified may put another tensor in a parameter's place.
        self._homes = (
            [(view, leaf.detach()[index]) for view, leaf, index in self._views]
            if self._per_lane
            else []
        )
        self.cut_short = False
        self.step = self._closure_step if optimizer.closure else self._plain_step
        if any(schedules):
            self._rates = self._scheduled(schedules, budget)
            self._unscheduled_step, self.step = self.step, self._scheduled_step

    def _named(self, params: Sequence[Tensor]) -> list[tuple[str, Tensor]]:
        return list(zip(self._names, params, strict=True))

    def _scheduled(self, schedules: Sequence[str | None], budget: int) -> list[list[_Rate]]:
        """For each optimizer, the rate of each of its parameter groups."""
        of_view = {id(view): index for view, _, index in self._views}

        def schedule_of(place: int, group: Mapping[str, Any]) -> str | None:
            if self._per_lane:
                return schedules[place]
            if not of_view:  # The leaves themselves: all lanes have one setting.
                return schedules[0]
            index = of_view[id(group["params"][0])]
            return schedules[index.start if isinstance(index, slice) else index]

        rates: list[list[_Rate]] = []
        for place, optimizer in enumerate(self._optimizers):
            names = [schedule_of(place, group) for group in optimizer.param_groups]
            rates.append([
                (group["lr"], factors(name, budget)) if name else None
                for group, name in zip(optimizer.param_groups, names, strict=True)
            ])  # fmt: skip
        return rates

    def _scheduled_step(self, batch: Tensor | None, remaining: int) -> tuple[int, Tensor | None]:
        """Set the rates for the gradient evaluations spent so far, and step."""
        for optimizer, rates in zip(self._optimizers, self._rates, strict=True):
            # The groups are looked up anew, as torch's schedulers do.
            for group, rate in zip(optimizer.param_groups, rates, strict=False):
                if rate is not None:
                    lr, factor = rate
                    group["lr"] = lr * factor[-remaining]
        return self._unscheduled_step(batch, remaining)

    def _view(self, leaf: Tensor, index: int | slice) -> Tensor:
        view = torch.nn.Parameter(leaf.detach()[index])
        self._views.append((view, leaf, index))
        return view

    def _lane(self, lane: int) -> list[Tensor]:
        return [self._view(leaf, lane) for leaf in self._leaves]

    def _range(self, lanes: slice, route: Route) -> list[Tensor]:
        if route is Route.STACK:
            return [self._view(leaf, lanes) for leaf in self._leaves]
        return [view for lane in range(lanes.start, lanes.stop) for view in self._lane(lane)]

    def _attach_gradients(self) -> None:
        """Give each view its part of the fresh gradient of its leaf."""
        pieces: dict[int, Sequence[Tensor]] = {}
        for view, leaf, index in self._views:
            if leaf.grad is None:  # the loss does not depend on it
                continue
            if isinstance(index, int):
                if id(leaf) not in pieces:
                    pieces[id(leaf)] = leaf.grad.unbind(0)
                gradient = pieces[id(leaf)][index]
            else:
                gradient = leaf.grad[index]
            if self._sparse:
                gradient = gradient.to_sparse()
            # What a zero_grad of its own leaves there, a backward pass adds to.
            view.grad = gradient if view.grad is None else view.grad + gradient

    def _clear_gradients(self) -> None:
        """Clear all gradients: the buffers of the next backward pass are fresh ones."""
        if self._own_zero_grads:
            for zero_grad in self._own_zero_grads:
                zero_grad()
            if not self._views:
                return
        else:
            for view, _, _ in self._views:
                view.grad = None
        for leaf in self._leaves:
            leaf.grad = None

    def _evaluate(self, batch: Tensor | None) -> Tensor:
        """Clear the gradients, compute fresh ones; gives the losses [K] in their graph."""
        loss = self._loss(self.params, batch)
        self._clear_gradients()
        # The gradient of the sum of all lanes: each lane's own.
        loss.backward(self._ones)
        if self._views:
            self._attach_gradients()
        return loss

    def _plain_step(self, batch: Tensor | None, remaining: int) -> tuple[int, Tensor | None]:
        """Loss, gradient, update: gives (1, losses [K] before the update, in their graph)."""
        loss = self._evaluate(batch)
        for step in self._live:
            step()
        self._require_gradients()
        if self._homes:
            self._bring_home()
        return 1, loss

    def _closure_step(self, batch: Tensor | None, remaining: int) -> tuple[int, Tensor | None]:
        """One step of one lane that evaluates as often as it likes: gives (evaluations, None).

        A step that the budget cuts short is undone: it would leave the parameters at a trial
        point of its line search.
        """
        evaluations = 0

        def closure() -> Tensor:
            nonlocal evaluations
            if evaluations == remaining:
                raise BudgetSpent
            evaluations += 1
            if self._homes:
                self._bring_home()  # it may have put trial points in place of the parameters
            return self._evaluate(batch).detach()[0]

        before = [leaf.detach().clone() for leaf in self._leaves]
        for step in self._live:
            try:
                step(closure)
            except BudgetSpent:
                self.cut_short = True
                with torch.no_grad():
                    for leaf, saved in zip(self._leaves, before, strict=True):
                        leaf.copy_(saved)
        self._require_gradients()
        self._bring_home()
        # A step that never asked for a gradient still uses the budget, or it would never end.
        return max(1, evaluations), None

    def _require_gradients(self) -> None:
        """Fail where no training loop could go on."""
        if not torch.is_grad_enabled():
            torch.set_grad_enabled(True)
            raise RuntimeError("its step leaves gradients disabled, for all that comes after it")

    def _bring_home(self) -> None:
        """Follow an optimizer that assigns ``p.data`` instead of writing into it.

        Its parameters would no longer be the lane's: it would go on alone, and the record
        would show a run that stands still.
        """
        for view, home in self._homes:
            if not view.requires_grad:
                raise RuntimeError("its step leaves a parameter with requires_grad=False")
            if view.data_ptr() != home.data_ptr() or view.shape != home.shape:
                if view.shape != home.shape:
                    raise RuntimeError(
                        f"the optimizer gave a parameter of shape {tuple(home.shape)} "
                        f"the shape {tuple(view.shape)}"
                    )
                if view.dtype != home.dtype:
                    raise RuntimeError(
                        f"the optimizer gave a parameter of {home.dtype} the type {view.dtype}"
                    )
                home.copy_(view.detach())
                view.data = home

    @contextlib.contextmanager
    def evaluating(self) -> Iterator[Mapping[str, Tensor]]:
        """Give the parameters [K, ...] as they are to be scored, and put all back afterwards."""
        if not self.has_modes:
            yield self.params
            return
        with contextlib.ExitStack() as modes:
            for each in self._steppers:
                modes.enter_context(each.evaluating())
            if self._homes:
                self._bring_home()
            yield self.params

    def project(self) -> None:
        """Apply the problem's projection to all lanes."""
        self.problem.project(self._detached)

    def freeze(self, lanes: np.ndarray) -> None:
        """Spare the work of lanes (a boolean mask) whose record is closed.

        What a stacked lane still computes cannot reach its neighbours and is not recorded.
        """
        new = {int(lane) for lane in np.flatnonzero(lanes)} - self._frozen
        if not new:
            return
        self._frozen |= new
        if self._per_lane:
            self._live = [o.step for k, o in enumerate(self._steppers) if k not in self._frozen]
        self._views = [v for v in self._views if not self._drop(v, new)]

    def _drop(self, view: _View, lanes: set[int]) -> bool:
        parameter, _, index = view
        if isinstance(index, int) and index in lanes:
            parameter.grad = None
            return True
        return False

    def state_bytes(self) -> int:
        """Bytes of all tensors in the state of the optimizers, and of those that they wrap."""
        tensors = {
            id(leaf): leaf
            for optimizer in self._optimizers
            for each in wrapped_in(optimizer)
            for _, leaf in leaves_of(dict(each.state))
            if isinstance(leaf, Tensor)
        }
        return sum(map(bytes_of, tensors.values()))


def _ranges(settings: Sequence[Mapping[str, Any]]) -> Iterator[slice]:
    """Return the ranges of lanes with equal settings."""
    first = 0
    for lane in range(1, len(settings) + 1):
        if lane == len(settings) or settings[lane] != settings[first]:
            yield slice(first, lane)
            first = lane


def _as_in_torch(name: str) -> str:
    """Return the name that a module's ``named_parameters()`` gives to a problem's parameter.

    >>> _as_in_torch("w0"), _as_in_torch("b1"), _as_in_torch("x")
    ('layers.0.weight', 'layers.1.bias', 'x')
    """
    found = re.fullmatch(r"([wb])(\d+)", name)
    kinds = {"w": "weight", "b": "bias"}
    return f"layers.{found[2]}.{kinds[found[1]]}" if found else name
