"""A subject at work: parameters, the optimizer over them, and the one loop that leads it on.

This is not the training loop (`optbench.engine.lanes`): here is no problem, no budget and no
record. A check gives gradients, looks, interferes, and goes on.
"""

from __future__ import annotations

import contextlib
import copy
import functools
import io
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from optbench.engine.certify import same_bits
from optbench.engine.stepping import Stepper
from optbench.optimizers.builders import BeforeStep
from optbench.process import pulse
from optbench.scenarios.feeds import FEEDS, SCALE, as_sparse, on_gradients
from optbench.scenarios.gradients import GradientSequence
from optbench.scenarios.layouts import LAYOUTS
from optbench.scenarios.requirements import Requirements


class Steppable(Protocol):
    """An optimizer that a session can step: how it is made, and what it requires."""

    @property
    def wants(self) -> Requirements:
        """Requirements: a closure, gradients first, ..."""

    @property
    def before_step(self) -> BeforeStep | None:
        """Hook that is called before each step."""

    @property
    def device(self) -> str:
        """Device of the parameters."""

    def make(self, params: Any, **settings: Any) -> torch.optim.Optimizer:
        """Construct an instance over parameters or groups of them."""


Grouping = Callable[[list[Tensor]], Sequence[Any]]
"""Makes parameter groups of the parameters."""

SEED = 20260101


