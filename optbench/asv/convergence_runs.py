"""What is trained once for a class of asv's benchmarks, and what each of them reads from it."""

from __future__ import annotations

import hashlib
import importlib
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from optbench.analysis.tracked import tracked
from optbench.asv.samples import Samples, samples
from optbench.engine.error_text import describe
from optbench.engine.plan import NothingToRun, Plan, Selection, plan
from optbench.engine.runs import Run
from optbench.optimizers import WrongHyperparameter
from optbench.problems import PROBLEMS as CATALOGUE
from optbench.problems.definition import definition
from optbench.registry import NotAdoptable, UnknownName
from optbench.runner import fill
from optbench.runner.executors import executor
from optbench.store import Store

PROTOCOL = 2
"""Version of what is measured of a problem: seeds, rates, penalties."""

DTYPE = "float64"
"""The values are compared exactly from commit to commit: in float32 a sum in another order moves
them, in float64 by so little that `optbench.tracking.history` can tell it from a change."""

SEEDS = 16
"""One half chooses the learning rate that the other is scored at, and the other way round."""

THIN = 2
"""Every second value of the search space: a factor of ten between learning rates."""


class NotAtThisCommit(NotImplementedError):
    """An optimizer, or a problem as it is recorded, that the commit has not. asv says n/a."""


@dataclass(frozen=True)
class Trained:
    """Samples by metric, optimizer and problem, and why there are none.

    Attributes
    ----------
    samples : mapping
        (metric, optimizer, problem) to a number a seed, as of `optbench.analysis.tracked`.
    absent : mapping
        Optimizer, problem or pair to the reason: not there at this commit, not applicable.
    errors : mapping
        Optimizer to the text of the exception that kept its runs from starting.
    """

    samples: Mapping[tuple[str, str, str], tuple[float, ...]]
    absent: Mapping[str | tuple[str, str], str] = field(default_factory=dict)
    errors: Mapping[str, str] = field(default_factory=dict)

    def require(self, optimizer: str, problem: str) -> None:
        """Raise what there is to say where a pair has no samples.

        Raises
        ------
        NotAtThisCommit
            Where there can be none.
        RuntimeError
            With the text of what the optimizer raised: that is a failure, not an absence.
        """
        if optimizer in self.errors:
            raise RuntimeError(self.errors[optimizer])
        for key in (optimizer, problem, (optimizer, problem)):
            if key in self.absent:
                raise NotAtThisCommit(self.absent[key])

    def tracked(self, metric: str, optimizer: str, problem: str) -> Samples:
        """Return a metric of an optimizer and a problem, as asv takes it."""
        return samples(self.samples[metric, optimizer, problem])


def defined(problems: Sequence[str]) -> dict[str, str]:
    """Problem to its version and definition, as ``1-0d142816fffe``."""
    return {
        name: f"{CATALOGUE[name].version}-{definition(CATALOGUE[name])}"
        for name in problems
    }  # fmt: skip


def version_of(recorded: Mapping[str, str], **protocol: object) -> str:
    """asv's version of benchmarks on these problems: another one begins another series."""
    facts = [f"protocol={PROTOCOL}"]
    facts += [f"{key}={protocol[key]!r}" for key in sorted(protocol)]
    facts += [f"{name}={recorded[name]}" for name in sorted(recorded)]
    return hashlib.sha256("\n".join(facts).encode()).hexdigest()[:16]


def train(
    optimizers: Sequence[str],
    recorded: Mapping[str, str],
    *,
    tune: bool = True,
    seeds: int = SEEDS,
    budget: int | None = None,
    jobs: int | None = None,
) -> Trained:
    """Train every optimizer on every problem, by the one training loop, into a passing store.

    Parameters
    ----------
    optimizers : sequence of str
        Registered names or ``package.module:Class``.
    recorded : mapping
        Problem to version and definition, of `defined`. A problem that is defined otherwise
        where this runs is left out, for its values would go down under another's name.
    tune : bool
        Try the search space too, and score at its best.
    seeds : int
        Of each setting. None is scored at a setting that it took part in choosing.
    budget : int or None
        Gradient evaluations a run; the problem's own without.
    jobs : int or None
        Worker processes; one a processor without.
    """
    absent: dict[str | tuple[str, str], str] = {}
    errors: dict[str, str] = {}
    here = defined([name for name in recorded if name in CATALOGUE])
    for name, wanted in recorded.items():
        if here.get(name) != wanted:
            absent[name] = f"{name} is {here.get(name, 'missing')} here, {wanted} is recorded"
    problems = tuple(name for name in recorded if name not in absent)
    runs: dict[Run, None] = {}
    for optimizer in optimizers:
        reason = missing(optimizer)
        if reason:
            absent[optimizer] = reason
            continue
        try:
            planned = _planned(optimizer, problems, tune, seeds, budget)
        except (UnknownName, NotAdoptable, WrongHyperparameter) as error:
            errors[optimizer] = str(error.args[0])
            continue
        absent.update(planned.not_applicable)
        runs.update(dict.fromkeys(planned.runs))
    with (
        tempfile.TemporaryDirectory() as folder,
        Store(str(Path(folder) / "trained.sqlite"), create=True) as store,
        executor(jobs) as workers,
    ):
        fill(store, list(runs), executor=workers, certify=True)
        frame, traces = store.runs(), store.traces()
    found = tracked(_with_error_rates(frame, traces), DTYPE) if len(frame) else ()
    drawn = {(each.metric, each.optimizer, each.problem): each.samples for each in found}
    return Trained(drawn, absent, errors)


def _with_error_rates(runs: pd.DataFrame, traces: pd.DataFrame) -> pd.DataFrame:
    """Add the last error rate of each run's trace, where a run has one."""
    errors = traces[traces["metric"] == "error_rate"].sort_values("step")
    if errors.empty:
        return runs
    last = errors.drop_duplicates("run", keep="last").set_index("run")["value"]
    return runs.assign(error_rate=runs["run"].map(last))


def missing(optimizer: str) -> str:
    """Why an optimizer is not there at all; empty where it is, though it may be broken."""
    module, colon, name = optimizer.partition(":")
    if not colon:
        return ""
    try:
        found = importlib.import_module(module)
    except ModuleNotFoundError as error:
        gone = error.name or ""
        return str(error) if module == gone or module.startswith(f"{gone}.") else ""
    except Exception:  # noqa: BLE001 - it is there, and broken: planning says how
        return ""
    return "" if hasattr(found, name.partition(".")[0]) else f"{module} has no {name}"


def _planned(
    optimizer: str, problems: tuple[str, ...], tune: bool, seeds: int, budget: int | None
) -> Plan:
    if not problems:
        return Plan(())
    selection = Selection(
        optimizers=(optimizer,),
        problems=problems,
        rates="tuned" if tune else "default",
        thin=THIN,
        seeds=tuple(range(seeds)),
        budget=budget,
    )
    try:
        return plan([selection], dtype=DTYPE)
    except NothingToRun as error:
        return Plan((), {(optimizer, problem): str(error) for problem in problems})
    except Exception as error:
        # Whatever a stranger's constructor raises, the others are trained all the same.
        raise WrongHyperparameter(describe(error)) from error
