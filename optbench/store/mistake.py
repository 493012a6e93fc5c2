"""What a store says when it cannot be used."""

from __future__ import annotations


class StoreError(RuntimeError):
    """A store that cannot be opened, read or written; the text says why, and what would help."""


def reason(error: BaseException) -> str:
    """The first line of what the database said, without SQLAlchemy's words around it."""
    return (str(getattr(error, "orig", None) or error).splitlines() or [type(error).__name__])[0]