class Session:
    """A subject over the parameters of a sequence.

    Parameters
    ----------
    subject : Steppable
        What is led.
    sequence : GradientSequence
        Where along.
    settings : mapping
        Hyperparameters on top of the subject's own.
    dtype : torch.dtype or a sequence of them
        Of all parameters, or of each; a gradient has its parameter's.
    groups : callable
        Makes parameter groups of the parameters; one group of all by default.
    leaves : bool
        Whether the parameters are leaves, as they are but for differentiable optimizers.
    feed, layout : str
        Keys of `FEEDS` and `LAYOUTS`; by default as the subject requires, and contiguous.

    Attributes
    ----------
    step : int
        Steps that were taken.
    closure_calls, calls_without_gradients : int
        Calls of `closure`, and those of them that ran with gradients disabled.
    returned : object
        What ``step`` of the optimizer returned last.
    """

    def __init__(
        self,
        subject: Steppable,
        sequence: GradientSequence,
        settings: Mapping[str, Any] | None = None,
        *,
        dtype: torch.dtype | Sequence[torch.dtype] = torch.float64,
        groups: Grouping | None = None,
        leaves: bool = True,
        feed: str = "",
        layout: str = "",
    ) -> None:
        self.subject, self.sequence = subject, sequence
        self.settings = dict(settings or {})
        self.groups = groups
        self.feed = FEEDS[feed or ("closure" if subject.wants.closure else "gradients")]
        self.layout = LAYOUTS[layout]
        self.device = torch.device(subject.device)
        count = len(sequence.starts)
        dtypes = [dtype] * count if isinstance(dtype, torch.dtype) else list(dtype)
        self.params: list[Tensor] = [
            torch.nn.Parameter(
                self.layout.parameter(torch.from_numpy(start).to(self.device, each, copy=True))
            )
            for start, each in zip(sequence.starts, dtypes, strict=True)
        ]
        if not leaves:
            # torch moves parameters in place, which a graph allows to all but its leaves.
            self.params = [parameter.clone() for parameter in self.params]
        self.step = 0
        self.closure_calls = 0
        self.calls_without_gradients = 0
        self.returned: Any = None
        self._scaler: Any = None
        self._random = _seeded()
        self._has_generators = False
        with _random_state(self):
            self.take_on(self._make())
        # Curvature for those who ask for the loss; between 0.5 and 2, whatever the shape.
        self._curvature = [_curvature(parameter.detach()) for parameter in self.params]
        self.meet(sequence)

    def _make(self) -> torch.optim.Optimizer:
        params = self.groups(self.params) if self.groups else list(self.params)
        return self.subject.make(params, **self.settings)

    def take_on(self, optimizer: torch.optim.Optimizer) -> None:
        """Go on with this optimizer, put into train mode where it has modes."""
        self.optimizer = optimizer
        self._stepper = Stepper(
            optimizer,
            self.subject.before_step,
            steps=self.step,
            gradients_first=self.subject.wants.gradients_first,
        )

    def evaluating(self) -> contextlib.AbstractContextManager[None]:
        """Show the weights of ``eval()``, where the optimizer has modes, and put all back."""
        return self._stepper.evaluating()

    @property
    def has_modes(self) -> bool:
        """Whether the optimizer has both ``train()`` and ``eval()``."""
        return self._stepper.has_modes

    # ------------------------------------------------------------------ going on

    def meet(self, sequence: GradientSequence) -> Session:
        """Go on along the gradients of this sequence, whose shapes are those of the first one."""
        self.sequence = sequence
        self._gradients = [
            sequence.tensors(index, parameter.dtype, self.device)
            for index, parameter in enumerate(self.params)
        ]
        self._sparse: dict[int, list[Tensor | None]] = {}
        return self

    @contextlib.contextmanager
    def at_the_generators(self) -> Iterator[None]:
        """Has the global generators to itself until the end, for who looks every few steps.

        To lend them costs as much as five steps. No other session may go on in between.
        """
        with _random_state(self):
            self._has_generators = True
            try:
                yield
            finally:
                self._has_generators = False

    def advance(self, steps: int) -> Session:
        """Go ``steps`` further; gives itself."""
        with _random_state(self):
            for _ in range(steps):
                self._advance_once()
        return self

    def spend(self, evaluations: int) -> Session:
        """Go on for so many gradient evaluations: steps, but for who takes several a step."""
        if not self.subject.wants.closure:
            return self.advance(evaluations)
        until = self.closure_calls + evaluations
        with _random_state(self):
            for _ in range(evaluations):
                if self.closure_calls >= until:
                    break
                self._advance_once()
        return self

    def drawn(self, steps: int) -> str:
        """Go ``steps`` further and say whose random numbers were drawn on the way, if any."""
        before = self._random
        after = self.advance(steps)._random
        names = ("torch's", "NumPy's", "Python's")
        same = (torch.equal(before[0], after[0]), repr(before[1]) == repr(after[1]),
                before[2] == after[2])  # fmt: skip
        whose = [name for name, equal in zip(names, same, strict=True) if not equal]
        return f"{' and '.join(whose)} global generator" if whose else ""

    def trace(self, steps: int) -> Tensor:
        """Go ``steps`` further and give the parameters after each: [steps, all elements]."""
        positions = []
        with _random_state(self):
            for _ in range(steps):
                self._advance_once()
                positions.append(self.position())
        return torch.stack(positions)

    def loss(self) -> Tensor:
        """Return the loss of the next step; its gradient is the given one plus that of a curvature.

        In a graph, for those who differentiate the gradient again.
        """
        total = torch.zeros((), dtype=self.params[0].real.dtype, device=self.device)
        turn = self.step % self.sequence.length
        for parameter, gradients, curvature in zip(
            self.params, self._gradients, self._curvature, strict=True
        ):
            gradient = gradients[turn]
            if gradient is not None:
                # Real for complex parameters, too, with what torch calls a gradient of it.
                total = total + (gradient.conj() * parameter).real.sum()
                total = total + 0.5 * (curvature * (parameter.conj() * parameter).real).sum()
                # So that the Hessian is no diagonal, which one probe of it would tell exactly.
                whole = parameter.sum()
                total = total + 0.05 * (whole.conj() * whole).real
        return total

    def closure(self) -> Tensor:
        """Clear the gradients, compute the loss, backpropagate, return the loss."""
        self.closure_calls += 1
        self.calls_without_gradients += not torch.is_grad_enabled()
        if self.subject.wants.graph:
            self.optimizer.zero_grad()
            loss = self.loss()
            loss.backward(create_graph=True)
            return loss
        # By hand and without a graph, three times as fast: a line search asks thousands of times.
        with torch.no_grad():
            total = torch.zeros((), dtype=self.params[0].real.dtype, device=self.device)
            turn = self.step % self.sequence.length
            for parameter, gradients, curvature in zip(
                self.params, self._gradients, self._curvature, strict=True
            ):
                gradient = gradients[turn]
                parameter.grad = None
                if gradient is not None:
                    pull = curvature * parameter
                    total += ((gradient + 0.5 * pull).conj() * parameter).real.sum()
                    parameter.grad = pull.add_(gradient)
        return total

    def gradients_after(self) -> str:
        """Say what the last step left of dense gradients: "as given", "changed" or "replaced"."""
        wants = self.subject.wants
        if self.feed is not on_gradients or wants.sparse or wants.graph or wants.closure:
            return ""
        turn = (self.step - 1) % self.sequence.length
        for parameter, gradients, given in zip(
            self.params, self._gradients, self._given, strict=True
        ):
            pristine = gradients[turn]
            if parameter.grad is not given:
                return "replaced"
            if given is not None and pristine is not None and not _same(given, pristine):
                return "changed"
        return "as given"

    def give_gradients(self, how: Callable[[Tensor], Tensor] | None = None) -> None:
        """Put the gradients of the step to come where the optimizer will look for them.

        ``how`` makes them of dense ones; by default they are what the subject requires.
        """
        wants = self.subject.wants
        if wants.graph:
            self.closure()
            return
        turn = self.step % self.sequence.length
        given = [gradients[turn] for gradients in self._gradients]
        if how is None and wants.sparse:
            # To make sparse ones takes longer than many a step on them.
            if turn not in self._sparse:
                self._sparse[turn] = [g if g is None else as_sparse(g) for g in given]
            given = self._sparse[turn]
        for parameter, gradient in zip(self.params, given, strict=True):
            # A copy: what an optimizer does to it must not reach the next session.
            make = how or (lambda g: self.layout.gradient(g.clone()))
            parameter.grad = None if gradient is None else make(gradient)
        self._given = [parameter.grad for parameter in self.params]

    def step_once(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step on the gradients that are there, or on the closure; gives what it returns."""
        if closure is None and self.subject.wants.closure:
            closure = self.closure
        return self._stepper.step(closure)

    def scaler(self) -> torch.amp.GradScaler:
        """Return the session's GradScaler, made when it is first asked for."""
        if self._scaler is None:
            self._scaler = torch.amp.GradScaler(
                self.device.type, init_scale=SCALE, growth_interval=10**6
            )
            # It makes its tensors when it first sees a loss.
            self._scaler.scale(torch.zeros((), device=self.device))
        scaler: torch.amp.GradScaler = self._scaler
        return scaler

    def _advance_once(self) -> None:
        self.returned = self.feed(self)
        self.step += 1
        pulse.beats += 1

    # ------------------------------------------------------------------ looking

    def position(self) -> Tensor:
        """All parameters, flat, in float64 (complex ones as their real view)."""
        return torch.cat([_flat(p.detach()) for p in self.params]).double().cpu()

    def positions(self) -> list[Tensor]:
        """Return a copy of each parameter."""
        return [p.detach().clone() for p in self.params]

    def state_of(self, index: int) -> Mapping[str, Any]:
        """Return the optimizer's state for one parameter."""
        state: Mapping[str, Any] = self.optimizer.state.get(self.params[index], {})
        return state

    # ------------------------------------------------------------------ interfering

    def resumed(
        self, *, through_a_file: bool = True, edit: Callable[[Any], None] = lambda _: None
    ) -> Session:
        """Return a fresh instance, on copies of the parameters, that has loaded this one's state.

        The state goes through ``torch.save`` and ``torch.load(weights_only=True)``, as a
        checkpoint does, or is loaded as it is; ``edit`` may change it before it is loaded.
        """
        state = self.optimizer.state_dict()
        if through_a_file:
            buffer = io.BytesIO()
            torch.save(state, buffer)
            buffer.seek(0)
            state = torch.load(buffer, weights_only=True)
        edit(state)
        fresh = self._at_this_point()
        with _random_state(fresh):
            fresh.take_on(fresh._make())
            fresh.optimizer.load_state_dict(state)
        fresh._random = self._random
        return fresh

    def copied(self, how: Callable[[Any], Any] = copy.deepcopy) -> Session:
        """Return a session of parameters and optimizer copied together by ``how``."""
        fresh = self._at_this_point()
        fresh.params, optimizer = how((self.params, self.optimizer))
        fresh.take_on(optimizer)
        return fresh

    def _at_this_point(self) -> Session:
        fresh = Session.__new__(Session)
        fresh.__dict__.update(self.__dict__, _has_generators=False)
        # A copy lies in memory as the parameter does.
        fresh.params = [torch.nn.Parameter(p.detach().clone()) for p in self.params]
        return fresh


def _curvature(parameter: Tensor) -> Tensor:
    """Return numbers from 0.5 to 2 that lie in memory as the parameter does.

    So do gradients that are computed with it, as torch's backward has it.
    """
    count = parameter.numel()
    values = torch.linspace(0.5, 2.0, max(1, count), dtype=parameter.real.dtype)[:count]
    return torch.empty_like(parameter.real).copy_(values.reshape(parameter.shape))


def _same(one: Tensor, other: Tensor) -> bool:
    # Most gradients hold no NaN, and torch.equal is six times as fast.
    return torch.equal(one, other) or same_bits(one, other)


def _flat(value: Tensor) -> Tensor:
    real = torch.view_as_real(value.resolve_conj()) if value.is_complex() else value
    return real.reshape(-1)


RandomState = tuple[Tensor, Any, Any]
"""State of torch's, NumPy's and Python's global generators."""


@functools.cache
def _seeded() -> RandomState:
    return (
        torch.Generator().manual_seed(SEED).get_state(),
        np.random.RandomState(SEED).get_state(),
        random.Random(SEED).getstate(),
    )


def _take(state: RandomState | None = None) -> RandomState:
    """Return the state of the global generators, and replace it if another is given."""
    before = (torch.get_rng_state(), np.random.get_state(), random.getstate())  # noqa: NPY002
    if state is not None:
        torch.set_rng_state(state[0])
        np.random.set_state(state[1])  # noqa: NPY002
        random.setstate(state[2])
    return before


class _random_state:
    """Lends the global generators to a session, so that two of them do not disturb each other.

    What an optimizer draws is then the same in every session, however they take turns.
    """

    def __init__(self, session: Session) -> None:
        self.session = session
        self.before: RandomState | None = None

    def __enter__(self) -> None:
        if not self.session._has_generators:
            self.before = _take(self.session._random)

    def __exit__(self, *_: object) -> None:
        if self.before is not None:
            self.session._random = _take(self.before)
