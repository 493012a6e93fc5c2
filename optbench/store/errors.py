"""What a store says when it cannot be used."""

from __future__ import annotations

from optbench.errors import OptbenchError
from optbench.plain_text import on_a_line


class StoreError(OptbenchError, RuntimeError):
    """A store that cannot be opened, read or written; a line says why, and what would help."""

    def __init__(self, text: str) -> None:
        super().__init__(on_a_line(text))


def no_store(path: object) -> StoreError:
    """Return the error for a path where there is no file."""
    return StoreError(f"there is no store at {path} (optbench run --store {path} makes one)")


def reason(error: BaseException) -> str:
    """Return the first line of the database's message, without SQLAlchemy's additions."""
    return (str(getattr(error, "orig", None) or error).splitlines() or [type(error).__name__])[0]
