"""The tables."""

from __future__ import annotations

from sqlalchemy import (
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

SCHEMA_VERSION = 1

metadata = MetaData()

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

runs = Table(
    "runs",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("key", String(32), nullable=False, unique=True),
    Column("optimizer", Text, nullable=False),
    Column("base", Text, nullable=False),
    Column("variant", Text, nullable=False),
    Column("problem_id", ForeignKey("problems.id"), nullable=False),
    Column("lr", Float, nullable=False),
    Column("hyperparameters", Text, nullable=False),
    Column("default", Boolean, nullable=False),
    Column("seed", Integer, nullable=False),
    Column("dtype", String(16), nullable=False),
    Column("device", String(32), nullable=False),
    Column("budget", Integer, nullable=False),
    Column("code", Text, nullable=False),
    Column("status", String(16), nullable=False),
    Column("error", Text),
    Column("steps", Integer, nullable=False),
    Column("initial_gap", Float),
    Column("final_gap", Float),
    Column("steps_to_target", Integer),
    Column("hits", Text, nullable=False),
    Column("seconds_per_step", Float),
    Column("state_bytes", Integer),
    Column("environment_id", ForeignKey("environments.id"), nullable=False),
)

traces = Table(
    "traces",
    metadata,
    Column("run_id", ForeignKey("runs.id"), primary_key=True),
    Column("metric", String(32), primary_key=True),
    # Little-endian int32 and float32, nothing else: no pickle ever.
    Column("steps", LargeBinary, nullable=False),
    Column("values", LargeBinary, nullable=False),
)
