"""A command that is asked to end."""

from __future__ import annotations

import signal


def end_politely() -> None:
    """From now on SIGTERM is Ctrl-C: who cancels a job asks first, and what is done is kept."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
