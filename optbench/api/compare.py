"""Compare two versions of optimizers, and find the commit that changed one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optbench.errors import WrongUse

if TYPE_CHECKING:
    import torch

    from optbench.comparison.bisection import Bisection, Tried
    from optbench.comparison.compare import CompareConfig
    from optbench.verdicts.comparison import Comparison, OptimizerComparison

    Named = str | type[torch.optim.Optimizer]

FAIL_ON = ("regressed", "broken")
"""Verdicts that fail a comparison, where neither the user nor the repository says which."""

WORDS = (
    *("rounding", "changed", "broken", "regressed", "improved", "inconclusive"),
    *("slower", "faster", "more", "less", "leak", "none"),
)
"""Verdicts that a comparison can be told to fail on."""


def configure(
    base: str | Path,
    head: str | Path | None = None,
    *,
    optimizers: Named | Iterable[Named] = (),
    repository: str | Path | None = None,
    path: str | None = None,
    install: bool | None = None,
    overlay: str = "",
    rungs: str | Iterable[str] = (),
    settings: Mapping[str, Any] | None = None,
    problems: str | Iterable[str] = (),
    seeds: int = 24,
    timeout: float = 60.0,
    compiled: bool = False,
    fail_on: Iterable[str] = (),
) -> CompareConfig:
    """Read the arguments of `compare`; ``[tool.optbench]`` of the repository fills in the rest.

    Raises
    ------
    WrongUse
        A rung, problem or verdict that is none, or ``none`` together with a verdict.
    SourceError
        A source that is none, or a table of the repository's that cannot be read.
    """
    from optbench.comparison.compare import CompareConfig
    from optbench.sources import parse
    from optbench.sources.configuration import Configuration
    from optbench.sources.source import WORKING_TREE, Kind
    from optbench.verdicts.comparison import RUNGS

    sources = parse(_source(base)), parse(_source(head)) if head is not None else WORKING_TREE
    here = Path(repository) if repository is not None else Path.cwd()
    of_git = any(each.kind in (Kind.REVISION, Kind.WORKING_TREE) for each in sources)
    configuration = _configuration(here) if of_git else Configuration()
    given = _targets(optimizers)
    targets = tuple(given or configuration.optimizers)
    if not targets and all(each.kind is Kind.ENVIRONMENT for each in sources):
        raise WrongUse("say what to compare in two environments: -o package.module:Class")
    chosen = tuple(_listed(rungs)) or RUNGS
    _require_known("rung", chosen, RUNGS)
    return CompareConfig(
        *sources,
        targets=targets,
        schedulers=not given,
        repository=here,
        path=path if path is not None else configuration.path,
        install=configuration.install if install is None else install,
        overlay=overlay or configuration.overlay,
        # A rung stands on the one below it.
        rungs=tuple(each for each in RUNGS if each in chosen or each == "maths"),
        settings=dict(settings or {}),
        limit_s=timeout,
        seeds=seeds,
        problems=_problems(_listed(problems)),
        compiled=compiled,
        fail_on=_failing(fail_on, configuration.fail_on),
    )


def compare(
    base: str | Path,
    head: str | Path | None = None,
    *,
    optimizers: Named | Iterable[Named] = (),
    repository: str | Path | None = None,
    path: str | None = None,
    install: bool | None = None,
    overlay: str = "",
    rungs: str | Iterable[str] = (),
    settings: Mapping[str, Any] | None = None,
    problems: str | Iterable[str] = (),
    seeds: int = 24,
    timeout: float = 60.0,
    compiled: bool = False,
) -> Comparison:
    """Compare two versions of optimizers: the maths, the convergence, the speed, the memory.

    Both versions are imported, which runs their code, in processes of their own.

    Parameters
    ----------
    base, head : str or Path
        A git revision, ``pip:REQUIREMENT``, ``dir:PATH`` or a `Path`, ``env:PATH`` (a Python with
        libraries of its own); the working tree where no head is given.
    optimizers : str or class, or several of them
        ``package.module:Class``, ``package.module:*`` or the bare name of a class. Without:
        those of ``[tool.optbench]``, or all that the packages export.
    repository : str, Path or None
        Of the revisions; the current folder's without.
    path : str or None
        The folder of a checkout that its packages are in.
    install : bool or None
        Build and install checkouts, for compiled packages.
    overlay : str
        A package within an installed one, such as ``"timm.optim"``: its folder of each version is
        laid over what is installed. ``"torch.optim"`` is found in a checkout of PyTorch.
    rungs : str or iterable of str
        ``"maths"``, ``"convergence"``, ``"speed"``, ``"memory"``; all of them without.
        Convergence is compared where the maths changed.
    settings : mapping or None
        Hyperparameters given to every constructor.
    problems : str or iterable of str
        Names or globs of problems to train on; all that fit an optimizer without.
    seeds : int
        The most pairs of runs on a problem.
    timeout : float
        Seconds that a scenario may take.
    compiled : bool
        Leave torch.compile on.

    Returns
    -------
    Comparison
        A verdict for each optimizer and rung; `Comparison.to_frame` gives them as a frame. Ctrl-C
        ends it early: ``complete`` is then false.

    Raises
    ------
    OptbenchError
        `WrongUse`, `SourceError` (a source cannot be had), `NothingCompared` (no optimizer is in
        both versions), `NotImportable` (a version's packages do not import).
    """
    config = configure(
        base, head, optimizers=optimizers, repository=repository, path=path, install=install,
        overlay=overlay, rungs=rungs, settings=settings, problems=problems, seeds=seeds,
        timeout=timeout, compiled=compiled,
    )  # fmt: skip
    return carry_out(config)


def carry_out(
    config: CompareConfig, done: Callable[[OptimizerComparison], None] = lambda row: None
) -> Comparison:
    """Run the comparison of a configuration; ``done`` is called with each optimizer's verdicts."""
    from optbench.api.console import doing
    from optbench.comparison.compare import compare

    with doing("starting") as show:
        return compare(config, done=done, tell=show)


def bisect(
    good: str,
    bad: str = "HEAD",
    *,
    optimizers: Named | Iterable[Named] = (),
    on: str = "maths",
    repository: str | Path | None = None,
    path: str | None = None,
    install: bool | None = None,
    overlay: str = "",
    problems: str | Iterable[str] = (),
    seeds: int = 24,
    timeout: float = 60.0,
    done: Callable[[Tried], None] = lambda tried: None,
) -> Bisection:
    """Find the first commit between two that changed an optimizer.

    Parameters
    ----------
    good, bad : str
        Revisions; the first is an ancestor of the second. Every commit is compared with ``good``.
    on : str
        The rung that is asked about.
    done : callable
        Called with each commit that was tried.
    optimizers, repository, path, install, overlay, problems, seeds, timeout :
        As of `compare`.

    Returns
    -------
    Bisection

    Raises
    ------
    OptbenchError
        As `compare`, and `NothingToFind` where the two do not differ.
    """
    from optbench.api.console import doing
    from optbench.comparison.bisection import bisect

    config = configure(
        good, bad, optimizers=optimizers, repository=repository, path=path, install=install,
        overlay=overlay, rungs=on, problems=problems, seeds=seeds, timeout=timeout,
    )  # fmt: skip
    with doing("starting") as show:
        return bisect(good, bad, config, on=on, done=done, tell=show)


def _failing(given: Iterable[str], own: Iterable[str] | None) -> frozenset[str]:
    """Return the verdicts that fail: those given, the repository's own, or `FAIL_ON`."""
    words = tuple(_listed(given)) or tuple(own or FAIL_ON)
    _require_known("--fail-on", words, WORDS)
    if "none" in words and len(words) > 1:
        raise WrongUse("--fail-on none goes alone")
    return frozenset(words) - {"none"}


def _configuration(repository: Path) -> Any:
    from optbench.sources.configuration import read_configuration
    from optbench.sources.git import top_level
    from optbench.sources.source import WITHOUT_GIT

    return read_configuration(top_level(repository, otherwise=WITHOUT_GIT))


def _source(given: str | Path) -> str:
    return f"dir:{given}" if isinstance(given, Path) else given


def _targets(optimizers: Any) -> list[str]:
    given = [optimizers] if isinstance(optimizers, str | type) else [*optimizers]
    return [e if isinstance(e, str) else f"{e.__module__}:{e.__qualname__}" for e in given]


def _problems(patterns: list[str]) -> tuple[str, ...]:
    """Return the names of problems that the patterns fit."""
    if not patterns:
        return ()
    from optbench.comparison.convergence import PROBLEMS_OF
    from optbench.registry import fits

    for pattern in patterns:
        if not any(fits(name, pattern) for name in PROBLEMS_OF):
            raise WrongUse(f"problem {pattern}: comparisons train on {', '.join(PROBLEMS_OF)}")
    return tuple(n for n in PROBLEMS_OF if any(fits(n, pattern) for pattern in patterns))


def _listed(given: str | Iterable[str]) -> list[str]:
    texts = [given] if isinstance(given, str) else given
    return [word.strip() for each in texts for word in each.split(",") if word.strip()]


def _require_known(what: str, words: tuple[str, ...], known: tuple[str, ...]) -> None:
    import difflib

    for word in words:
        if word not in known:
            near = difflib.get_close_matches(word, known, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise WrongUse(f"{what}: {word!r} is none of {', '.join(known)}{hint}")
