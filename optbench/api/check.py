"""Check optimizers against the contract."""

from __future__ import annotations

import contextlib
import functools
import shlex
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from optbench.errors import WrongUse

if TYPE_CHECKING:
    from optbench.conformance.check import Check
    from optbench.conformance.result import CheckResult
    from optbench.conformance.targets import Target
    from optbench.sources.tree import Tree


@dataclass(frozen=True)
class CheckConfig:
    """What is checked, and how.

    Attributes
    ----------
    targets : tuple of str
        Registered names or globs, ``package.module:Class``, ``package.module:*``.
    checks : tuple of Check
    reference : str
        An optimizer that the steps have to agree with; empty for none.
    settings : mapping
        Arguments of the constructor.
    timeout : float
        Seconds that a check may take.
    jobs : int or None
        Worker processes; None: one a processor.
    compiled : bool
        Leave torch.compile on.
    overlay : str
        A module whose folder in the current one is laid over the installed package.
    env : str
        Where another Python is, with its own torch; empty: this one.
    """

    targets: tuple[str, ...]
    checks: tuple[Check, ...]
    reference: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    timeout: float = 60.0
    jobs: int | None = None
    compiled: bool = False
    overlay: str = ""
    env: str = ""

    @property
    def options(self) -> str:
        """The options that, behind ``optbench check NAME``, check the same."""
        from optbench.conformance.result import options

        where = f" --env {shlex.quote(self.env)}" if self.env else ""
        return options(self.reference, self.settings) + where


def configure(
    targets: Target | Iterable[Target],
    *,
    reference: Target = "",
    settings: Mapping[str, Any] | None = None,
    only: Iterable[str] = (),
    skip: Iterable[str] = (),
    timeout: float = 60.0,
    jobs: int | None = None,
    compiled: bool = False,
    overlay: str = "",
    env: str = "",
) -> CheckConfig:
    """Read the arguments of `check`.

    Raises
    ------
    WrongUse
        Where nothing, or no check, is left.
    UnknownName
        A check or reference that there is none of.
    """
    from optbench.api.run import listed, names_of
    from optbench.conformance.contract import choose
    from optbench.sources.overlays import overlay_in

    names = names_of(targets)
    checks = choose(listed(only), listed(skip))
    if not names:
        raise WrongUse("name what to check: optbench check torch.optim:Adam (or --list)")
    if not checks:
        raise WrongUse("no check is left: see --only and --skip")
    known = reference if isinstance(reference, str) else names_of(reference)[0]
    if known and not env:
        from optbench.conformance.targets import require_reference

        require_reference(known)  # before the work, not after
    return CheckConfig(
        tuple(names), checks, known, dict(settings or {}), timeout, jobs, compiled,
        overlay or overlay_in(Path.cwd()), env,
    )  # fmt: skip


def check(
    optimizers: Target | Iterable[Target],
    *,
    reference: Target = "",
    settings: Mapping[str, Any] | None = None,
    only: str | Iterable[str] = (),
    skip: str | Iterable[str] = (),
    strict: bool = False,
    compiled: bool = False,
    overlay: str = "",
    env: str = "",
    timeout: float = 60.0,
    jobs: int | None = None,
    on_fail: Literal["raise", "warn"] | None = "raise",
) -> list[CheckResult]:
    """Check optimizers or schedulers: parity, groups, checkpoints, convergence, ...

    Checks run in worker processes, so that one that hangs or crashes is one result.

    Parameters
    ----------
    optimizers : str, class or Optimizer, or several of them
        Registered names or globs, ``package.module:Class``, ``package.module:*``, or classes,
        also those of a notebook.
    reference : str, class or Optimizer
        Demand the same steps as this optimizer, such as ``"textbook-adam"``, or the same rates as
        this scheduler.
    settings : mapping
        Arguments of the constructor.
    only, skip : str or iterable of str
        Names or globs of checks.
    strict : bool
        Advice fails, too.
    compiled : bool
        Leave torch.compile on; without, steps run uncompiled.
    overlay : str
        A package within an installed one, such as ``"timm.optim"``: its folder in the current
        checkout is laid over what is installed. ``"torch.optim"`` is found in one of PyTorch.
    env : str
        Check in another environment: a folder with a Python, or requirements such as
        ``"torch==2.12.0"``, of which one is made in the cache.
    timeout : float
        Seconds that a check may take.
    jobs : int or None
        Worker processes; one a processor without.
    on_fail : "raise", "warn" or None
        What to do where a check failed or an optimizer could not be checked.

    Returns
    -------
    list of CheckResult
        One for each optimizer and check, in the order of the contract.

    Raises
    ------
    CheckFailed
        With ``on_fail="raise"``.
    OptbenchError
        `WrongUse`, `UnknownName`, as their texts say.

    Examples
    --------
    >>> import optbench
    >>> results = optbench.check("sgd", only="state_dict_*")
    >>> {str(each.status) for each in results} <= {"passed", "not applicable"}
    True
    """
    if on_fail not in ("raise", "warn", None):
        raise WrongUse(f"on_fail is 'raise', 'warn' or None, not {on_fail!r}")
    config = configure(
        optimizers, reference=reference, settings=settings, only=only, skip=skip,
        timeout=timeout, jobs=jobs, compiled=compiled, overlay=overlay, env=env,
    )  # fmt: skip
    results = carry_out(config)
    found = failures(results, strict=strict)
    if found and on_fail is not None:
        from optbench.scenarios.outcomes import CheckFailed

        text = "\n".join(
            f"{each.target} {each.check}: {each.status}: {each.text}\n"
            f"    {each.reproduce}{config.options}"
            for each in found
        )
        if on_fail == "raise":
            raise CheckFailed(text)
        warnings.warn(text, stacklevel=2)
    return results


