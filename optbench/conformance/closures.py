"""Is a closure called as torch documents?"""

from __future__ import annotations

from typing import Any

import torch

from optbench.scenarios.outcomes import CheckFailed, NotApplicable
from optbench.scenarios.session import Session
from optbench.scenarios.subject import Subject


def the_closure_runs_with_gradients_enabled(subject: Subject) -> str:
    """``step(closure)`` calls the closure at least once, with gradients enabled."""
    try:
        modes, _, _ = _call(subject)
    except _TakesNoClosure as error:
        # Its own entry: that the call raises is not the point.
        raise CheckFailed(str(error)) from None
    if not modes:
        raise CheckFailed("step(closure) never calls the closure")
    if not all(modes):
        raise CheckFailed(f"{modes.count(False)} of {len(modes)} calls ran with gradients disabled")
    return f"{len(modes)} calls in a step"


def the_closure_s_loss_is_returned(subject: Subject) -> str:
    """``step(closure)`` returns a loss that the closure gave."""
    try:
        modes, losses, returned = _call(subject)
    except _TakesNoClosure as error:
        raise NotApplicable(str(error)) from None
    if returned is None:
        raise CheckFailed("step(closure) returns None, not the closure's loss")
    value = float(returned)
    if not any(value == loss for loss in losses):
        raise CheckFailed(f"step(closure) returned {value:.17g}; the closure gave {losses[:3]}")
    return f"{value:.6g}, the loss of call {losses.index(value) + 1} of {len(modes)}"


def the_evaluation_limit_is_respected(subject: Subject) -> str:
    """A step calls the closure no more often than ``max_eval`` allows."""
    if not subject.takes("max_eval"):
        raise NotApplicable("it takes no max_eval")
    tried = []
    searches: list[dict[str, object]] = [{}]
    if subject.takes("line_search_fn"):
        searches = [{"line_search_fn": None}, {"line_search_fn": "strong_wolfe"}]
    for search in searches:
        for most in (1, 2, 5, 9):
            session = Session(subject, subject.sequence(), {**search, "max_eval": most})
            for step in range(1, 6):
                session.closure_calls = 0
                session.advance(1)
                if session.closure_calls > most:
                    raise CheckFailed(
                        f"step {step} called the closure {session.closure_calls} times with "
                        f"max_eval={most}" + (f", {search}" if search else ""),
                        session.closure_calls - most,
                    )
            tried.append(str(most))
    return f"max_eval of {', '.join(dict.fromkeys(tried))}, 5 steps each"


class _TakesNoClosure(Exception):
    """``step`` has no parameter for a closure; the text says what it raises."""


def _call(subject: Subject) -> tuple[list[bool], list[float], Any]:
    if subject.wants.sparse:
        raise NotApplicable("its gradients are sparse; the closure of the checks is dense")
    session = Session(subject, subject.sequence())
    modes: list[bool] = []
    losses: list[float] = []

    def closure() -> torch.Tensor:
        modes.append(torch.is_grad_enabled())
        with torch.enable_grad():
            loss = session.closure()
        losses.append(float(loss))
        return loss.detach()

    try:
        returned = session.optimizer.step(closure)  # type: ignore[arg-type]
    except TypeError as error:
        if "closure" in str(error) or "positional argument" in str(error):
            raise _TakesNoClosure(
                f"its step takes no closure, which torch.optim.Optimizer.step does: {error}"
            ) from None
        raise
    return modes, losses, returned
