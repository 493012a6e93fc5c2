"""Where words for people go: standard error; standard output is for what was asked for."""

from __future__ import annotations

from rich.console import Console

errors = Console(stderr=True, highlight=False, soft_wrap=True)


def say(text: str) -> None:
    """Print a line for people; names in it are data, never markup or emoji codes."""
    errors.print(text, markup=False, emoji=False)
