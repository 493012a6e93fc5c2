"""The two sides of a comparison, as the coordinator sees them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from optbench.comparison.requests import Failure, Meet, Request
from optbench.conformance.result import NOT_STARTED
from optbench.process.channel import Channel, Gone
from optbench.process.worker import WorkerProcess
from optbench.sources import Tree
from optbench.sources.overlays import variables

SERVE = "optbench.comparison.side:serve"
"""Path of the function that a side's process runs; the coordinator imports no torch."""

START_S = 120.0
"""Seconds to begin: to import torch, on a machine that does other things."""

LIMIT_S = 60.0
"""Seconds that a request may take, but for those that import and those that train."""

PINNED = {
    # Two mallocs: with temporaries of some 2 MB, a step takes one time or five, by whether they
    # cross a threshold that moves. Pinned it is the same on both sides.
    "GLIBC_TUNABLES": "glibc.malloc.mmap_threshold=8589934592:"
    "glibc.malloc.trim_threshold=17179869184:glibc.malloc.top_pad=268435456",
    "PYTHONHASHSEED": "0",
    # Nothing is written into a tree, which may be the user's checkout.
    "PYTHONDONTWRITEBYTECODE": "1",
}


class SideProcess:
    """A side's process, begun when it is first asked, and again after it hung or crashed.

    Parameters
    ----------
    tree : Tree
        What goes first on its path.
    folder : Path
        For its last words.
    limit_s : float
        Seconds that a request may take where it does not say.
    compiled : bool
        Whether torch.compile is on where the maths is asked for.
    """

    def __init__(
        self, tree: Tree, folder: Path, limit_s: float = LIMIT_S, compiled: bool = False
    ) -> None:
        self.tree, self.folder, self.limit_s, self.compiled = tree, folder, limit_s, compiled
        self._channel: Channel | None = None
        self._begun = 0
        self._met: dict[str, Meet] = {}
        self._tainted = False
        self._meets = False

    def send(self, request: Request, limit_s: float | None = None) -> None:
        """Ask; the answer is `receive`d."""
        limit_s = self.limit_s if limit_s is None else limit_s
        if isinstance(request, Meet):
            self._met[request.target] = request
        if self._channel is None:
            self._begin()
            target = getattr(request, "target", "")
            if target in self._met and not isinstance(request, Meet):
                # A fresh process has met nobody.
                self._put(self._met[target], START_S)
                self.receive()
            else:
                limit_s += START_S  # it imports torch first
        self._put(request, limit_s)

    def _put(self, request: Request, limit_s: float) -> None:
        assert self._channel is not None
        self._meets = isinstance(request, Meet)
        self._channel.ask(request, limit_s)

    def receive(self) -> Any:
        """Return the answer, or a `Failure`."""
        channel = self._channel
        assert channel is not None
        try:
            said = channel.answer()
        except Gone:
            self._channel = None
            return Failure("crashed", channel.process.how_it_ended())
        if said is None:
            channel.process.end()
            self._channel = None
            what = NOT_STARTED if self._meets else "no end within {:g} s"
            return Failure("timeout", what.format(channel.limit_s), channel.process.last_words())
        self._tainted |= said.tainted
        return said.content

    def ask(self, request: Request, limit_s: float | None = None) -> Any:
        """`send` and `receive`."""
        self.send(request, limit_s)
        return self.receive()

    def _begin(self) -> None:
        self._begun += 1
        trail = self.folder / f"{os.getpid()}-{id(self)}-{self._begun}"
        worker = WorkerProcess.begin(
            SERVE, trail, self.tree, self.compiled,
            environment={**PINNED, **variables(self.tree)}, python=self.tree.python,
        )  # fmt: skip
        self._channel = Channel(worker)

    def refresh(self) -> None:
        """Before another optimizer is met: end a process that one of them changed for all."""
        if self._tainted:
            self.end()

    def end(self) -> None:
        """End the process; the next request begins another."""
        self._tainted = False
        if self._channel is not None:
            self._channel.process.end()
            self._channel = None


@dataclass
class Sides:
    """Both sides, running."""

    base: SideProcess
    head: SideProcess

    def __iter__(self) -> Iterator[SideProcess]:
        return iter((self.base, self.head))


def both(
    base: SideProcess, head: SideProcess, request: Request, limit_s: float | None = None
) -> tuple[Any, Any]:
    """Ask both sides the same, at the same time."""
    base.send(request, limit_s)
    head.send(request, limit_s)
    return base.receive(), head.receive()
