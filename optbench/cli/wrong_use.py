"""A mistake in how the command was called; imports nothing, for every command imports it."""

from __future__ import annotations

from optbench.errors import OptbenchError


class WrongUse(OptbenchError, ValueError):
    """An argument that makes no sense; the text says what would."""
