"""Where words for people go: standard error; standard output is for what was asked for."""

from __future__ import annotations

import typer
from rich.console import Console

from optbench.plain_text import printable

errors = Console(stderr=True, highlight=False, soft_wrap=True)


def say(text: str) -> None:
    """Print a line for people; names in it are data, never markup, emoji or a terminal's codes."""
    errors.print(printable(text), markup=False, emoji=False)


def tell(text: str) -> None:
    """Print a part of what was asked for; as with `say`, what a terminal obeys is written out."""
    typer.echo(printable(text))
