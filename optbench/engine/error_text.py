"""What a stranger's code raises, as text that a database, a page and a terminal can hold."""

from __future__ import annotations

import traceback

from optbench.plain_text import printable

LONGEST_ERROR = 4000
"""Characters of an error that are kept."""


def describe(error: BaseException) -> str:
    """Return an exception and its place as text that a database, a page and a terminal can hold."""
    text = "".join(traceback.format_exception_only(error)).strip()
    if len(text) > LONGEST_ERROR:
        text = f"{text[:LONGEST_ERROR]} ... ({len(text):,} characters)"
    if isinstance(error, SystemExit):
        text += " (it calls exit)"
    # The exit of an interactive Python raises in a file that nobody can look into.
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith("<frozen ")
    ]
    where = f"\n  at {frames[-1].filename}:{frames[-1].lineno}" if frames else ""
    return printable(text + where[: LONGEST_ERROR // 4])
