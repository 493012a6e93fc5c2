"""What Alembic runs: the migrations, in the transaction of the connection that it is given."""

from alembic import context

from optbench.store.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
)
with context.begin_transaction():
    context.run_migrations()
