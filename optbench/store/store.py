"""Where results are kept: SQLite in WAL mode by default, or any database of SQLAlchemy's."""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import pandas as pd
from sqlalchemy import Connection, create_engine, delete, event, func, insert, inspect, select
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from optbench.defaults import DEFAULT_STORE
from optbench.engine.environment import Environment
from optbench.engine.identity import code_of, key
from optbench.engine.runs import Result, Run, Status, canonical
from optbench.optimizers import OPTIMIZERS
from optbench.plain_text import on_a_line
from optbench.problems import PROBLEMS
from optbench.store import schema

BATCH = 500
"""Keys in one query; databases limit how many values a statement may have."""


SQLITE_MAGIC = b"SQLite format 3\0"
"""What every SQLite file begins with (sqlite.org/fileformat.html, 1.3)."""


class StoreError(RuntimeError):
    """A store that cannot be opened, is not one of ours, or is too new; a line says which."""

    def __init__(self, text: str) -> None:
        super().__init__(on_a_line(text))


class Store:
    """Results, each run once.

    Parameters
    ----------
    url : str
        A SQLAlchemy URL, or the path of a SQLite file.
    create : bool
        Make the store where there is none. Readers leave it False, so that a mistyped path is
        said and not made.

    Raises
    ------
    StoreError
        As its text says.
    """

    def __init__(self, url: str = DEFAULT_STORE, *, create: bool = False) -> None:
        self.url = _parsed(url)
        self._shown = self.url.render_as_string(hide_password=True)
        try:
            self._prepare_file(create)
        except OSError as error:  # a name that is too long, a folder that nobody may look into
            shown = f"cannot open the store {self._shown}: {error.strerror}"
            raise StoreError(shown) from error
        try:
            self._engine = create_engine(self.url)
        except (SQLAlchemyError, ImportError, ValueError, TypeError) as error:
            raise StoreError(f"cannot open the store {self._shown}: {_reason(error)}") from error
        if self._is_sqlite:
            event.listen(self._engine, "connect", _configure_sqlite)
        try:
            self._open(create)
        except BaseException as error:
            self.close()
            # ValueError, TypeError: an option of the URL's that the driver does not take.
            if isinstance(error, SQLAlchemyError | ImportError | ValueError | TypeError):
                shown = f"cannot open the store {self._shown}: {_reason(error)}"
                raise StoreError(shown) from error
            raise

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the database."""
        self._engine.dispose()

    @property
    def _is_sqlite(self) -> bool:
        return self.url.get_backend_name() == "sqlite"

    def _is_uri(self, name: str) -> bool:
        """Whether SQLite reads it as a URI of its own; else it is a file of such a name."""
        return name.startswith("file:") and "uri" in self.url.query

    def _prepare_file(self, create: bool) -> None:
        name = self.url.database
        if not self._is_sqlite or name in (None, "", ":memory:") or self._is_uri(name):
            return
        path = Path(name)
        if path.is_dir():
            raise StoreError(
                f"the store {path} is a folder; name a file, such as {path}/results.sqlite"
            )
        if path.exists():
            # SQLite takes a file shorter than its header for an empty database, and overwrites it.
            if path.is_file() and _head(path) not in (b"", SQLITE_MAGIC):
                raise StoreError(f"cannot open the store {self._shown}: file is not a database")
            return
        if not create:
            raise StoreError(f"there is no store at {path} (optbench run --store {path} makes one)")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"cannot make the folder of the store {path}: {error}") from error

    def _open(self, create: bool) -> None:
        with self._engine.begin() as connection:
            tables = inspect(connection).get_table_names()
            if not tables and create:
                schema.metadata.create_all(connection)
                connection.execute(insert(schema.meta).values(schema_version=schema.SCHEMA_VERSION))
                tables = [schema.meta.name]
            if schema.meta.name not in tables:
                held = ", ".join(sorted(tables)[:4]) or "nothing"
                raise StoreError(f"{self._shown} is not an optbench store: it holds {held}")
            version = connection.execute(select(schema.meta.c.schema_version)).scalar_one()
            if version != schema.SCHEMA_VERSION:
                raise StoreError(
                    f"{self._shown} has schema {version}, this optbench reads "
                    f"{schema.SCHEMA_VERSION}: use the optbench that wrote it, or another store"
                )
        if create and self._is_sqlite:
            # WAL: a report may read while a run writes, and a killed writer loses at most its
            # batch. The mode stays with the file, which by now is known to be one of ours.
            with self._engine.connect() as connection:
                connection.exec_driver_sql("PRAGMA journal_mode=WAL")

    def missing(self, runs: Sequence[Run]) -> list[Run]:
        """The runs that are not here yet. A failed one counts as missing."""
        keys = {key(run): run for run in runs}
        names = list(keys)
        with self._engine.connect() as connection:
            for first in range(0, len(names), BATCH):
                query = select(schema.runs.c.key).where(
                    schema.runs.c.key.in_(names[first : first + BATCH]),
                    schema.runs.c.status != Status.FAILED.value,
                )
                for found in connection.execute(query).scalars():
                    del keys[found]
        return list(keys.values())

    def add(self, results: Iterable[Result], environment: Environment) -> None:
        """Keep results, in one transaction: all of them or none.

        A result of a run that is here already, or earlier in ``results``, replaces it.
        """
        kept_by_key = {key(result.run): result for result in results}
        if not kept_by_key:
            return
        keys, results = list(kept_by_key), list(kept_by_key.values())
        with self._engine.begin() as connection:
            where = self._environment(connection, environment)
            problems = {of: self._problem(connection, *of) for of in map(_problem_of, results)}
            self._remove(connection, keys)
            for name, result in zip(keys, results, strict=True):
                row = _row(result, name, problems[_problem_of(result)], where)
                inserted = connection.execute(insert(schema.runs).values(row))
                (run_id,) = inserted.inserted_primary_key or (None,)
                kept = [
                    {
                        "run_id": run_id,
                        "metric": metric,
                        "steps": trace.steps.astype("<i4").tobytes(),
                        "values": trace.values.astype("<f4").tobytes(),
                    }
                    for metric, trace in result.traces.items()
                ]
                if kept:
                    connection.execute(insert(schema.traces), kept)

    def _remove(self, connection: Connection, keys: list[str]) -> None:
        for first in range(0, len(keys), BATCH):
            old = select(schema.runs.c.id).where(schema.runs.c.key.in_(keys[first : first + BATCH]))
            ids = list(connection.execute(old).scalars())
            if ids:
                connection.execute(delete(schema.traces).where(schema.traces.c.run_id.in_(ids)))
                connection.execute(delete(schema.runs).where(schema.runs.c.id.in_(ids)))

    def _environment(self, connection: Connection, environment: Environment) -> int:
        table = schema.environments
        query = select(table.c.id).where(table.c.digest == environment.digest)
        found = connection.execute(query).scalar()
        if found is None:
            row = {**asdict(environment), "digest": environment.digest}
            connection.execute(insert(table).values(row))
            found = connection.execute(query).scalar_one()
        return int(found)

    def _problem(self, connection: Connection, name: str, version: int, data: str) -> int:
        table = schema.problems
        query = select(table.c.id).where(
            table.c.problem == name, table.c.problem_version == version, table.c.data == data
        )
        found = connection.execute(query).scalar()
        if found is None:
            problem = PROBLEMS[name]
            row = {
                "problem": name,
                "problem_version": version,
                "data": data,
                "family": problem.family,
                "dimension": problem.dimension,
                "minimum": problem.minimum,
                "minimum_is_bound": problem.minimum_is_bound,
                "target": problem.target,
                "targets": json.dumps(problem.targets),
                "budget": problem.budget,
                "cite": problem.cite,
                "summary": problem.summary,
            }
            connection.execute(insert(table).values(row))
            found = connection.execute(query).scalar_one()
        return int(found)

    def count(self) -> int:
        """How many runs are here."""
        with self._engine.connect() as connection:
            return int(
                connection.execute(select(func.count()).select_from(schema.runs)).scalar_one()
            )

    def runs(self) -> pd.DataFrame:
        """The tidy frame, one row a run, in an order that does not depend on when it was made.

        ``steps_to_target`` is empty where the run is censored. ``lr_schedule`` is the name among
        the ``hyperparameters``, '' where there is none. Columns that say how long and where:
        ``seconds_per_step``, ``environment``, ``commit``.
        """
        r, p, e = schema.runs.c, schema.problems.c, schema.environments.c
        query = (
            select(
                r.id.label("run"), r.optimizer, r.base, r.variant,
                p.problem, p.problem_version, p.family, p.data, p.dimension,
                r.lr, r.hyperparameters, r.default, r.seed, r.dtype, r.device, r.budget,
                r.status, r.error, r.steps, r.initial_gap, r.final_gap, r.steps_to_target,
                r.seconds_per_step, r.state_bytes, r.code, e.commit,
                r.environment_id.label("environment"),
            )
            .join(schema.problems, p.id == r.problem_id)
            .join(schema.environments, e.id == r.environment_id)
            .order_by(
                r.optimizer, p.problem, p.problem_version, p.data, r.dtype, r.device, r.budget,
                r.lr, r.hyperparameters, r.seed, r.code,
            )
        )  # fmt: skip
        frame = self._frame(query)
        schedules = frame["hyperparameters"].map(_lr_schedule)
        frame.insert(frame.columns.get_loc("hyperparameters") + 1, "lr_schedule", schedules)
        numbers = ("initial_gap", "final_gap", "steps_to_target", "seconds_per_step", "state_bytes")
        return frame.astype(dict.fromkeys(numbers, "float64")).astype({"default": bool})

    def targets(self) -> pd.DataFrame:
        """One row a run and target: ``run``, ``target``, ``step`` (empty where censored)."""
        r, p = schema.runs.c, schema.problems.c
        query = (
            select(r.id, r.hits, p.targets)
            .join(schema.problems, p.id == r.problem_id)
            .order_by(r.id)
        )
        run: list[int] = []
        target: list[float] = []
        step: list[float] = []
        with self._engine.connect() as connection:
            for run_id, hits, targets in connection.execute(query):
                found = json.loads(hits)
                if found:
                    wanted = json.loads(targets)
                    run += [run_id] * len(wanted)
                    target += wanted
                    step += [math.nan if hit is None else hit for hit in found]
        return pd.DataFrame({"run": run, "target": target, "step": np.array(step, dtype=float)})

    def traces(self) -> pd.DataFrame:
        """One row a run, metric and logged step: ``run``, ``metric``, ``step``, ``value``."""
        t = schema.traces.c
        query = select(t.run_id, t.metric, t.steps, t["values"]).order_by(t.run_id, t.metric)
        with self._engine.connect() as connection:
            rows = connection.execute(query).all()
        lengths = [len(row[2]) // 4 for row in rows]
        names = pd.Categorical([row[1] for row in rows])
        codes = np.repeat(names.codes, lengths) if rows else np.array([], dtype=int)
        return pd.DataFrame(
            {
                "run": np.repeat(np.array([row[0] for row in rows], dtype=np.int64), lengths),
                "metric": pd.Categorical.from_codes(codes, categories=names.categories),
                "step": np.frombuffer(b"".join(row[2] for row in rows), "<i4").astype(np.int64),
                "value": np.frombuffer(b"".join(row[3] for row in rows), "<f4").astype(float),
            }
        )

    def problems(self) -> pd.DataFrame:
        """One row a problem, version and data."""
        table = schema.problems
        columns = [c for c in table.c if c.name not in ("id", "targets")]
        return self._frame(select(*columns).order_by(table.c.problem, table.c.problem_version))

    def environments(self) -> pd.DataFrame:
        """One row an environment."""
        table = schema.environments
        columns = [c for c in table.c if c.name not in ("id", "digest")]
        return self._frame(select(table.c.id.label("environment"), *columns).order_by(table.c.id))

    def _frame(self, query: Any) -> pd.DataFrame:
        with self._engine.connect() as connection:
            try:
                return pd.read_sql_query(query, connection)
            except pd.errors.DatabaseError as error:
                # pandas buries what the database said in the whole of the statement.
                raise (error.__cause__ or error) from None


def _problem_of(result: Result) -> tuple[str, int, str]:
    return result.run.problem, result.run.problem_version, result.run.data


def _row(result: Result, name: str, problem_id: int, environment_id: int) -> dict[str, Any]:
    run = result.run
    optimizer, problem = OPTIMIZERS[run.optimizer], PROBLEMS[run.problem]
    others = {k: v for k, v in run.settings.items() if k != "lr"}
    headline = [bool(np.isclose(t, problem.target, rtol=1e-9)) for t in problem.targets].index(True)
    return {
        "key": name,
        "optimizer": run.optimizer,
        "base": optimizer.base,
        "variant": optimizer.variant,
        "problem_id": problem_id,
        "lr": run.settings["lr"],
        "hyperparameters": canonical(others),
        "default": run.default,
        "seed": run.seed,
        "dtype": run.dtype,
        "device": run.device,
        "budget": run.budget,
        "code": code_of(run.optimizer),
        "status": result.status.value,
        "error": result.error,
        "steps": result.steps,
        "initial_gap": _nullable(result.initial_gap),
        "final_gap": _nullable(result.final_gap),
        "steps_to_target": result.hits[headline] if result.hits else None,
        "hits": json.dumps(result.hits),
        "seconds_per_step": result.seconds_per_step,
        "state_bytes": result.state_bytes,
        "environment_id": environment_id,
    }


@functools.cache
def _lr_schedule(hyperparameters: str) -> str:
    """The schedule that hyperparameters name; cached, for few are distinct."""
    name = json.loads(hyperparameters).get("lr_schedule", "")
    return name if isinstance(name, str) else ""


def _nullable(number: float | None) -> float | None:
    """NaN as NULL (databases differ on NaN); infinity stays."""
    return None if number is None or math.isnan(number) else number


def _parsed(url: str) -> URL:
    if not url:
        raise StoreError("the store has no name; name a file, such as .optbench/results.sqlite")
    if "\0" in url or (not url.isascii() and url != url.encode("utf-8", "replace").decode("utf-8")):
        raise StoreError(f"{url!r} is no store: it holds what is no text")
    if "://" not in url:
        return URL.create("sqlite", database=url)
    try:
        parsed = make_url(url)
        parsed.get_dialect()
    # ValueError: a port that is no number.
    except (ArgumentError, NoSuchModuleError, ImportError, ValueError) as error:
        scheme, _, rest = url.partition("://")
        bare = f"{scheme}://{rest.rpartition('@')[2]}"  # before the @ may stand a password
        # What SQLAlchemy could not read it repeats, the password too.
        reason = "" if "@" in rest else f": {str(error).splitlines()[0]}"
        raise StoreError(f"{bare!r} is no store{reason}") from error
    return parsed


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(len(SQLITE_MAGIC))
    except OSError:
        return b""  # Opening it will say why.


def _reason(error: Exception) -> str:
    return str(getattr(error, "orig", None) or error).splitlines()[0]


def _configure_sqlite(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    # Of the connection alone; nothing here writes to a file that may be somebody else's.
    for pragma in ("synchronous=NORMAL", "busy_timeout=30000", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
