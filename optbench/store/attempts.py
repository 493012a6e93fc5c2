"""How often runs were done."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, select

from optbench.store import schema
from optbench.store.batches import batches


def attempts_of(connection: Connection, keys: Iterable[str]) -> dict[str, int]:
    """How often each run that is here was done, by key."""
    r = schema.runs.c
    query = select(r.key, r.attempts)
    return {
        row.key: row.attempts
        for some in batches(keys)
        for row in connection.execute(query.where(r.key.in_(some)))
    }
