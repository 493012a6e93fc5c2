"""Run optimizers on problems, and keep what came of it."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from optbench.defaults import DEFAULT_STORE
from optbench.errors import WrongUse

if TYPE_CHECKING:
    from optbench.analysis import Results
    from optbench.conformance.targets import Target
    from optbench.engine.plan import Plan, Selection
    from optbench.runner import Progress
    from optbench.runner.isolation import Limits


@dataclass(frozen=True)
class RunConfig:
    """Which runs, on what, and where their results are kept.

    Attributes
    ----------
    selections : tuple of Selection
        Optimizers, problems, hyperparameters, seeds and budgets.
    store : str
        Path of a SQLite file, or SQLAlchemy URL.
    dtype, device : str
        Of all runs, in torch's words.
    jobs : int or None
        Worker processes; 0: this process; None: one a processor.
    dask : str or None
        A Dask cluster that works instead.
    limits : Limits
        What a unit of runs may take.
    again : bool
        Run also what the store holds, and replace it.
    """

    selections: tuple[Selection, ...]
    store: str
    dtype: str
    device: str
    jobs: int | None
    dask: str | None
    limits: Limits
    again: bool

    def plan(self) -> Plan:
        """Expand the selections into runs; classes that are named by a path are tried out."""
        from optbench.engine.plan import plan
        from optbench.engine.trial import tried_apart

        return plan(
            self.selections,
            dtype=self.dtype,
            device=self.device,
            elsewhere=self.dask is not None and not self.dask.startswith("local:"),
            try_out=tried_apart,
        )

    def fill(
        self,
        plan: Plan,
        *,
        watch: Callable[[Progress], None] = lambda progress: None,
        warn: Callable[[str], object] = warnings.warn,
    ) -> Progress:
        """Run what the store lacks of a plan, and keep it."""
        from optbench.runner import fill
        from optbench.runner.executors import executor
        from optbench.store import Store

        with (
            Store(self.store, create=True) as store,
            executor(self.jobs, self.dask, warn=warn) as workers,
        ):
            return fill(
                store,
                plan.runs,
                executor=workers,
                limits=self.limits,
                again=self.again,
                watch=watch,
            )


def configure(
    optimizers: Target | Iterable[Target] = (),
    problems: str | Iterable[str] = (),
    *,
    suite: str | None = None,
    lr: float | Iterable[float] | None = None,
    tune: bool = False,
    settings: Mapping[str, Any] | None = None,
    schedules: str | Iterable[str] = (),
    seeds: int | str | Iterable[int] | None = None,
    budget: int | None = None,
    ddp: int | None = None,
    dtype: str = "float32",
    device: str = "cpu",
    store: str = DEFAULT_STORE,
    jobs: int | None = None,
    dask: str | None = None,
    timeout: float | None = None,
    memory: int | None = None,
    again: bool = False,
) -> RunConfig:
    """Read the arguments of `run`, and refuse what makes no sense.

    Raises
    ------
    WrongUse
        Arguments that exclude each other, or make no sense; the text says what would.
    pydantic.ValidationError
        A seed, budget or number of processes that is none.
    """
    from optbench.runner.isolation import Limits

    if dask is not None and jobs is not None:
        raise WrongUse("jobs and dask exclude each other: local:N is a cluster of N workers")
    if timeout is not None and not timeout >= 0:
        raise WrongUse(f"timeout is a number of seconds, or 0 for no limit, not {timeout}")
    names = names_of(optimizers)
    if dask is not None and not dask.startswith("local:"):
        _require_importable(names)
    return RunConfig(
        tuple(
            _selections(
                names, listed(problems), suite=suite, lr=lr, tune=tune, settings=settings or {},
                schedules=listed(schedules), seeds=seeds, budget=budget, ddp=ddp,
            )
        ),
        store,
        dtype,
        device,
        jobs,
        dask,
        Limits(float("inf") if timeout == 0 else timeout, memory),
        again,
    )  # fmt: skip


def run(
    optimizers: Target | Iterable[Target] = (),
    problems: str | Iterable[str] = (),
    *,
    suite: str | None = None,
    lr: float | Iterable[float] | None = None,
    tune: bool = False,
    settings: Mapping[str, Any] | None = None,
    schedules: str | Iterable[str] = (),
    seeds: int | str | Iterable[int] | None = None,
    budget: int | None = None,
    ddp: int | None = None,
    dtype: str = "float32",
    device: str = "cpu",
    store: str = DEFAULT_STORE,
    jobs: int | None = None,
    dask: str | None = None,
    timeout: float | None = None,
    memory: int | None = None,
    again: bool = False,
) -> Results:
    """Run optimizers on problems; give the results of these runs.

    What the store holds already is not run again. What is done is in the store at once, and the
    same call goes on after an interruption.

    Parameters
    ----------
    optimizers : str, class or Optimizer, or several of them
        Registered names, globs, ``package.module:Class``, or classes, also those of a notebook.
        All that are registered where only problems are named.
    problems : str or several
        Registered names, globs, or ``package.module:name``. All where only optimizers are named.
    suite : str or None
        A named set of runs instead (`list_suites`); ``"quick"`` where nothing is named.
    lr : float or several
        Learning rates in place of the optimizer's default.
    tune : bool
        Run the optimizer's whole search space besides its defaults.
    settings : mapping
        Other hyperparameters, such as ``{"betas": (0.9, 0.99)}``.
    schedules : str or several
        Run each setting also with these learning-rate schedules.
    seeds : int, str or iterable of int
        The first so many, which ones, or ``"10-19"``; 4 without.
    budget : int or None
        Gradient evaluations a run; each problem's own without.
    ddp : int or None
        Divide each gradient among so many processes.
    dtype, device : str
        ``"float32"``, ``"float64"`` or ``"bfloat16"``; ``"cpu"``, ``"cuda"`` or ``"cuda:1"``.
    store : str
        Path of a SQLite file, which is made where there is none, or a SQLAlchemy URL.
    jobs : int or None
        Worker processes; 0: this process, for a debugger; one a processor without.
    dask : str or None
        A Dask cluster instead: ``tcp://HOST:PORT``, ``tls://HOST:PORT``, a scheduler file, or
        ``local:N``.
    timeout : float or None
        Seconds that a unit of runs may take; 0: no limit; without, 300 s without a step end it.
    memory : int or None
        Bytes of data that a worker process may hold.
    again : bool
        Run also what the store holds, and replace it.

    Returns
    -------
    Results
        The frames of exactly these runs; a run that failed is among them, with its error.

    Warns
    -----
    UserWarning
        Of pairs that were asked for by name and cannot run, and of runs that failed.

    Raises
    ------
    OptbenchError
        `WrongUse`, `UnknownName`, `NotAdoptable`, `WrongHyperparameter`, `NothingToRun`,
        `NoSuchDevice`, `StoreError`, `ClusterError`, as their texts say.

    Examples
    --------
    >>> import optbench
    >>> results = optbench.run(["adam", "sgd"], "quadratic", lr=0.1, seeds=2, budget=50,
    ...                        store=getfixture("tmp_path") / "results.sqlite", jobs=0)
    >>> results.runs[["optimizer", "seed", "status"]].values.tolist()
    [['adam', 0, 'ok'], ['adam', 1, 'ok'], ['sgd', 0, 'ok'], ['sgd', 1, 'ok']]
    """
    from optbench import load
    from optbench.api.progress import Watch
    from optbench.store import Store

    # Once: they may be iterators.
    names, places = names_of(optimizers), listed(problems)
    config = configure(
        names, places, suite=suite, lr=lr, tune=tune, settings=settings,
        schedules=schedules, seeds=seeds, budget=budget, ddp=ddp, dtype=dtype, device=device,
        store=str(store), jobs=jobs, dask=dask, timeout=timeout, memory=memory, again=again,
    )  # fmt: skip
    plan = config.plan()
    for text in left_out(plan, names, places):
        warnings.warn(text, stacklevel=2)
    with Watch(quick=True) as watch:
        progress = config.fill(plan, watch=watch)
    for text in failed(progress):
        warnings.warn(text, stacklevel=2)
    with Store(config.store) as opened:
        ids = opened.ids(plan.runs)
    return load(config.store).of_runs(ids)


def names_of(optimizers: Target | Iterable[Target]) -> list[str]:
    """Return the names of optimizers; classes that no other process can import are shared.

    Raises
    ------
    TypeError
        Where one is neither a name nor a class of optimizers nor a registered row.
    """
    several = isinstance(optimizers, Iterable) and not isinstance(optimizers, str)
    given: Sequence[Any] = [*optimizers] if several else [optimizers]  # type: ignore[misc]
    return [each if isinstance(each, str) else _name_of(each) for each in given]


def _name_of(optimizer: Any) -> str:
    from optbench import by_value
    from optbench.conformance.targets import require_optimizer
    from optbench.optimizers import Optimizer

    require_optimizer(optimizer)
    return optimizer.name if isinstance(optimizer, Optimizer) else by_value.path_of(optimizer)


def _require_importable(names: Iterable[str]) -> None:
    from optbench import by_value

    for name in names:
        if by_value.fingerprint(name):
            raise WrongUse(
                f"{name} can be imported by no other process, and is not sent to a cluster: "
                "put it into a module that its workers have"
            )


def listed(names: str | Iterable[str]) -> list[str]:
    """Return several names as a list, and one as a list of it."""
    return [names] if isinstance(names, str) else [*names]


def _selections(
    optimizers: Sequence[str],
    problems: Sequence[str],
    *,
    suite: str | None,
    lr: float | Iterable[float] | None,
    tune: bool,
    settings: Mapping[str, Any],
    schedules: Sequence[str],
    seeds: int | str | Iterable[int] | None,
    budget: int | None,
    ddp: int | None,
) -> list[Selection]:
    """Narrow down a suite's selections, or make one of what is named."""
    from optbench.engine.plan import Selection
    from optbench.engine.suites import SUITES

    rates = () if lr is None else tuple(lr) if isinstance(lr, Iterable) else (lr,)
    if rates and tune:
        raise WrongUse("lr and tune exclude each other: rates are given, or searched")
    for name, named in (("lr", bool(rates)), ("ddp", ddp is not None)):
        if name in settings and named:
            raise WrongUse(
                f"{name} is given twice, by itself and among the settings: leave out one of both"
            )
    given = {
        "rates": rates or ("tuned" if tune else None),
        "ddp": ddp,
        "settings": dict(settings) or None,
        "schedules": tuple(schedules) or None,
        "seeds": None if seeds is None else _seeds(seeds),
        "budget": budget,
    }
    changes: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
    if suite is None and (optimizers or problems):
        names = {"optimizers": tuple(optimizers) or ("*",), "problems": tuple(problems) or ("*",)}
        return [Selection.model_validate({**names, **changes})]
    if optimizers or problems:
        raise WrongUse("a suite names its optimizers and problems: leave out those, or the suite")
    return [
        Selection.model_validate({**selection.model_dump(), **changes})
        for selection in SUITES[suite or "quick"].selections
    ]


