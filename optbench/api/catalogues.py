"""What is registered: optimizers, problems, schedules and suites."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd


def list_optimizers() -> pd.DataFrame:
    """Return the registered optimizers, a row each.

    Columns: ``name``, ``base`` and ``variant`` (``adam[fused]`` is a variant of ``adam``),
    ``defaults`` and ``space`` (dicts of hyperparameters), ``route`` (how several runs are batched),
    ``needs`` (of a problem), ``cite``.

    >>> import optbench
    >>> optbench.list_optimizers().set_index("name").loc["adam", "defaults"]["betas"]
    (0.9, 0.999)
    """
    return _frame(optimizer_rows())


def list_problems() -> pd.DataFrame:
    """Return the registered problems, a row each.

    Columns: ``name``, ``family``, ``version``, ``dimension``, ``minimum`` (only a lower bound where
    ``minimum_is_bound``), ``target`` and ``targets`` (relative gaps), ``budget`` (gradient
    evaluations), ``data``, ``traits``, ``settings``, ``cite``, ``summary``.

    >>> import optbench
    >>> int(optbench.list_problems().set_index("name").loc["rosenbrock-2d", "dimension"])
    2
    """
    return _frame(problem_rows())


def list_schedules() -> pd.DataFrame:
    """Return the registered learning-rate schedules: ``name``, ``summary``, ``cite``."""
    return _frame(schedule_rows())


def list_suites() -> pd.DataFrame:
    """Return the named sets of runs: ``name``, ``runs`` (how many), ``summary``."""
    return _frame(suite_rows())


def optimizer_rows() -> list[dict[str, Any]]:
    """Return what `list_optimizers` gives, as plain values."""
    from optbench.optimizers import OPTIMIZERS

    return [
        {
            "name": row.name,
            "base": row.base,
            "variant": row.variant,
            "defaults": dict(row.defaults),
            "space": {name: list(values) for name, values in row.space.items()},
            "route": row.route.value,
            "needs": sorted(row.needs),
            "cite": row.cite,
        }
        for row in OPTIMIZERS
    ]


def problem_rows() -> list[dict[str, Any]]:
    """Return what `list_problems` gives, as plain values."""
    from optbench.problems import PROBLEMS

    return [
        {
            "name": row.name,
            "family": row.family,
            "version": row.version,
            "dimension": row.dimension,
            "minimum": row.minimum,
            "minimum_is_bound": row.minimum_is_bound,
            "target": row.target,
            "targets": list(row.targets),
            "budget": row.budget,
            "data": row.data,
            "traits": sorted(row.traits),
            "settings": row.settings,
            "cite": row.cite,
            "summary": row.summary,
        }
        for row in PROBLEMS
    ]


def schedule_rows() -> list[dict[str, Any]]:
    """Return what `list_schedules` gives, as plain values."""
    from optbench.optimizers import SCHEDULES

    return [{"name": row.name, "summary": row.summary, "cite": row.cite} for row in SCHEDULES]


def suite_rows() -> list[dict[str, Any]]:
    """Return what `list_suites` gives, as plain values."""
    from optbench.engine.plan import count
    from optbench.engine.suites import SUITES

    return [
        {
            "name": suite.name,
            "runs": count(suite.selections),
            "summary": suite.summary,
        }
        for suite in SUITES
    ]


def _frame(rows: list[dict[str, Any]]) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(rows)
