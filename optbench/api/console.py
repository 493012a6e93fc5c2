"""Messages and progress for people: on standard error, or in a notebook."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.text import Text

from optbench.plain_text import on_a_line, printable

errors = Console(stderr=True, highlight=False, soft_wrap=True)


def say(text: str) -> None:
    """Print a line for people; names in it are data, never markup, emoji or a terminal's codes."""
    errors.print(printable(text), markup=False, emoji=False)


@contextlib.contextmanager
def doing(text: str) -> Iterator[Callable[[str], None]]:
    """Show what is being done, while it lasts; gives the function that changes the words."""
    # As text of rich's: a plain one is markup, and a commit's subject may hold a [/bracket].
    with errors.status(Text(on_a_line(text))) as status:
        yield lambda words: status.update(Text(on_a_line(words)))
