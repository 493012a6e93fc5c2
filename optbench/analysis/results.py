"""Results as tidy frames: the one value that analysis takes in."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from html import escape

import pandas as pd

from optbench.registry import fits

COLUMNS: dict[str, tuple[str, ...]] = {
    "runs": (
        *("run", "optimizer", "base", "variant", "problem", "problem_version", "family", "data"),
        *("lr", "hyperparameters", "lr_schedule", "default", "seed", "dtype", "device", "budget"),
        *("status", "error", "steps", "initial_gap", "final_gap", "steps_to_target"),
        *("seconds_per_step", "state_bytes", "dimension", "environment"),
    ),
    "targets": ("run", "target", "step"),
    "traces": ("run", "metric", "step", "value"),
    "problems": (
        *("problem", "problem_version", "data", "family", "dimension"),
        *("minimum", "minimum_is_bound", "target", "budget", "cite", "summary"),
    ),
    "environments": (
        *("environment", "cpu", "threads", "os", "python", "torch"),
        *("numpy", "optbench", "commit", "dirty", "device"),
    ),
}
"""The columns that each frame must have; others are carried along and not looked at."""


FINISHED = ("ok", "unmoved")
"""Statuses of runs that used their budget, so that their final gap is a finite result."""


class MissingColumns(ValueError):
    """A frame lacks columns that the analysis reads."""


@dataclass(frozen=True)
class Results:
    """What was run and what came of it.

    Attributes
    ----------
    runs : DataFrame
        One row a run, whatever its status: ``run`` (id, growing with age), ``optimizer``
        (``adam``, ``adam[fused]``, ``package.module:Class``), ``base`` and ``variant`` ('' where
        there is none), ``problem``, ``problem_version``, ``family``, ``data``, ``lr`` (NaN: the
        optimizer has none), ``hyperparameters`` (JSON of all others), ``lr_schedule`` (its name,
        which is among those too; '' where lr stays what it is), ``default`` (whether these are the
        optimizer's defaults), ``seed``, ``dtype``, ``device``, ``budget`` (gradient evaluations),
        ``status`` (ok, unmoved, diverged, failed; unmoved: the parameters never changed),
        ``error`` (text or None), ``steps`` (gradient evaluations used), ``initial_gap``,
        ``final_gap`` (may be inf or NaN), ``steps_to_target`` (NaN: censored),
        ``seconds_per_step`` (of one single-lane training step; NaN: not timed), ``state_bytes``,
        ``dimension``, ``environment`` (id).
    targets : DataFrame
        Long: ``run``, ``target`` (relative gap), ``step`` (NaN: censored).
    traces : DataFrame
        Long: ``run``, ``metric`` (gap, error_rate, x0, x1), ``step``, ``value``. The steps are
        those of one schedule for all runs of equal problem and budget, from 0; the trace of a
        run that diverged or failed ends early.
    problems : DataFrame
        One row a problem, version and data: ``target`` is the relative gap of the headline,
        ``minimum_is_bound`` says that the minimum is only a lower bound.
    environments : DataFrame
        One row an environment that a run refers to.

    Raises
    ------
    MissingColumns
        Where a frame lacks one of `COLUMNS`.
    """

    runs: pd.DataFrame
    targets: pd.DataFrame
    traces: pd.DataFrame
    problems: pd.DataFrame
    environments: pd.DataFrame

    def __post_init__(self) -> None:
        for field in fields(self):
            frame: pd.DataFrame = getattr(self, field.name)
            missing = [name for name in COLUMNS[field.name] if name not in frame.columns]
            if missing:
                raise MissingColumns(
                    f"the frame {field.name!r} lacks {', '.join(missing)}; "
                    f"it needs {', '.join(COLUMNS[field.name])}"
                )

    def of_runs(self, ids: Iterable[int]) -> Results:
        """Return the rows of these runs (``run`` of `runs`), and what they refer to."""
        wanted = frozenset(ids)
        runs = self.runs[self.runs["run"].isin(wanted)].reset_index(drop=True)
        which = ["problem", "problem_version", "data"]
        problems = self.problems.merge(runs[which].drop_duplicates(), on=which)
        places = self.environments["environment"].isin(runs["environment"])
        return Results(
            runs,
            self.targets[self.targets["run"].isin(wanted)].reset_index(drop=True),
            self.traces[self.traces["run"].isin(wanted)].reset_index(drop=True),
            problems,
            self.environments[places].reset_index(drop=True),
        )

    def filter(
        self, optimizers: str | Iterable[str] = "*", problems: str | Iterable[str] = "*"
    ) -> Results:
        """Return the rows of these optimizers and problems, by name or glob.

        A bracket is part of a variant's name: ``adam[fused]``.
        """
        keep = _fit(self.runs["optimizer"], optimizers) & _fit(self.runs["problem"], problems)
        return self.of_runs(self.runs.loc[keep, "run"])

    def __repr__(self) -> str:
        return f"<Results: {self._counted()}>"

    def _repr_html_(self) -> str:
        """Return a table for notebooks: a row an optimizer and problem."""
        runs = self.runs
        reached = runs["steps_to_target"].notna()
        table = (
            runs.assign(runs=1, reached=reached)
            .groupby(["optimizer", "problem"], observed=True)
            .agg(
                runs=("runs", "sum"),
                reached_target=("reached", "sum"),
                median_steps_to_target=("steps_to_target", "median"),
                median_final_gap=("final_gap", "median"),
            )
        )
        # Of runs of which half do not arrive the median of those that do says nothing.
        few = table["reached_target"] * 2 < table["runs"]
        table.loc[few, "median_steps_to_target"] = float("nan")
        return f"<p>{escape(self._counted())}</p>{table.to_html(max_rows=60)}"

    def _counted(self) -> str:
        counts = self.runs["status"].value_counts()
        said = ", ".join(f"{count:,} {status}" for status, count in counts.items())
        numbers = (
            (len(self.runs), "run"),
            (self.runs["optimizer"].nunique(), "optimizer"),
            (self.runs["problem"].nunique(), "problem"),
        )
        runs, optimizers, problems = (f"{n:,} {what}{'s' * (n != 1)}" for n, what in numbers)
        return f"{runs} of {optimizers} on {problems}" + (f" ({said})" if said else "")


def _fit(names: pd.Series, patterns: str | Iterable[str]) -> pd.Series[bool]:
    wanted = [patterns] if isinstance(patterns, str) else [*patterns]
    return names.map(lambda name: any(fits(name, each) for each in wanted)).astype(bool)
