"""The configuration of a nightly run."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from optbench.api import compare, run
from optbench.defaults import DEFAULT_STORE, NIGHTLY_REPORT
from optbench.engine.plan import Selection
from optbench.nightly import run_asv
from optbench.nightly.regression import FAIL_ON
from optbench.optimizers import OPTIMIZERS, Optimizer, WrongHyperparameter
from optbench.registry import NotAdoptable, UnknownName, import_module
from optbench.runner.isolation import Limits
from optbench.scenarios.introspect import optimizer_classes
from optbench.sources import git
from optbench.sources.configuration import read_configuration
from optbench.sources.tree import importable


@dataclass(frozen=True)
class NightlyConfig:
    """What a nightly run is to do.

    Attributes
    ----------
    repository : Path
        The top of the checkout.
    selections : tuple of Selection
        Of the suite.
    targets : tuple of str
        The repository's own optimizers.
    store : str
        URL or path.
    out : Path
        Where the summary, the report and what else is to be read go.
    base : str or None
        A revision to compare with instead of the last that passed.
    asv : bool
        Run asv, where the repository has a configuration of it.
    machine : str or None
        The name that asv keeps results under.
    commits : int
        The most that asv runs.
    jobs : int or None
        Worker processes; 0: this one works; None: one a processor.
    dask : str or None
        A Dask cluster that works instead.
    limits : Limits or None
        Of a unit.
    fail_on : frozenset of str
        Findings of the comparison that fail the run.
    again : bool
        Compare anew what is kept.
    path, install :
        As in `optbench.comparison.compare.CompareConfig`.
    """

    repository: Path
    selections: tuple[Selection, ...]
    store: str
    out: Path
    targets: tuple[str, ...] = ()
    base: str | None = None
    asv: bool = True
    machine: str | None = None
    commits: int = run_asv.COMMITS
    jobs: int | None = 0
    dask: str | None = None
    limits: Limits | None = None
    fail_on: frozenset[str] = frozenset(FAIL_ON)
    path: str | None = None
    install: bool = False
    again: bool = False


def configure(
    *,
    suite: str = "nightly",
    store: str = DEFAULT_STORE,
    base: str | None = None,
    out: str | Path = NIGHTLY_REPORT,
    optimizers: Iterable[str] = (),
    seeds: int | str | Iterable[int] | None = None,
    jobs: int | None = None,
    timeout: float | None = None,
    memory: int | None = None,
    dask: str | None = None,
    asv: bool = True,
    machine: str | None = None,
    commits: int = run_asv.COMMITS,
    fail_on: Iterable[str] = (),
    again: bool = False,
    repository: str | Path | None = None,
    path: str | None = None,
    install: bool | None = None,
) -> NightlyConfig:
    """Return a configuration; ``[tool.optbench]`` of the repository fills in the rest.

    The repository's packages become importable, here and in worker processes.

    Raises
    ------
    OptbenchError
        `WrongUse`, `SourceError`, as their texts say.
    """
    top = git.top_level(Path(repository or Path.cwd()))
    # Where the packages are goes first, here and in the workers, which begin with this path.
    own_path = read_configuration(top).path
    sys.path.insert(0, str(importable(top, path if path is not None else own_path)))
    compared = compare.configure(
        "HEAD",
        "HEAD",
        optimizers=optimizers,
        repository=top,
        path=path,
        install=install,
        fail_on=[*fail_on] or FAIL_ON,
    )
    runs = run.configure(
        suite=suite, seeds=seeds, jobs=jobs, timeout=timeout, memory=memory, dask=dask
    )
    return NightlyConfig(
        repository=top,
        selections=runs.selections,
        # Seen from the top, wherever one stands: a nightly run elsewhere would begin with nothing.
        store=str(top / store) if store == DEFAULT_STORE else store,
        out=top / out if Path(out) == Path(NIGHTLY_REPORT) else Path(out),
        targets=compared.targets,
        base=base,
        asv=asv,
        machine=machine,
        commits=commits,
        jobs=jobs,
        limits=runs.limits,
        dask=dask,
        fail_on=compared.fail_on,
        path=compared.path,
        install=compared.install,
        again=again,
    )


@dataclass(frozen=True)
class Own:
    """The repository's own optimizers, on the suite's problems.

    Attributes
    ----------
    selections : tuple of Selection
        Of those that no row of ours has.
    left_out : tuple of str
        Those that cannot be run, each with the reason, which is the same every time.
    broken : str
        Why a module does not import; empty where all do.
    """

    selections: tuple[Selection, ...] = ()
    left_out: tuple[str, ...] = ()
    broken: str = ""


def own_optimizers(targets: Sequence[str], suite: Sequence[Selection]) -> Own:
    """Return what the repository's table, or ``-o``, adds to a suite."""
    ours = {_factory(row) for row in OPTIMIZERS}
    own: dict[str, None] = {}
    left_out: list[str] = []
    broken: list[str] = []
    for target in targets:
        try:
            names = _named(target)
        except (UnknownName, NotAdoptable) as error:
            broken.append(str(error.args[0]))
            continue
        for name in names:
            try:
                row = OPTIMIZERS[name]
                row.settings()
            except (UnknownName, NotAdoptable, WrongHyperparameter) as error:
                left_out.append(str(error.args[0]))
                continue
            if _factory(row) not in ours:
                own[name] = None
    chosen = (suite[0].model_copy(update={"optimizers": tuple(own)}),) if own else ()
    return Own(chosen, tuple(left_out), "; ".join(broken))


def _factory(row: Optimizer) -> tuple[str, str]:
    return row.factory.__module__, getattr(row.factory, "__qualname__", row.name)


def _named(target: str) -> list[str]:
    """``package.module:Name`` as it is, a glob of names as the classes that fit it."""
    module, colon, pattern = target.partition(":")
    if not colon:  # A bare class name, which a comparison finds.
        return []
    if not set("*?[") & set(pattern):
        return [target]
    classes = optimizer_classes(import_module(module, target))
    return [f"{module}:{name}" for name, _ in classes if fnmatchcase(name, pattern)]
