"""What a night is to do."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from optbench.conformance.acquaintance import optimizer_classes
from optbench.engine.plan import Selection
from optbench.nightly import tracking
from optbench.nightly.regression import FAIL_ON
from optbench.optimizers import OPTIMIZERS
from optbench.registry import import_module


@dataclass(frozen=True)
class WantedNight:
    """What a night is to do.

    Attributes
    ----------
    repository : Path
        The top of the checkout.
    selections : tuple of Selection
        Of the suite.
    targets : tuple of str
        The repository's own optimizers, for the comparison.
    store : str
        URL or path.
    out : Path
        Where the summary, the report and what else is to be read go.
    base : str or None
        A revision to compare with instead of the last good night's.
    asv : bool
        Run asv, where the repository has a configuration of it.
    machine : str or None
        The name that asv keeps results under.
    commits : int
        The most that asv runs.
    jobs : int
        Worker processes.
    fail_on : frozenset of str
        Findings of the comparison that fail the night.
    path, install :
        As in `optbench.compare.contest.Wanted`.
    """

    repository: Path
    selections: tuple[Selection, ...]
    store: str
    out: Path
    targets: tuple[str, ...] = ()
    base: str | None = None
    asv: bool = True
    machine: str | None = None
    commits: int = tracking.COMMITS
    jobs: int = 1
    fail_on: frozenset[str] = frozenset(FAIL_ON)
    path: str | None = None
    install: bool = False


def own_selection(targets: Sequence[str], suite: Sequence[Selection]) -> tuple[Selection, ...]:
    """The repository's own optimizers on the suite's problems, where no row of ours has them."""
    ours = {
        (row.factory.__module__, row.factory.__qualname__)
        for row in OPTIMIZERS
        if inspect.isclass(row.factory)
    }
    own: dict[str, None] = {}
    for target in targets:
        if ":" in target:
            module, _, pattern = target.partition(":")
            classes = optimizer_classes(import_module(module, target))
            names = [f"{module}:{name}" for name, _ in classes if fnmatchcase(name, pattern)]
            for name in names:
                factory = OPTIMIZERS[name].factory
                if (factory.__module__, getattr(factory, "__qualname__", "")) not in ours:
                    own[name] = None
    if not own:
        return ()
    first = suite[0]
    return (first.model_copy(update={"optimizers": tuple(own)}),)
