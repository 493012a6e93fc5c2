"""Columns of a query: as pandas reads them, portion by portion."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest
from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    Float,
    Integer,
    MetaData,
    Table,
    Text,
    create_engine,
    insert,
    select,
)

from optbench.store import columns as module
from optbench.store.columns import Texts, columns

TABLE = Table(
    "things",
    MetaData(),
    Column("id", Integer, primary_key=True),
    Column("name", Text, nullable=False),
    Column("note", Text),
    Column("good", Boolean, nullable=False),
    Column("count", Integer),
    Column("size", Float),
)
NAMES = ["b", "a", "é", "Z", "b", "𝕒", "a"]
ROWS = [
    {
        **{"id": i + 1, "name": name, "note": None if i % 3 else f"note {i}", "good": i % 2 == 0},
        **{"count": None if i == 2 else i, "size": None if i == 4 else 1 / (i + 1)},
    }
    for i, name in enumerate(NAMES)
]


@pytest.fixture(params=[1, 3, 1000])
def connection(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Connection]:
    monkeypatch.setattr(module, "PORTION", request.param)
    engine = create_engine("sqlite://")
    with engine.connect() as opened:
        TABLE.metadata.create_all(opened)
        opened.execute(insert(TABLE), ROWS)
        yield opened
    engine.dispose()


def test_they_are_what_pandas_reads(connection: Connection) -> None:
    query = select(TABLE).order_by(TABLE.c.id)
    everywhere = np.arange(len(ROWS))
    found = columns(connection, query)
    frame = pd.DataFrame(
        {k: v.taken(everywhere) if isinstance(v, Texts) else v for k, v in found.items()}
    )
    expected = pd.read_sql_query(query, connection)
    pd.testing.assert_frame_equal(frame, expected.astype({"good": bool}))
    assert frame["id"].dtype == np.int64
    assert frame["count"].dtype == np.float64


def test_a_label_is_as_whole_as_its_column(connection: Connection) -> None:
    found = columns(connection, select(TABLE.c.id.label("thing")))
    assert isinstance(found["thing"], np.ndarray)
    assert found["thing"].dtype == np.int64


def test_texts_are_kept_once_and_sort_by_code_points(connection: Connection) -> None:
    name = columns(connection, select(TABLE.c.name).order_by(TABLE.c.id))["name"]
    assert isinstance(name, Texts)
    assert name.texts == list(dict.fromkeys(NAMES))
    assert [NAMES[i] for i in np.argsort(name.ranks(), kind="stable")] == sorted(NAMES)
    upper = name.mapped(str.upper).taken(np.array([6, 0]))
    assert upper.tolist() == ["A", "B"]


def test_columns_of_nothing_have_their_types(connection: Connection) -> None:
    found = columns(connection, select(TABLE).where(TABLE.c.id < 0))
    name = found["name"]
    assert isinstance(name, Texts)
    assert name.taken(np.array([], dtype=np.intp)).tolist() == []
    types = {k: v.dtype for k, v in found.items() if isinstance(v, np.ndarray)}
    assert types == {"id": np.int64, "good": bool, "count": np.float64, "size": np.float64}
