"""A step under torch.compile: the same numbers, in how many graphs, compiled how often."""

from __future__ import annotations

import contextlib
import inspect
import itertools
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from optbench.engine.compiling import uncompiled
from optbench.plain_text import printable
from optbench.scenarios.outcomes import NotApplicable
from optbench.scenarios.session import Session
from optbench.scenarios.subject import Subject

STEPS = 10
"""Steps of the compiled optimizer."""

WARM = 3
"""Steps after which everything has been seen once: the first makes the state."""

RATE_CHANGES_AT = 6
"""Step before which the learning rate is halved, where it is a tensor."""


@dataclass(frozen=True)
class CompiledSteps:
    """What came of `STEPS` steps under torch.compile, beside the same steps without.

    Attributes
    ----------
    start, path, eager : Tensor
        The parameters at the start [elements], and after each step [steps, elements].
    graphs : tuple of int
        Graphs that ran in each step; none where the step ran as it is written.
    compiled : tuple of int
        Graphs that had been compiled after each step.
    tensor_rate : bool
        Whether the learning rate is a tensor, which was changed in place.
    breaks : tuple of str
        What torch.compile could not put into a graph, one line each.
    """

    start: Tensor
    path: Tensor
    eager: Tensor
    graphs: tuple[int, ...]
    compiled: tuple[int, ...]
    tensor_rate: bool
    breaks: tuple[str, ...]

    @property
    def graphs_per_step(self) -> int:
        """Graphs of a step after all has been compiled."""
        return self.graphs[-1]

    @property
    def compiled_again(self) -> tuple[int, ...]:
        """Steps after `WARM` in which a graph was compiled; the first step is 1."""
        pairs = enumerate(itertools.pairwise(self.compiled), 2)
        return tuple(step for step, (before, after) in pairs if after > before and step > WARM)


def compiled_steps(subject: Subject) -> CompiledSteps:
    """Take steps under torch.compile and without; graphs are run by Python, not by a compiler.

    Raises
    ------
    NotApplicable
        For an optimizer of which no step is to be compiled.
    Exception
        Whatever the optimizer raises under torch.compile.
    """
    if subject.wants.closure or subject.wants.graph:
        raise NotApplicable("its step calls a closure, or differentiates a graph")
    if subject.wants.sparse:
        raise NotApplicable("torch.compile takes no sparse gradients")
    rate = None if subject.lr is None else torch.tensor(subject.lr, dtype=torch.float64)
    tensor_rate = rate is not None and subject.accepts({"lr": rate.clone()})

    def session() -> Session:
        given = {"lr": rate.clone()} if tensor_rate and rate is not None else {}
        return Session(subject, subject.sequence(STEPS), given)

    with uncompiled():
        eager = torch.stack([*_positions(session())])
    runs = compilations = 0

    def backend(module: Any, inputs: Any) -> Callable[..., Any]:
        nonlocal compilations
        compilations += 1

        def run(*args: Any) -> Any:
            nonlocal runs
            runs += 1
            return module.forward(*args)

        return run

    compiled = session()
    start = compiled.position()
    path: list[Tensor] = []
    ran, made = [0], []
    with _compiling():
        from torch._dynamo.utils import counters

        # What others compile is counted by what this process asks torch.compile for.
        step = inspect.unwrap(torch.compile)(compiled.optimizer.step, backend=backend)
        compiled.optimizer.step = step  # type: ignore[method-assign]
        for position in _positions(compiled):
            path.append(position)
            ran.append(runs)
            made.append(compilations)
        reasons = [printable(str(reason).partition("\n")[0]) for reason in counters["graph_break"]]
    return CompiledSteps(
        start,
        torch.stack(path),
        eager,
        tuple(after - before for before, after in itertools.pairwise(ran)),
        tuple(made),
        tensor_rate,
        # Torch breaks the graph itself around every step, beyond which nothing is computed.
        tuple(reason for reason in reasons if "torch._dynamo.graph_break()" not in reason),
    )


def _positions(session: Session) -> Iterator[Tensor]:
    """Yield the parameters after each step; rates that are tensors are halved on the way."""
    for number in range(STEPS):
        if number == RATE_CHANGES_AT:
            for group in session.optimizer.param_groups:
                if isinstance(group.get("lr"), Tensor):
                    group["lr"].mul_(0.5)
        yield session.advance(1).position()


@contextlib.contextmanager
def _compiling() -> Iterator[None]:
    """Let torch.compile work, with nothing compiled before, and say nothing of graph breaks."""
    import torch._dynamo

    logs = [logging.getLogger(name) for name in ("torch._dynamo", "torch._logging")]
    levels = [log.level for log in logs]
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    try:
        for log in logs:
            log.setLevel(logging.ERROR)
        with torch.compiler.set_stance("default"):
            yield
    finally:
        for log, level in zip(logs, levels, strict=True):
            log.setLevel(level)
        torch._dynamo.reset()
