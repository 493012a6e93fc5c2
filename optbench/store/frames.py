"""From rows to the tidy frames, for a million runs as for ten."""

from __future__ import annotations

import json
import sys
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sqlalchemy import ColumnElement, Connection, Text, collate, select
from sqlalchemy.sql.sqltypes import String

from optbench.store import schema
from optbench.store.columns import Texts, columns, portions

ORDER = (
    *("optimizer", "problem", "problem_version", "data", "dtype", "device", "budget"),
    *("lr", "hyperparameters", "seed", "code", "run"),
)
"""What runs are sorted by: here and not in the database, whose order of texts is its country's."""

COLUMNS = (
    *("run", "optimizer", "base", "variant", "problem", "problem_version", "family", "data"),
    *("dimension", "lr", "hyperparameters", "lr_schedule", "default", "seed", "dtype", "device"),
    *("budget", "status", "error", "steps", "initial_gap", "final_gap", "steps_to_target"),
    *("seconds_per_step", "state_bytes", "code", "commit", "environment"),
    *("attempts", "seconds"),
)


def runs(connection: Connection) -> pd.DataFrame:
    """As `optbench.store.Store.runs` says."""
    r, p, e = schema.runs.c, schema.problems.c, schema.environments.c
    found = columns(
        connection,
        select(
            r.id.label("run"), r.optimizer, r.base, r.variant, r.problem_id,
            r.lr, r.hyperparameters, r.default, r.seed, r.dtype, r.device, r.budget,
            r.status, r.error, r.steps, r.initial_gap, r.final_gap, r.steps_to_target,
            r.seconds_per_step, r.state_bytes, r.code_id, r.environment_id, r.attempts, r.seconds,
        ),
    )  # fmt: skip
    # What few rows say for many is joined here: a text goes over the wire once.
    of_problem = select(p.id, p.problem, p.problem_version, p.family, p.data, p.dimension)
    found |= _joined(connection, of_problem, found.pop("problem_id"))
    found |= _joined(connection, select(schema.codes), found.pop("code_id"))
    environment = found.pop("environment_id")
    found |= _joined(connection, select(e.id, e.commit), environment)
    found["environment"] = environment
    found["lr_schedule"] = _texts(found["hyperparameters"]).mapped(_lr_schedule)
    keys = [found[name] for name in ORDER]
    rows = np.lexsort([key.ranks() if isinstance(key, Texts) else key for key in keys[::-1]])
    frame = {}
    for name in COLUMNS:
        column = found.pop(name)
        frame[name] = column.taken(rows) if isinstance(column, Texts) else column[rows]
    return pd.DataFrame(frame, copy=False)


def targets(connection: Connection) -> pd.DataFrame:
    """As `optbench.store.Store.targets` says."""
    r, p = schema.runs.c, schema.problems.c
    wanted = {
        number: np.array(json.loads(text), dtype=float)
        for number, text in connection.execute(select(p.id, p.targets))
    }
    run, target, step = [np.array([], int)], [np.array([])], [np.array([])]
    for rows in portions(connection, select(r.id, r.hits, r.problem_id).order_by(r.id)):
        # One text of JSON for all of them: a call a run is half of the time.
        hits = json.loads("[" + ",".join(row[1] for row in rows) + "]")
        counts = [len(each) for each in hits]
        run.append(np.repeat(np.array([row[0] for row in rows]), counts))
        target += [wanted[row[2]] for row, count in zip(rows, counts, strict=True) if count]
        step.append(np.array(list(chain.from_iterable(hits)), dtype=float))
    found = {"run": run, "target": target, "step": step}
    return pd.DataFrame({k: np.concatenate(v) for k, v in found.items()}, copy=False)


def traces(connection: Connection) -> pd.DataFrame:
    """As `optbench.store.Store.traces` says."""
    s, t = schema.schedules.c, schema.traces.c
    schedules = {
        number: np.frombuffer(steps, "<i4").astype(np.int64)
        for number, steps in connection.execute(select(s.id, s.steps))
    }
    run: list[int] = []
    metric: list[str] = []
    steps: list[npt.NDArray[np.int64]] = []
    values: list[bytes] = []
    query = select(t.run_id, t.metric, t.schedule_id, t["values"]).order_by(t.run_id)
    for rows in portions(connection, query):
        for number, name, schedule, seen in rows:
            run.append(number)
            metric.append(sys.intern(name))
            steps.append(schedules[schedule])
            values.append(seen)
    names = pd.Categorical(metric)
    order = np.lexsort([names.codes, run])
    steps, values = [steps[i] for i in order], [values[i] for i in order]
    lengths = [len(each) for each in steps]
    if lengths != [len(each) // 4 for each in values]:
        raise ValueError("a trace has not as many values as steps")
    # Without a copy: at a million runs each of these is most of a gigabyte.
    return pd.DataFrame(
        {
            "run": np.repeat(np.array(run, dtype=np.int64)[order], lengths),
            "metric": pd.Categorical.from_codes(
                np.repeat(names.codes[order], lengths), categories=names.categories
            ),
            "step": np.concatenate([np.array([], dtype=np.int64), *steps]),
            "value": np.frombuffer(b"".join(values), "<f4").astype(float),
        },
        copy=False,
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


def _joined(connection: Connection, query: Any, numbers: Any) -> dict[str, Any]:
    """Return the columns of a small table, whose first is its id, at these ids."""
    found = columns(connection, query)
    ids: Any = found.pop("id")
    order = np.argsort(ids)
    there = np.isin(numbers, ids)
    if not there.all():
        raise ValueError(f"there is no row {numbers[~there][0]}, which a run refers to")
    place = order[np.searchsorted(ids, numbers, sorter=order)]
    return {
        name: Texts(column.codes[place], column.texts)
        if isinstance(column, Texts)
        else column[place]
        for name, column in found.items()
    }


def _texts(column: Any) -> Texts:
    assert isinstance(column, Texts)
    return column


def _lr_schedule(hyperparameters: str) -> str:
    """Return the schedule that hyperparameters name."""
    name = json.loads(hyperparameters).get("lr_schedule", "")
    return name if isinstance(name, str) else ""
