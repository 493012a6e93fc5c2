"""From rows to the tidy frames."""

from __future__ import annotations

import functools
import json
import math
from typing import Any

import numpy as np
import pandas as pd
from sqlalchemy import ColumnElement, Connection, Text, collate, select
from sqlalchemy.sql.sqltypes import String

from optbench.store import schema

NUMBERS = (
    *("initial_gap", "final_gap", "steps_to_target", "seconds_per_step", "state_bytes"),
    "seconds",
)
"""Columns that are empty where there is nothing, and floating-point whether or not that is so."""


def runs(connection: Connection) -> pd.DataFrame:
    """As `optbench.store.Store.runs` says."""
    r, p, e = schema.runs.c, schema.problems.c, schema.environments.c
    order = (
        r.optimizer, p.problem, p.problem_version, p.data, r.dtype, r.device, r.budget,
        r.lr, r.hyperparameters, r.seed, schema.codes.c.code,
    )  # fmt: skip
    query = (
        select(
            r.id.label("run"), r.optimizer, r.base, r.variant,
            p.problem, p.problem_version, p.family, p.data, p.dimension,
            r.lr, r.hyperparameters, r.default, r.seed, r.dtype, r.device, r.budget,
            r.status, r.error, r.steps, r.initial_gap, r.final_gap, r.steps_to_target,
            r.seconds_per_step, r.state_bytes, schema.codes.c.code, e.commit,
            r.environment_id.label("environment"), r.attempts, r.seconds,
        )
        .join(schema.problems, p.id == r.problem_id)
        .join(schema.environments, e.id == r.environment_id)
        .join(schema.codes, schema.codes.c.id == r.code_id)
        .order_by(*(_bytewise(column, connection) for column in order))
    )  # fmt: skip
    frame = _frame(query, connection)
    schedules = frame["hyperparameters"].map(_lr_schedule)
    frame.insert(frame.columns.get_loc("hyperparameters") + 1, "lr_schedule", schedules)
    return frame.astype(dict.fromkeys(NUMBERS, "float64")).astype({"default": bool})


def targets(connection: Connection) -> pd.DataFrame:
    """As `optbench.store.Store.targets` says."""
    r, p = schema.runs.c, schema.problems.c
    query = (
        select(r.id, r.hits, p.targets).join(schema.problems, p.id == r.problem_id).order_by(r.id)
    )
    run: list[int] = []
    target: list[float] = []
    step: list[float] = []
    for run_id, hits, targets in connection.execute(query):
        found = json.loads(hits)
        if found:
            wanted = json.loads(targets)
            run += [run_id] * len(wanted)
            target += wanted
            step += [math.nan if hit is None else hit for hit in found]
    return pd.DataFrame({"run": run, "target": target, "step": np.array(step, dtype=float)})


def traces(connection: Connection) -> pd.DataFrame:
    """As `optbench.store.Store.traces` says."""
    s, t = schema.schedules.c, schema.traces.c
    schedules = {
        number: np.frombuffer(steps, "<i4").astype(np.int64)
        for number, steps in connection.execute(select(s.id, s.steps))
    }
    query = select(t.run_id, t.metric, t.schedule_id, t["values"]).order_by(
        t.run_id, _bytewise(t.metric, connection)
    )
    rows = connection.execute(query).all()
    steps = [schedules[row[2]] for row in rows]
    lengths = [len(each) for each in steps]
    if lengths != [len(row[3]) // 4 for row in rows]:
        raise ValueError("a trace has not as many values as steps")
    names = pd.Categorical([row[1] for row in rows])
    codes = np.repeat(names.codes, lengths) if rows else np.array([], dtype=int)
    return pd.DataFrame(
        {
            "run": np.repeat(np.array([row[0] for row in rows], dtype=np.int64), lengths),
            "metric": pd.Categorical.from_codes(codes, categories=names.categories),
            "step": np.concatenate(steps) if steps else np.array([], dtype=np.int64),
            "value": np.frombuffer(b"".join(row[3] for row in rows), "<f4").astype(float),
        }
    )


def problems(connection: Connection) -> pd.DataFrame:
    """As `optbench.store.Store.problems` says."""
    table = schema.problems
    columns = [c for c in table.c if c.name not in ("id", "targets")]
    order = _bytewise(table.c.problem, connection), table.c.problem_version
    return _frame(select(*columns).order_by(*order), connection)


def environments(connection: Connection) -> pd.DataFrame:
    """As `optbench.store.Store.environments` says."""
    table = schema.environments
    columns = [c for c in table.c if c.name not in ("id", "digest")]
    query = select(table.c.id.label("environment"), *columns).order_by(table.c.id)
    return _frame(query, connection)


def _bytewise(column: ColumnElement[Any], connection: Connection) -> ColumnElement[Any]:
    """To sort by, alike wherever the store is: a PostgreSQL server sorts as its country does."""
    if connection.dialect.name == "postgresql" and isinstance(column.type, String | Text):
        return collate(column, "C")
    return column


def _frame(query: Any, connection: Connection) -> pd.DataFrame:
    try:
        return pd.read_sql_query(query, connection)
    except pd.errors.DatabaseError as error:
        # pandas buries what the database said in the whole of the statement.
        raise (error.__cause__ or error) from None


@functools.cache
def _lr_schedule(hyperparameters: str) -> str:
    """The schedule that hyperparameters name; cached, for few are distinct."""
    name = json.loads(hyperparameters).get("lr_schedule", "")
    return name if isinstance(name, str) else ""
