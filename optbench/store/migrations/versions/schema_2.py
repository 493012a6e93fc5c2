"""Schedules and codes kept once, attempts and seconds of a run, claims."""

import hashlib

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """From schema 1."""
    op.create_table(
        "claims",
        sa.Column("key", sa.String(32), primary_key=True),
        sa.Column("coordinator", sa.BigInteger, nullable=False),
        sa.Column("server", sa.Text),
    )
    _codes()
    _schedules()


def _codes() -> None:
    op.create_table(
        "codes",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("code", sa.Text, nullable=False, unique=True),
    )
    op.execute("INSERT INTO codes (code) SELECT DISTINCT code FROM runs")
    op.add_column("runs", sa.Column("code_id", sa.Integer))
    runs = sa.table("runs", sa.column("code", sa.Text), sa.column("code_id", sa.Integer))
    codes = sa.table("codes", sa.column("id", sa.Integer), sa.column("code", sa.Text))
    op.execute(sa.update(runs).values(code_id=codes.c.id).where(codes.c.code == runs.c.code))
    # SQLite changes a table by copying it, so that all is done in one copy.
    with op.batch_alter_table("runs") as table:
        table.alter_column("code_id", existing_type=sa.Integer, nullable=False)
        table.create_foreign_key("runs_code_id_fkey", "codes", ["code_id"], ["id"])
        table.drop_column("code")
        table.alter_column("state_bytes", existing_type=sa.Integer, type_=sa.BigInteger)
        table.add_column(sa.Column("attempts", sa.Integer, nullable=False, server_default="1"))
        table.add_column(sa.Column("seconds", sa.Float))


def _schedules() -> None:
    op.create_table(
        "schedules",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("digest", sa.String(32), nullable=False, unique=True),
        sa.Column("steps", sa.LargeBinary, nullable=False),
    )
    traces = sa.table(
        "traces", sa.column("steps", sa.LargeBinary), sa.column("schedule_id", sa.Integer)
    )
    schedules = sa.table(
        "schedules",
        sa.column("id", sa.Integer),
        sa.column("digest", sa.String),
        sa.column("steps", sa.LargeBinary),
    )
    connection = op.get_bind()
    distinct = connection.execute(sa.select(traces.c.steps).distinct()).scalars().all()
    if distinct:
        rows = [
            {"digest": hashlib.sha256(steps).hexdigest()[:32], "steps": steps} for steps in distinct
        ]
        connection.execute(sa.insert(schedules), rows)
    op.add_column("traces", sa.Column("schedule_id", sa.Integer))
    op.execute(
        sa.update(traces)
        .values(schedule_id=schedules.c.id)
        .where(schedules.c.steps == traces.c.steps)
    )
    with op.batch_alter_table("traces", table_kwargs={"sqlite_with_rowid": False}) as table:
        table.alter_column("schedule_id", existing_type=sa.Integer, nullable=False)
        table.create_foreign_key("traces_schedule_id_fkey", "schedules", ["schedule_id"], ["id"])
        table.drop_column("steps")
        table.alter_column("metric", existing_type=sa.String(32), type_=sa.Text)
