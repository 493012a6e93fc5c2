"""Where words for people go: standard error; standard output is for what was asked for."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import typer

from optbench.plain_text import on_a_line, printable

if TYPE_CHECKING:
    from rich.console import Console


@functools.cache
def errors() -> Console:
    """Standard error. Imported when something is printed: ``--help`` does not wait for rich."""
    from rich.console import Console

    return Console(stderr=True, highlight=False, soft_wrap=True)


def say(text: str) -> None:
    """Print a line for people; names in it are data, never markup, emoji or a terminal's codes."""
    errors().print(printable(text), markup=False, emoji=False)


def tell(text: str) -> None:
    """Print a part of what was asked for; as with `say`, what a terminal obeys is written out."""
    typer.echo(printable(text))


@contextlib.contextmanager
def doing(text: str) -> Iterator[Callable[[str], None]]:
    """Show what is being done, while it lasts; gives the function that changes the words."""
    from rich.text import Text

    # As text of rich's: a plain one is markup, and a commit's subject may hold a [/bracket].
    with errors().status(Text(on_a_line(text))) as status:
        yield lambda words: status.update(Text(on_a_line(words)))
