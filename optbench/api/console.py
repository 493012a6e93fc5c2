"""Messages and progress for people: on standard error, or in a notebook."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from optbench.plain_text import on_a_line, printable

if TYPE_CHECKING:
    from rich.console import Console


@functools.cache
def errors() -> Console:
    """Return standard error; rich is imported when something is printed, not by ``--help``."""
    from rich.console import Console

    # In a notebook rich needs widgets for what changes; lines need nothing.
    return Console(stderr=True, highlight=False, soft_wrap=True, force_jupyter=False)


def say(text: str) -> None:
    """Print a line for people; names in it are data, never markup, emoji or a terminal's codes."""
    errors().print(printable(text), markup=False, emoji=False)


@contextlib.contextmanager
def doing(text: str) -> Iterator[Callable[[str], None]]:
    """Show what is being done, while it lasts; gives the function that changes the words."""
    # As text of rich's: a plain one is markup, and a commit's subject may hold a [/bracket].
    from rich.text import Text

    with errors().status(Text(on_a_line(text))) as status:
        yield lambda words: status.update(Text(on_a_line(words)))
