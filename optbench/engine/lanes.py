"""The training loop. There is one in the whole project, and this is it."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from optbench.engine.ranks import agreed
from optbench.engine.routes import Driver
from optbench.engine.runs import DIVERGENCE
from optbench.engine.schedule import log_schedule
from optbench.engine.stepping import moved
from optbench.optimizers import Optimizer, Route
from optbench.optimizers.of_the_run import DDP
from optbench.problems import Problem
from optbench.problems.problem import as_tensor
from optbench.process import pulse

CHECK_EVERY = 128
"""Steps between two looks whether any lane is still alive. Late is harmless: a lane's record
ends where it diverged, however much later that is noticed."""

SCORED_IN = {torch.bfloat16: torch.float32}
"""By dtype of a run: the one that its objective and metrics are evaluated in, if that is another.
In bfloat16 a loss has three digits, and says more about its own rounding than about the weights."""


@dataclass(frozen=True)
class Trajectory:
    """What K lanes left behind, uncut.

    Attributes
    ----------
    steps : ndarray [n]
        Gradient evaluations spent at each observation.
    gaps : ndarray [n, K]
        Objective minus minimum there, float64.
    logged : ndarray [m]
        The steps at which metrics were evaluated.
    metrics : mapping
        Name to [m, K].
    params : mapping
        Final parameters, [K, ...]: those of ``eval()``, where the optimizer has it.
    unmoved : ndarray [K] of bool
        Lanes whose parameters never changed, although their first gradient was not zero.
    """

    steps: np.ndarray
    gaps: np.ndarray
    logged: np.ndarray
    metrics: Mapping[str, np.ndarray]
    params: Mapping[str, Tensor]
    unmoved: np.ndarray


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """One torch thread: lanes fill it, bits do not depend on the machine, workers do not fight."""
    before = torch.get_num_threads()
    if before == 1:
        yield  # to set it, even to what it is, hangs now and then in a process that was forked
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def start(
    problem: Problem, seeds: Sequence[int], dtype: torch.dtype, device: torch.device
) -> dict[str, Tensor]:
    """Return the initial parameters of the lanes: name to [K, ...]."""
    lanes = [problem.start(problem.generators(seed)[0]) for seed in seeds]
    return {
        name: as_tensor(np.stack([lane[name] for lane in lanes]), dtype, device)
        for name in problem.shapes
    }


def feed(
    problem: Problem, seeds: Sequence[int], dtype: torch.dtype, device: torch.device
) -> Iterator[Tensor | None]:
    """Yield the batches of the lanes, [K, ...], or None for a deterministic problem.

    Lanes of one seed see the same batches; those are drawn once.
    """
    if problem.deterministic:
        yield from itertools.repeat(None)
    distinct = sorted(set(seeds))
    column = [distinct.index(seed) for seed in seeds]
    streams = [problem.batches(problem.generators(seed)[1]) for seed in distinct]
    while True:
        block = np.stack([next(stream) for stream in streams if stream is not None], axis=1)
        yield from as_tensor(block[:, column], dtype, device).unbind(0)


@one_thread()
def advance(
    optimizer: Optimizer,
    problem: Problem,
    settings: Sequence[Mapping[str, Any]],
    seeds: Sequence[int],
    budget: int,
    *,
    dtype: torch.dtype = torch.float32,
    device: torch.device | None = None,
    route: Route | None = None,
) -> Trajectory:
    """Run lanes to the end of their budget, or until every one of them has diverged.

    Parameters
    ----------
    optimizer : Optimizer
        The row.
    problem : Problem
        As registered; it is bound here.
    settings, seeds : sequences of K
        Hyperparameters and seed of each lane; lanes of equal settings stand together. A
        ``lr_schedule`` among them spreads over the budget. With ``ddp``, which all share, this is
        called in every process of a group, and each gives the same.
    budget : int
        The most gradient evaluations of a lane.
    dtype, device, route :
        Of the run; the route defaults to the optimizer's own.
    """
    device = device or torch.device("cpu")
    bound = problem.bind(dtype, device)
    begin = start(problem, seeds, dtype, device)
    before = {name: leaf.detach().clone() for name, leaf in begin.items()}
    driver = Driver(optimizer, bound, settings, begin, budget, route)
    batches = feed(problem, seeds, dtype, device)
    scored_in, together = SCORED_IN.get(dtype, dtype), DDP in settings[0]
    record = Record(
        bound if scored_in is dtype else bound.rescored(scored_in, device),
        budget,
        # Otherwise the loss that a step computes is another's, a part, or in too few digits.
        sees_loss=problem.deterministic
        and not optimizer.closure
        and not driver.has_modes
        and not together
        and scored_in is dtype,
        dtype=scored_in,
        waits=device.type != "cpu",
    )
    projects = problem.projects
    step = driver.step
    spent = 0
    for batch in batches:
        if spent >= record.next_look:
            with driver.evaluating() as params:
                record.look(spent, params)
        if spent >= record.next_check:
            lost = record.diverged_lanes(spent)
            if together:
                lost = agreed(lost, device)
            driver.freeze(lost)
            if lost.all():
                break
        if spent >= budget:
            break
        pulse.beats += 1
        evaluations, loss = step(batch, budget - spent)
        if record.sees_loss:
            assert loss is not None
            record.append(spent, loss.detach())
        if projects:
            driver.project()
        spent += evaluations
    with driver.evaluating() as params:
        trajectory = record.close(spent, params)
        unmoved = ~moved(before, {name: leaf.detach() for name, leaf in params.items()}).cpu()
    if driver.cut_short:  # the budget undid its one step
        unmoved = torch.zeros_like(unmoved)
    if unmoved.any():
        batch = next(feed(problem, seeds, dtype, device))
        unmoved &= _has_gradient(bound, before, batch)
    return replace(trajectory, unmoved=unmoved.numpy())


def _has_gradient(problem: Problem, params: Mapping[str, Tensor], batch: Tensor | None) -> Tensor:
    """Which lanes [K] have a gradient that is not zero, at these parameters."""
    leaves = {name: leaf.clone().requires_grad_() for name, leaf in params.items()}
    problem.loss(leaves, batch).sum().backward()
    zeros = {name: torch.zeros_like(leaf) for name, leaf in params.items()}
    found = {name: zeros[name] if leaf.grad is None else leaf.grad for name, leaf in leaves.items()}
    return moved(zeros, found).cpu()


class Record:
    """Keeps what is observed on the way, and decides when to look.

    Where the loss is the objective, every step is observed for free; elsewhere the objective is
    evaluated every ``observe_every`` steps.

    Parameters
    ----------
    problem : Problem
        Bound to ``dtype``.
    budget : int
        Of the run.
    sees_loss : bool
        Whether it is given the objective of every step by `append`.
    dtype : torch.dtype
        What the parameters are scored in.
    waits : bool
        Whether to read a value is to wait for the device: then it is done at logged steps alone.
    """

    def __init__(
        self, problem: Problem, budget: int, *, sees_loss: bool, dtype: torch.dtype, waits: bool
    ) -> None:
        self.problem = problem
        self.budget = budget
        self.sees_loss = sees_loss
        self._dtype = dtype
        self._waits = waits
        self._every = problem.observe_every
        self._schedule = log_schedule(budget, self._every)
        self._cursor = 0
        self._steps: list[int] = []
        self._pending: list[Tensor] = []
        self._gaps: list[np.ndarray] = []
        self._lost: np.ndarray | None = None
        self._logged: list[int] = []
        self._metrics: list[dict[str, Tensor]] = []
        self.next_look: float = 0
        self.next_check = self._next_check(0)

    def append(self, step: int, objective: Tensor) -> None:
        """Keep the objective [K] seen at a step, on its device: nothing waits for it here."""
        self._steps.append(step)
        self._pending.append(objective)

    @torch.no_grad()
    def look(self, step: int, params: Mapping[str, Tensor]) -> None:
        """Evaluate what is due at this step: the objective, and the metrics if it is logged."""
        due = bool(step >= self._schedule[self._cursor])
        params = {name: leaf.to(self._dtype) for name, leaf in params.items()}
        metrics: dict[str, Tensor] = {}
        if self.sees_loss:
            metrics = self.problem.metrics(params) if due else {}
        else:
            objective, metrics = (
                self.problem.observe(params) if due else (self.problem.objective(params), {})
            )
            self.append(step, objective)
        if metrics:
            self._logged.append(step)
            self._metrics.append({k: v.detach().clone() for k, v in metrics.items()})
        if due:
            self._cursor = int(np.searchsorted(self._schedule, step, side="right"))
        self.next_look = self._next(step, has_metrics=bool(self._metrics))

    def _next(self, step: int, *, has_metrics: bool) -> float:
        if not self.sees_loss:
            # The last step is always looked at, also where it is no multiple.
            return min((step // self._every + 1) * self._every, self.budget)
        if has_metrics and self._cursor < len(self._schedule):
            return float(self._schedule[self._cursor])
        return self.budget

    def _next_check(self, step: int) -> float:
        if not self._waits:
            return step + CHECK_EVERY
        later = self._schedule[self._schedule >= step + CHECK_EVERY]
        return float(later[0]) if len(later) else np.inf

    def diverged_lanes(self, step: int) -> np.ndarray:
        """Which lanes have diverged so far: a mask [K]."""
        self.next_check = self._next_check(step)
        self._flush()
        assert self._lost is not None
        return self._lost

    def _flush(self) -> None:
        if not self._pending:
            return
        values = torch.stack(self._pending).double().cpu().numpy() - self.problem.minimum
        self._pending.clear()
        self._gaps.append(values)
        lost = np.logical_or.reduce(has_diverged(values, self._gaps[0][0]), axis=0)
        self._lost = lost if self._lost is None else np.logical_or(self._lost, lost)

    @torch.no_grad()
    def close(self, step: int, params: Mapping[str, Tensor]) -> Trajectory:
        """Return the trajectory, with the final step observed."""
        if not self._steps or self._steps[-1] < step:
            if self.sees_loss:
                self.append(step, self.problem.objective(params))
            else:
                self.look(step, params)
        self._flush()
        names = self._metrics[0] if self._metrics else {}
        return Trajectory(
            steps=np.array(self._steps),
            gaps=np.concatenate(self._gaps),
            logged=np.array(self._logged, dtype=np.int64),
            metrics={
                name: torch.stack([m[name] for m in self._metrics]).double().cpu().numpy()
                for name in names
            },
            # Copies: what is shown now may be put back to the weights that training goes on from.
            params={name: leaf.detach().clone() for name, leaf in params.items()},
            unmoved=np.zeros(self._gaps[0].shape[1], dtype=bool),
        )


def has_diverged(gaps: np.ndarray, initial: np.ndarray) -> np.ndarray:
    """Where a gap is not finite or `DIVERGENCE` times the initial one; same shape as ``gaps``."""
    with np.errstate(invalid="ignore"):
        # A start at the minimum, or below what was taken for it, has no gap to be a multiple of.
        limit = np.where(initial > 0, DIVERGENCE * initial, np.inf)
        mask: np.ndarray = ~np.isfinite(gaps) | (gaps > limit)
    return mask