def failures(results: Iterable[CheckResult], *, strict: bool = False) -> list[CheckResult]:
    """Return the results that fail an optimizer; with ``strict`` advice is among them."""
    from optbench.conformance.result import BAD, UNCHECKED, Status

    failing = {*BAD, *UNCHECKED, *([Status.ADVICE] if strict else ())}
    return [each for each in results if each.status in failing]


def carry_out(
    config: CheckConfig, done: Callable[[str, list[CheckResult]], None] = lambda target, rows: None
) -> list[CheckResult]:
    """Run the checks of a configuration; ``done`` is called with each optimizer's results."""
    from optbench.api.console import doing
    from optbench.conformance.worker_process import SubjectSpec
    from optbench.conformance.workers import CheckCount, Members, examine_all
    from optbench.runner.executors import default_jobs

    given = tuple(config.settings.items())
    specs = [SubjectSpec(target, config.reference, given) for target in config.targets]
    order = {each.name: place for place, each in enumerate(config.checks)}
    names: dict[str, tuple[str, ...]] = {}
    checks: dict[str, int] = {}
    by_target: dict[str, list[CheckResult]] = {}
    ended: set[str] = set()
    python = environment_of(config.env).python if config.env else ""
    with doing("starting") as show, _laid_over(config.overlay) as environment:
        for each in examine_all(
            specs,
            config.checks,
            jobs=config.jobs or default_jobs(),
            limit_s=config.timeout,
            compiled=config.compiled,
            environment=environment,
            python=python,
        ):
            if isinstance(each, Members):
                names[each.target] = each.names
                continue
            if isinstance(each, CheckCount):
                checks[each.target] = each.checks
                continue
            rows = by_target.setdefault(each.target, [])
            rows.append(each)
            if not each.check or len(rows) == checks[each.target]:
                ended.add(each.target)
                rows.sort(key=lambda row: order.get(row.check, -1))
                done(each.target, rows)
            known, count = (sum(map(len, some.values())) for some in (names, by_target))
            show(f"{len(ended)} of {known} optimizers, {count:,} checks; now {each.target}")
    ordered = [name for target in config.targets for name in names.get(target, (target,))]
    return [row for name in dict.fromkeys(ordered) for row in by_target.get(name, ())]


@functools.cache
def environment_of(env: str) -> Tree:
    """Return the environment ``--env`` names, made where it is not there.

    Raises
    ------
    SourceError
        Where there is no such Python, or it does not import torch and NumPy.
    """
    from optbench.sources.environments import environment
    from optbench.sources.source import Kind, Source

    return environment(Source(Kind.ENVIRONMENT, env))


@contextlib.contextmanager
def _laid_over(overlay: str) -> Iterator[dict[str, str]]:
    """Give the environment of processes that have the current folder's ``overlay``."""
    if not overlay:
        yield {}
        return
    from optbench.sources import prepare
    from optbench.sources.cache import run_folder
    from optbench.sources.overlays import variables
    from optbench.sources.source import Kind, Source

    with run_folder() as folder:
        here = Source(Kind.FOLDER, str(Path.cwd()))
        yield variables(prepare(here, folder / "here", overlay=overlay))
