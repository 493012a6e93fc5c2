"""Results as tidy frames: the one value that analysis takes in."""

from __future__ import annotations

from dataclasses import dataclass, fields

import pandas as pd

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
