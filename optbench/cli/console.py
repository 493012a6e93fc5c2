"""What a command was asked for, on standard output; messages go to `optbench.api.console`."""

from __future__ import annotations

import typer

from optbench.plain_text import printable


def tell(text: str) -> None:
    """Print a line; control characters that a terminal would obey are escaped."""
    typer.echo(printable(text))
