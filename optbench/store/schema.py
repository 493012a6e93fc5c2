"""The tables, as they are at `SCHEMA_VERSION`."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

SCHEMA_VERSION = 4
"""Number of the schema, raised by every change of a table: stores of another one are refused."""

metadata = MetaData()

# The version, in the same place in every schema.
meta = Table(
    "optbench_meta",
    metadata,
    Column("schema_version", Integer, nullable=False),
)

environments = Table(
    "environments",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("digest", Text, nullable=False, unique=True),
    Column("cpu", Text, nullable=False),
    Column("cores", Integer, nullable=False),
    Column("threads", Integer, nullable=False),
    Column("os", Text, nullable=False),
    Column("python", Text, nullable=False),
    Column("torch", Text, nullable=False),
    Column("numpy", Text, nullable=False),
    Column("optbench", Text, nullable=False),
    Column("device", Text, nullable=False),
    Column("commit", Text),
    Column("dirty", Boolean),
)

problems = Table(
    "problems",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("problem", Text, nullable=False),
    Column("problem_version", Integer, nullable=False),
    Column("data", Text, nullable=False),
    Column("family", Text, nullable=False),
    Column("dimension", Integer, nullable=False),
    Column("minimum", Float, nullable=False),
    Column("minimum_is_bound", Boolean, nullable=False),
    Column("target", Float, nullable=False),
    Column("targets", Text, nullable=False),
    Column("budget", Integer, nullable=False),
    Column("cite", Text, nullable=False),
    Column("summary", Text, nullable=False),
    UniqueConstraint("problem", "problem_version", "data"),
)

codes = Table(
    "codes",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("code", Text, nullable=False, unique=True),
)

runs = Table(
    "runs",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("key", String(32), nullable=False, unique=True),
    Column("optimizer", Text, nullable=False),
    Column("base", Text, nullable=False),
    Column("variant", Text, nullable=False),
    Column("problem_id", ForeignKey("problems.id"), nullable=False),
    # Empty: the optimizer has no learning rate.
    Column("lr", Float),
    Column("hyperparameters", Text, nullable=False),
    Column("default", Boolean, nullable=False),
    Column("seed", Integer, nullable=False),
    Column("dtype", String(16), nullable=False),
    Column("device", String(32), nullable=False),
    Column("budget", Integer, nullable=False),
    Column("status", String(16), nullable=False),
    Column("error", Text),
    Column("steps", Integer, nullable=False),
    Column("initial_gap", Float),
    Column("final_gap", Float),
    Column("steps_to_target", Integer),
    Column("hits", Text, nullable=False),
    Column("seconds_per_step", Float),
    Column("state_bytes", BigInteger),
    Column("environment_id", ForeignKey("environments.id"), nullable=False),
    Column("code_id", ForeignKey("codes.id", name="runs_code_id_fkey"), nullable=False),
    # How often it was done: a row that is replaced counts on.
    Column("attempts", Integer, nullable=False, server_default="1"),
    Column("seconds", Float),
)

# The logged steps are those of few schedules: each is kept once.
schedules = Table(
    "schedules",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("digest", String(32), nullable=False, unique=True),
    # Little-endian int32, nothing else: no pickle ever.
    Column("steps", LargeBinary, nullable=False),
)

traces = Table(
    "traces",
    metadata,
    Column("run_id", ForeignKey("runs.id"), primary_key=True),
    Column("metric", Text, primary_key=True),
    Column(
        "schedule_id",
        ForeignKey("schedules.id", name="traces_schedule_id_fkey"),
        nullable=False,
    ),
    # Little-endian float32, as many as the schedule has steps.
    Column("values", LargeBinary, nullable=False),
    # The rows stand in their key's order: no second tree beside that of the rows.
    sqlite_with_rowid=False,
)

# Who fills the store now; `optbench.store.coordination` says what it means.
coordinators = Table(
    "coordinators",
    metadata,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    # Seconds since 1970, by the database's clock.
    Column("heartbeat", BigInteger, nullable=False),
)

# Runs that a coordinator computes now.
claims = Table(
    "claims",
    metadata,
    Column("key", String(32), primary_key=True),
    Column("coordinator", ForeignKey("coordinators.number", ondelete="CASCADE"), nullable=False),
)
