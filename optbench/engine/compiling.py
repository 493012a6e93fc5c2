"""torch.compile, left out where only the arithmetic of a step is asked for."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator
from typing import Any

import torch

_requests = 0


def note_requests() -> None:
    """From now on count what this process asks torch.compile for (`requests`)."""
    from torch._dynamo.eval_frame import TorchPatcher

    # At its first compilation torch wraps methods of its optimizers, which is no optimizer's doing.
    TorchPatcher.patch()
    compile_ = torch.compile

    @functools.wraps(compile_)
    def counted(*args: Any, **kwargs: Any) -> Any:
        global _requests
        _requests += 1
        return compile_(*args, **kwargs)

    torch.compile = counted


def requests() -> int:
    """How often torch.compile was called since `note_requests`."""
    return _requests


@contextlib.contextmanager
def uncompiled(*, unless: bool = False) -> Iterator[None]:
    """Run functions that were given to torch.compile as they are written, not compiled.

    The arithmetic of a rule is the same either way up to rounding, and a compiler takes from
    seconds to minutes for each of the many shapes and settings that are tried.
    """
    if unless:
        yield
        return
    with torch.compiler.set_stance("force_eager"):
        yield
