"""How one step gets its gradients: handed over, sparse, through a closure or a GradScaler."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    from optbench.scenarios.session import Session

SCALE = 2.0**10
"""Factor of the loss scale; a power of two, so that scaling and its undoing round nothing."""

LARGEST_NORM = 2.0
"""Norm to which gradients are clipped, which the steady ones exceed."""

Feed = Callable[["Session"], Any]
"""Takes one step; returns what the optimizer's ``step`` returns."""


def on_gradients(session: Session) -> Any:
    """Step on the gradients of the sequence."""
    session.give_gradients()
    return session.step_once()


def on_closure(session: Session) -> Any:
    """Step on a closure that computes the loss and its gradients."""
    return session.step_once(session.closure)


def on_sparse(session: Session) -> Any:
    """Step on some rows of the gradients, each once and in order."""
    return _step_on(session, as_sparse)


def on_uncoalesced(session: Session) -> Any:
    """Step on the same rows, each given twice, as two summands in another order."""
    return _step_on(session, _uncoalesced)


def on_scaled(session: Session) -> Any:
    """Step through a GradScaler."""
    return _scaled(session, unscale=False)


def on_unscaled(session: Session) -> Any:
    """Step through a GradScaler whose ``unscale_`` was called before, as for clipping."""
    return _scaled(session, unscale=True)


def now_and_then_unscaled(session: Session) -> Any:
    """Step through a GradScaler, ``unscale_`` called before every third step."""
    return _scaled(session, unscale=session.step % 3 == 0)


def on_clipped(session: Session) -> Any:
    """Step on gradients that were clipped to a norm."""
    session.give_gradients()
    torch.nn.utils.clip_grad_norm_(session.params, LARGEST_NORM)
    return session.step_once()


def on_unscaled_and_clipped(session: Session) -> Any:
    """Step through a GradScaler, on gradients that were unscaled and clipped before."""
    return _scaled(session, unscale=True, clip=True)


def sometimes_infinite(session: Session) -> Any:
    """Step through a GradScaler, which leaves out the steps that have an infinite gradient."""
    return _scaled(session, unscale=False, infinite=_is_left_out(session))


def sometimes_left_out(session: Session) -> Any:
    """Step on the gradients, but for the steps that `sometimes_infinite` leaves out."""
    return None if _is_left_out(session) else on_gradients(session)


def _is_left_out(session: Session) -> bool:
    return session.step % 5 == 2


def on_empty_sparse(session: Session) -> Any:
    """Step on sparse gradients, every third of which holds nothing."""
    empty = session.step % 3 == 1
    return _step_on(session, lambda g: as_sparse(g * 0.0) if empty else as_sparse(g))


def _step_on(session: Session, how: Callable[[Tensor], Tensor]) -> Any:
    session.give_gradients(how)
    return session.step_once()


def as_sparse(gradient: Tensor) -> Tensor:
    """Return some rows of a dense gradient as a sparse one."""
    return some_rows(gradient).to_sparse(1)


def some_rows(gradient: Tensor) -> Tensor:
    """Return the gradient with about a third of its rows zero.

    Which ones is read off the gradient's digits: it depends neither on a row's place, which
    changes when a tensor is cut in two, nor on the sign or the scale.
    """
    digits = torch.frexp(gradient.reshape(len(gradient), -1)[:, 0].abs()).mantissa
    keep = (digits > 2 / 3).reshape(-1, *(1,) * (gradient.ndim - 1))
    return gradient * keep.to(gradient.dtype)


def _uncoalesced(gradient: Tensor) -> Tensor:
    plain = as_sparse(gradient).coalesce()
    rows, values = plain.indices(), plain.values()
    # Both parts are exact, and so is their sum. Neither is a multiple of it, as a fixed share would
    # be, on which the steps of many methods do not depend.
    whole = values.round()
    return torch.sparse_coo_tensor(
        torch.cat((rows, rows.flip(1)), 1),
        torch.cat((whole, (values - whole).flip(0))),
        gradient.shape,
        is_coalesced=False,
    )


def _scaled(session: Session, *, unscale: bool, clip: bool = False, infinite: bool = False) -> Any:
    scaler = session.scaler()
    session.give_gradients()
    for parameter in session.params:
        if parameter.grad is not None:
            # A power of two, also after the scaler has halved it: nothing is rounded.
            parameter.grad.mul_(scaler.get_scale())
    last = session.params[-1].grad
    if infinite and last is not None:
        last.view(-1)[0] = torch.inf
    if unscale:
        scaler.unscale_(session.optimizer)
    if clip:
        torch.nn.utils.clip_grad_norm_(session.params, LARGEST_NORM)
    returned = scaler.step(session.optimizer)
    scaler.update()
    return returned


FEEDS: Mapping[str, Feed] = {
    "gradients": on_gradients,
    "closure": on_closure,
    "sparse": on_sparse,
    "uncoalesced": on_uncoalesced,
    "sometimes empty": on_empty_sparse,
    "clipped": on_clipped,
    "GradScaler": on_scaled,
    "GradScaler, sometimes infinite": sometimes_infinite,
    "some steps left out": sometimes_left_out,
    "GradScaler, unscale_": on_unscaled,
    "GradScaler, unscale_ now and then": now_and_then_unscaled,
    "GradScaler, unscale_ and clipping": on_unscaled_and_clipped,
}
"""Feeds, by the name that a scenario has for them."""
