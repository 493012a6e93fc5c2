"""Where results are kept: SQLite in WAL mode by default, or PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Table, delete, func, insert, select
from sqlalchemy.exc import SQLAlchemyError

from optbench.defaults import DEFAULT_STORE
from optbench.engine.runs import Result, Run, Status
from optbench.store import schema
from optbench.store.address import parsed, prepare_file, shown
from optbench.store.coordination import Coordinator, attempts_of, coordinate
from optbench.store.database import PATIENCE_S, Database, batches
from optbench.store.errors import StoreError, reason
from optbench.store.opening import open_store

if TYPE_CHECKING:
    import pandas as pd

    from optbench.engine.environment import Environment


class Store:
    """Results, each run once.

    Parameters
    ----------
    url : str
        A SQLAlchemy URL (``postgresql://...``), or the path of a SQLite file.
    create : bool
        Make the store where there is none. Readers leave it False, so that a mistyped path is
        said and not made.

    Raises
    ------
    StoreError
        As its text says; also from every method, where the database cannot be used.
    """

    def __init__(self, url: str = DEFAULT_STORE, *, create: bool = False) -> None:
        self.url = parsed(url)
        try:
            prepare_file(self.url, create=create)
            self._database = Database(self.url, writes=create)
        # A name that is too long, an option of the URL's that the driver does not take.
        except (OSError, ValueError, TypeError, SQLAlchemyError) as error:
            text = f"cannot open the store {shown(self.url)}: {reason(error)}"
            raise StoreError(text) from error
        try:
            open_store(self._database, create=create)
        except BaseException as error:
            self.close()
            # ValueError, TypeError: an option of the URL's that the driver does not take.
            if isinstance(error, SQLAlchemyError | ValueError | TypeError):
                text = f"cannot open the store {self._database.shown}: {reason(error)}"
                raise StoreError(text) from error
            raise
        self._database.patience_s = PATIENCE_S
        if create and not self.url.query:
            self._database.pin()

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
        self._database.close()

    def missing(self, runs: Sequence[Run]) -> list[Run]:
        """Return the runs that the store lacks; a failed one counts as missing."""
        # Here and below when it is needed: who reads frames does not wait for torch.
        from optbench.engine.identity import keys

        wanted = dict(zip(keys(runs), runs, strict=True))
        r = schema.runs.c

        def work(connection: Connection) -> list[str]:
            query = select(r.key).where(r.status != Status.FAILED.value)
            return [
                found
                # Sorted, so that what lies together in the index is read together.
                for some in batches(sorted(wanted))
                for found in connection.execute(query.where(r.key.in_(some))).scalars()
            ]

        for found in self._database.read(work):
            wanted.pop(found, None)  # a damaged file may name one twice
        return list(wanted.values())

    def ids(self, runs: Sequence[Run]) -> list[int]:
        """Return the ids (``run`` in the frames) of those runs that are in the store."""
        from optbench.engine.identity import keys

        r = schema.runs.c
        wanted = sorted(keys(runs))
        return self._database.read(
            lambda connection: [
                number
                for some in batches(wanted)
                for number in connection.execute(select(r.id).where(r.key.in_(some))).scalars()
            ]
        )

    def attempts(self, keys: Iterable[str]) -> dict[str, int]:
        """How often each run that is here was done, by key; what was never done is left out."""
        keys = list(keys)
        return self._database.read(lambda connection: attempts_of(connection, keys))

    def costs(self) -> dict[tuple[str, str, str, str], float]:
        """Seconds per gradient evaluation and run, of runs that went well and were timed.

        By optimizer, problem, dtype and device.
        """
        from optbench.optimizers.of_the_run import DDP

        r, p = schema.runs.c, schema.problems.c
        of = (r.optimizer, p.problem, r.dtype, r.device)
        query = (
            select(*of, func.sum(r.seconds), func.sum(r.budget))
            .join(schema.problems, p.id == r.problem_id)
            .where(r.seconds.is_not(None), r.status == Status.OK.value)
            # What several processes took for one gradient says nothing about what one takes.
            .where(~r.hyperparameters.contains(f'"{DDP}":'))
            .group_by(*of)
        )
        found = self._database.read(lambda connection: connection.execute(query).all())
        return {
            (optimizer, problem, dtype, device): float(seconds) / float(evaluations)
            for optimizer, problem, dtype, device, seconds, evaluations in found
        }

    def add(self, results: Iterable[Result], environment: Environment) -> None:
        """Keep results, in one transaction: all of them or none.

        A result of a run that is here already, or earlier in ``results``, replaces it. A claim
        on a run that is here now has done its part, and goes.
        """
        from optbench.engine.identity import key
        from optbench.store import rows

        kept = {key(result.run): result for result in results}
        if not kept:
            return
        made = {name: rows.run_row(result, name) for name, result in kept.items()}
        codes = {name: rows.code_row(result) for name, result in kept.items()}
        traces = {name: rows.trace_rows(result) for name, result in kept.items()}
        problems = {name: rows.problem_key(result) for name, result in kept.items()}
        place = rows.environment_row(environment)
        schedules = {t.digest: t.steps for of_run in traces.values() for t in of_run}
        before: dict[str, int] = {}

        def work(connection: Connection) -> None:
            (where,) = _numbers(connection, schema.environments, ("digest",), [place]).values()
            problem_ids = _numbers(
                connection, schema.problems, ("problem", "problem_version", "data"),
                [rows.problem_row(each) for each in sorted(set(problems.values()))],
            )  # fmt: skip
            code_ids = _numbers(
                connection, schema.codes, ("code",),
                [{"code": code} for code in sorted(set(codes.values()))],
            )  # fmt: skip
            schedule_ids = _numbers(
                connection, schema.schedules, ("digest",),
                [{"digest": digest, "steps": schedules[digest]} for digest in sorted(schedules)],
            )  # fmt: skip
            done = _remove(connection, list(made))
            inserted = connection.execute(
                insert(schema.runs).returning(schema.runs.c.key, schema.runs.c.id),
                [
                    row
                    | {
                        "environment_id": where,
                        "problem_id": problem_ids[problems[name]],
                        "code_id": code_ids[codes[name],],
                        # A connection that is lost in a commit leaves open whether it was one.
                        # It was, if the run counts one more than when this began.
                        "attempts": max(
                            done.get(name, 0), before.setdefault(name, done.get(name, 0)) + 1
                        ),
                    }
                    for name, row in made.items()
                ],
            )
            numbers = {row.key: row.id for row in inserted}
            kept_traces = [
                {
                    "run_id": numbers[name],
                    "metric": trace.metric,
                    "schedule_id": schedule_ids[trace.digest,],
                    "values": trace.values,
                }
                for name, of_run in traces.items()
                for trace in of_run
            ]
            if kept_traces:
                connection.execute(insert(schema.traces), kept_traces)
            for some in batches(made):
                connection.execute(delete(schema.claims).where(schema.claims.c.key.in_(some)))

        self._database.write(work)

    @contextmanager
    def coordinate(self) -> Iterator[Coordinator]:
        """Take part in filling this store beside others; see `optbench.store.coordination`."""
        with coordinate(self._database) as coordinator:
            yield coordinator

    def count(self) -> int:
        """How many runs are here."""
        query = select(func.count()).select_from(schema.runs)
        return self._database.read(lambda connection: int(connection.execute(query).scalar_one()))

    def runs(self) -> pd.DataFrame:
        """Return the tidy frame, one row per run, in an order independent of when it was made.

        ``steps_to_target`` is empty where the run is censored. ``lr_schedule`` is the name among
        the ``hyperparameters``, '' where there is none. Columns that say how long and where:
        ``seconds_per_step``, ``environment``, ``commit``, ``attempts`` (how often it was done),
        ``seconds`` (its share of the wall time of its tensor program; empty: not measured).
        """
        return self._frame("runs")

    def targets(self) -> pd.DataFrame:
        """One row a run and target: ``run``, ``target``, ``step`` (empty where censored)."""
        return self._frame("targets")

    def traces(self) -> pd.DataFrame:
        """One row a run, metric and logged step: ``run``, ``metric``, ``step``, ``value``."""
        return self._frame("traces")

    def problems(self) -> pd.DataFrame:
        """One row a problem, version and data."""
        return self._frame("problems")

    def environments(self) -> pd.DataFrame:
        """One row an environment."""
        return self._frame("environments")

    def _frame(self, name: str) -> pd.DataFrame:
        # Imported when it is asked for: who opens no store does not wait for pandas.
        from optbench.store import frames

        frame: pd.DataFrame = self._database.read(getattr(frames, name))
        return frame


def _remove(connection: Connection, keys: Sequence[str]) -> dict[str, int]:
    """Take runs out, with their traces; gives how often those that were here had been done."""
    r = schema.runs.c
    done: dict[str, int] = {}
    for some in batches(keys):
        old = connection.execute(select(r.id, r.key, r.attempts).where(r.key.in_(some))).all()
        if old:
            ids = [row.id for row in old]
            done |= {row.key: row.attempts for row in old}
            connection.execute(delete(schema.traces).where(schema.traces.c.run_id.in_(ids)))
            connection.execute(delete(schema.runs).where(r.id.in_(ids)))
    return done


def _numbers(
    connection: Connection, table: Table, by: tuple[str, ...], wanted: Sequence[dict[str, Any]]
) -> dict[tuple[Any, ...], int]:
    """Return the ids of unique rows by their key; add those that are new."""
    columns = [table.c[name] for name in by]

    def found() -> dict[tuple[Any, ...], int]:
        query = select(table.c.id, *columns)
        return {
            tuple(row[1:]): row[0]
            for some in batches(row[by[0]] for row in wanted)
            for row in connection.execute(query.where(columns[0].in_(some)))
        }

    here = found()
    new = [row for row in wanted if tuple(row[name] for name in by) not in here]
    if new:
        connection.execute(insert(table), new)
        here = found()
    return here
