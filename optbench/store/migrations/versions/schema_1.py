"""The first tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """From nothing."""
    op.create_table("optbench_meta", sa.Column("schema_version", sa.Integer, nullable=False))
    op.create_table(
        "environments",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("digest", sa.Text, nullable=False, unique=True),
        sa.Column("cpu", sa.Text, nullable=False),
        sa.Column("cores", sa.Integer, nullable=False),
        sa.Column("threads", sa.Integer, nullable=False),
        sa.Column("os", sa.Text, nullable=False),
        sa.Column("python", sa.Text, nullable=False),
        sa.Column("torch", sa.Text, nullable=False),
        sa.Column("numpy", sa.Text, nullable=False),
        sa.Column("optbench", sa.Text, nullable=False),
        sa.Column("device", sa.Text, nullable=False),
        sa.Column("commit", sa.Text),
        sa.Column("dirty", sa.Boolean),
    )
    op.create_table(
        "problems",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("problem", sa.Text, nullable=False),
        sa.Column("problem_version", sa.Integer, nullable=False),
        sa.Column("data", sa.Text, nullable=False),
        sa.Column("family", sa.Text, nullable=False),
        sa.Column("dimension", sa.Integer, nullable=False),
        sa.Column("minimum", sa.Float, nullable=False),
        sa.Column("minimum_is_bound", sa.Boolean, nullable=False),
        sa.Column("target", sa.Float, nullable=False),
        sa.Column("targets", sa.Text, nullable=False),
        sa.Column("budget", sa.Integer, nullable=False),
        sa.Column("cite", sa.Text, nullable=False),
        sa.Column("summary", sa.Text, nullable=False),
        sa.UniqueConstraint("problem", "problem_version", "data"),
    )
    op.create_table(
        "runs",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("key", sa.String(32), nullable=False, unique=True),
        sa.Column("optimizer", sa.Text, nullable=False),
        sa.Column("base", sa.Text, nullable=False),
        sa.Column("variant", sa.Text, nullable=False),
        sa.Column("problem_id", sa.Integer, sa.ForeignKey("problems.id"), nullable=False),
        sa.Column("lr", sa.Float, nullable=False),
        sa.Column("hyperparameters", sa.Text, nullable=False),
        sa.Column("default", sa.Boolean, nullable=False),
        sa.Column("seed", sa.Integer, nullable=False),
        sa.Column("dtype", sa.String(16), nullable=False),
        sa.Column("device", sa.String(32), nullable=False),
        sa.Column("budget", sa.Integer, nullable=False),
        sa.Column("code", sa.Text, nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("error", sa.Text),
        sa.Column("steps", sa.Integer, nullable=False),
        sa.Column("initial_gap", sa.Float),
        sa.Column("final_gap", sa.Float),
        sa.Column("steps_to_target", sa.Integer),
        sa.Column("hits", sa.Text, nullable=False),
        sa.Column("seconds_per_step", sa.Float),
        sa.Column("state_bytes", sa.Integer),
        sa.Column("environment_id", sa.Integer, sa.ForeignKey("environments.id"), nullable=False),
    )
    op.create_table(
        "traces",
        sa.Column("run_id", sa.Integer, sa.ForeignKey("runs.id"), primary_key=True),
        sa.Column("metric", sa.String(32), primary_key=True),
        sa.Column("steps", sa.LargeBinary, nullable=False),
        sa.Column("values", sa.LargeBinary, nullable=False),
    )
