"""The exceptions above all that optbench raises for what a user can mend."""

from __future__ import annotations


class OptbenchError(Exception):
    """Something is not as it has to be; the text says what, and what would help.

    All exceptions of optbench's own that a caller may want to catch descend from it.
    """


class WrongUse(OptbenchError, ValueError):
    """An argument or an option that makes no sense; the text says what would."""
