"""From each schema to the next, by Alembic; `optbench.store.opening` runs them."""
