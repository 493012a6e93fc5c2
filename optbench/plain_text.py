"""Text from outside (names, errors, values) as a terminal, a page and a message can hold it."""

from __future__ import annotations

import re
import traceback
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import ValidationError

LONGEST_SHOWN = 200
"""Characters of a value that a message shows."""

LONGEST_LINE = 1000
"""Characters of a stranger's text in a message of one line."""

COLOUR = re.compile("\x1b\\[[0-9;]*m")


def printable(text: str) -> str:
    """Return untrusted text without colours; lone surrogates and control characters are escaped."""
    return "".join(
        c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode()
        for c in COLOUR.sub("", text)
    )


def on_a_line(text: str, longest: int = LONGEST_LINE) -> str:
    """Return the same on one line of limited length; line ends are escaped."""
    line = printable(text[: longest + 1]).replace("\n", "\\n")
    return line if len(line) <= longest else f"{line[: longest - 1]}…"


def shown(value: object) -> str:
    """Return a value's ``repr`` on one line, shortened; never raise."""
    try:
        text = repr(value)
    # A number of more digits than Python writes, a list deeper than its stack, anybody's __repr__.
    except Exception:  # noqa: BLE001
        text = f"<{type(value).__name__}>"
    return on_a_line(text, LONGEST_SHOWN)


def words(error: BaseException) -> str:
    """Return an exception's message on one line; never raise."""
    try:
        text = str(error)
    # A __str__ is anybody's code, too.
    except Exception:  # noqa: BLE001
        text = traceback.format_exception_only(error)[-1]
    return on_a_line(text.strip())


def said(error: BaseException) -> str:
    """Return an exception as ``ValueError: text`` on one line; never raise."""
    return f"{type(error).__name__}: {words(error)}"


def first_mistake(error: ValidationError, *above: str) -> str:
    """Return pydantic's first error on one line: ``tool.optbench.path: text (got 3)``."""
    first = error.errors(include_url=False)[0]
    where = on_a_line(".".join((*above, *map(str, first["loc"]))), LONGEST_SHOWN) or "the file"
    return f"{where}: {on_a_line(first['msg'])} (got {shown(first['input'])})"
