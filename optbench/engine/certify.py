"""Whether a route gives every lane its own run back, bit for bit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from optbench.engine.error_text import describe
from optbench.engine.lanes import advance
from optbench.optimizers import OPTIMIZERS, Optimizer, Route
from optbench.problems import PROBLEMS, Problem

PROBES = ("matrix-completion", "network-2-3-1", "noisy-quadratic", "sparse-logistic")
"""Matrices, tall and wide; a network of several tensors; noise; gradients with zeros."""

STEPS = 60


@dataclass(frozen=True)
class Certificate:
    """The answer for one optimizer and route.

    Attributes
    ----------
    certified : bool
        Every lane of every probe ended on the bits of its own run.
    reason : str
        Where it did not: the problem, the lane, the largest difference, or the exception.
    difference : float
        The largest difference there; infinity where it raised.
    """

    optimizer: str
    route: Route
    certified: bool
    reason: str = ""
    difference: float = 0.0


def certify(
    optimizer: Optimizer | str,
    route: Route | None = None,
    *,
    probes: Sequence[str] = PROBES,
    dtype: torch.dtype = torch.float64,
) -> Certificate:
    """Run lanes on a route and each of them alone, and compare the final parameters' bits.

    Four lanes: two learning rates (the default and half of it) by two seeds, so that both
    what a setting shares and what it does not are exercised. The runs that they are compared
    with are single lanes on the INSTANCE route, which is an optimizer's ordinary use.

    Parameters
    ----------
    optimizer : Optimizer or str
        A row, a registered name, or ``package.module:Class``.
    route : Route
        To certify; the row's own by default.
    probes : sequence of str
        Problems to try; those that the optimizer cannot run on are passed over.
    dtype : torch.dtype
        Of the runs.
    """
    row = OPTIMIZERS[optimizer] if isinstance(optimizer, str) else optimizer
    route = route or row.route
    lr = row.defaults_of("lr")
    half = {name: value / 2 for name, value in lr.items()}
    settings = [{**row.defaults, **rate} for rate in (lr, lr, half, half)]
    seeds = [0, 1, 0, 1]
    if row.closure:
        # Lanes of a closure never share a program, so they have nothing to certify.
        reason = "" if route is Route.INSTANCE else "the lanes of a closure run one at a time"
        return Certificate(row.name, route, not reason, reason)
    if not row.takes_groups and route is not Route.INSTANCE:
        return Certificate(row.name, route, False, "its builder makes its own parameter groups")
    fitting = [p for p in map(PROBLEMS.__getitem__, probes) if row.needs <= p.traits]
    if not fitting:
        return Certificate(row.name, route, False, "it can run on none of the probes")
    for problem in fitting:
        try:
            reason, difference = _first_difference(row, problem, settings, seeds, route, dtype)
        # An optimizer is anybody's code: raising on a route is an answer about that route.
        except Exception as error:  # noqa: BLE001
            reason, difference = f"{problem.name}: {describe(error)}", float("inf")
        if reason:
            return Certificate(row.name, route, False, reason, difference)
    return Certificate(row.name, route, True)


def _first_difference(
    row: Optimizer,
    problem: Problem,
    settings: Sequence[Mapping[str, Any]],
    seeds: Sequence[int],
    route: Route,
    dtype: torch.dtype,
) -> tuple[str, float]:
    together = advance(row, problem, settings, seeds, STEPS, dtype=dtype, route=route)
    for lane, (setting, seed) in enumerate(zip(settings, seeds, strict=True)):
        alone = advance(row, problem, [setting], [seed], STEPS, dtype=dtype, route=Route.INSTANCE)
        for name, value in alone.params.items():
            ours = together.params[name][lane]
            if not same_bits(ours, value[0]):
                worst = (ours - value[0]).abs().max().item()
                return (
                    f"{problem.name}, lane {lane}: {name} differs from the lane's own run by "
                    f"up to {worst:.3g} after {STEPS} steps"
                ), worst
    return "", 0.0


def same_bits(one: torch.Tensor, other: torch.Tensor) -> bool:
    """Whether two tensors are equal in every element, NaN being equal to NaN."""
    unknown = one.isnan()
    return torch.equal(unknown, other.isnan()) and torch.equal(
        one.masked_fill(unknown, 0), other.masked_fill(unknown, 0)
    )


def fastest_route(optimizer: Optimizer | str) -> Optimizer:
    """Return the row with the fastest route that is certified for it: STACK, GROUPS or INSTANCE.

    A row that asks for gradients itself, takes sparse ones, or is a builder keeps its own.

    >>> fastest_route("torch.optim:Adam").route
    <Route.STACK: 'stack'>
    """
    row = OPTIMIZERS[optimizer] if isinstance(optimizer, str) else optimizer
    if row.closure or row.sparse_gradients or not row.takes_groups:
        return row
    for route in (Route.STACK, Route.GROUPS):
        if certify(row, route).certified:
            return replace(row, route=route)
    return replace(row, route=Route.INSTANCE)