def _seeds(seeds: int | str | Iterable[int]) -> tuple[int, ...]:
    from optbench.engine.plan import parse_seeds

    if not isinstance(seeds, str | int):
        return tuple(seeds)
    try:
        return parse_seeds(str(seeds))
    except ValueError as error:
        raise WrongUse(str(error)) from error


def left_out(plan: Plan, optimizers: Sequence[str], problems: Sequence[str]) -> list[str]:
    """Return a line for each pair that was asked for by name and cannot run."""
    return [
        f"left out: {name} on {where}: {reason}"
        for (name, where), reason in plan.not_applicable.items()
        if name in optimizers and problems and (where in problems or ":" in name)
    ]


def failed(progress: Progress) -> list[str]:
    """Return lines that name the runs that failed and those that never moved, with the reason."""
    lines = []
    for what, results, kinds in (
        ("unmoved", progress.unmoved, ""),
        ("failed", progress.failures, " kinds of failure"),
    ):
        counts = Counter((r.run.optimizer, r.run.problem, r.error or "") for r in results)
        for (optimizer, problem, error), count in counts.most_common(10):
            runs = f"{count} run{'s' * (count > 1)}"
            lines.append(f"{what}: {optimizer} on {problem}, {runs}: {error}")
        if len(counts) > 10:
            lines.append(f"and {len(counts) - 10} more{kinds}: optbench export lists every run")
    return lines
