"""What a user names to compare: a revision, a requirement, a folder, or what is here now."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from pathlib import Path

from optbench.errors import OptbenchError
from optbench.plain_text import on_a_line, shown

WITHOUT_GIT = ", or compare folders and releases (dir:PATH, pip:REQUIREMENT)"
"""End of a message: what can be compared outside of a repository."""


class SourceError(OptbenchError):
    """A source that cannot be had; the text says why, and what would help."""


class Kind(enum.StrEnum):
    """What a source is."""

    REVISION = "revision"
    PIP = "pip"
    FOLDER = "dir"
    ENVIRONMENT = "env"
    WORKING_TREE = "working tree"


@dataclass(frozen=True)
class Source:
    """A kind, and what it is of that kind.

    Attributes
    ----------
    kind : Kind
    what : str
        The revision, the requirement, or the folder; empty for the working tree.
    """

    kind: Kind
    what: str = ""

    def __str__(self) -> str:
        """As it is written on the command line."""
        if self.kind in (Kind.REVISION, Kind.WORKING_TREE):
            return self.what or "working tree"
        return f"{self.kind.value}:{self.what}"


WORKING_TREE = Source(Kind.WORKING_TREE)


def existing(text: str) -> Path | None:
    """Return the path that a text names, with ``~`` for the home; None where nothing is there."""
    try:
        path = Path(text).expanduser()
        return path if path.exists() else None
    # Too long for a name, a home of nobody's, a zero byte: then it names no path.
    except (OSError, RuntimeError, ValueError):
        return None


def parse(text: str) -> Source:
    """Read ``REVISION``, ``pip:REQUIREMENT``, ``dir:PATH`` or ``env:PATH``.

    >>> parse("pip:tinyopt==1.2").kind.value, str(parse("main~3"))
    ('pip', 'main~3')

    Raises
    ------
    SourceError
        For an empty text, and for a path that is no revision, with the way to write it.
    """
    text = text.strip()
    prefix, colon, rest = text.partition(":")
    if colon and prefix in (Kind.PIP.value, Kind.FOLDER.value, Kind.ENVIRONMENT.value):
        if not rest.strip():
            raise SourceError(f"{shown(text)} names nothing after the colon")
        return Source(Kind(prefix), rest.strip())
    if not text:
        raise SourceError("an empty source: name a git revision, pip:REQUIREMENT or dir:PATH")
    if text.startswith("-"):
        raise SourceError(f"{shown(text)} is not a revision: those do not begin with a dash")
    if text in (".", "..") or (text.startswith(("./", "../", "~", "/")) and existing(text)):
        raise SourceError(f"{shown(text)} is a folder: write dir:{on_a_line(text)}")
    return Source(Kind.REVISION, text)
