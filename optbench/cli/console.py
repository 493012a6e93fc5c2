"""How a command prints, ends when it is interrupted, and explains an error."""

from __future__ import annotations

import signal
import sys

import typer

from optbench.errors import OptbenchError
from optbench.plain_text import first_mistake, printable

INTERRUPTED = 130
"""Exit status after Ctrl-C, as shells have it."""


def tell(text: str) -> None:
    """Print a line; control characters that a terminal would obey are escaped."""
    typer.echo(printable(text))


def end_politely() -> None:
    """From now on SIGTERM is Ctrl-C: who cancels a job asks first, and what is done is kept."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


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
