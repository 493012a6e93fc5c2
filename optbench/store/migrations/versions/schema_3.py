"""Runs of optimizers without a learning rate."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """From schema 2."""
    with op.batch_alter_table("runs") as table:
        table.alter_column("lr", existing_type=sa.Float, nullable=True)
