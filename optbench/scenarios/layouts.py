"""How parameters and gradients lie in memory: other strides, the same numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor


def _as_it_is(tensor: Tensor) -> Tensor:
    return tensor


@dataclass(frozen=True)
class Layout:
    """Copies of a parameter's start and of its gradients that lie otherwise in memory."""

    parameter: Callable[[Tensor], Tensor] = _as_it_is
    gradient: Callable[[Tensor], Tensor] = _as_it_is


def _transposed(tensor: Tensor) -> Tensor:
    """Column-major matrices; vectors that are every second number of a longer one."""
    if tensor.ndim < 2:
        return torch.stack((tensor, tensor), -1)[..., 0] if tensor.ndim else tensor
    return tensor.transpose(0, -1).contiguous().transpose(0, -1)


def _expanded(tensor: Tensor) -> Tensor:
    """Expand the first row without a copy, as the gradient of a sum is."""
    return tensor[:1].expand_as(tensor) if tensor.ndim else tensor


def _channels_last(tensor: Tensor) -> Tensor:
    return tensor.contiguous(memory_format=torch.channels_last) if tensor.ndim == 4 else tensor


LAYOUTS: Mapping[str, Layout] = {
    "": Layout(),
    "gradients of other strides": Layout(gradient=_transposed),
    "expanded gradients": Layout(gradient=_expanded),
    "transposed parameters": Layout(parameter=_transposed, gradient=_transposed),
    "channels_last": Layout(parameter=_channels_last, gradient=_channels_last),
    "channels_last parameters": Layout(parameter=_channels_last),
}
"""Layouts, by the name that a scenario has for them."""
