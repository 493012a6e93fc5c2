"""Which exceptions are the user's to mend, and what to tell them."""

from __future__ import annotations

import sys

from optbench.errors import OptbenchError
from optbench.plain_text import first_mistake


def wrong_use(error: Exception) -> str | None:
    """Return the message for an error that the user can mend; None for a defect of optbench."""
    if isinstance(error, OptbenchError):
        # KeyError and its kin quote their text when shown; args do not.
        return str(error.args[0]) if error.args else str(error)
    # What was never imported cannot have raised anything, and takes its time to import.
    if (pydantic := sys.modules.get("pydantic")) and isinstance(error, pydantic.ValidationError):
        return first_mistake(error)
    database = sys.modules.get("sqlalchemy.exc")
    if database and type(error) in (database.DatabaseError, database.OperationalError):
        # A damaged file, a full disk, a lock that nobody lets go of: of the store, not of ours.
        return f"the store cannot be used: {str(error.orig).splitlines()[0]}"  # type: ignore[attr-defined]
    return None
