"""What would change in a repository, shown as a diff, and written whole or not at all."""

from __future__ import annotations

import difflib
import enum
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from optbench.errors import OptbenchError
from optbench.whole_files import write_whole


class ScaffoldError(OptbenchError):
    """Nothing was written; the text says why, and what would help."""


class State(enum.StrEnum):
    """How a file that is wanted stands to the one that is there."""

    NEW = "new"
    SAME = "same"
    ADDED_TO = "added to"
    DIFFERS = "differs"


@dataclass(frozen=True)
class Change:
    """A file that is wanted.

    Attributes
    ----------
    path : PurePosixPath
        From the top of the repository.
    before : str or None
        What is there.
    after : str
        What is wanted.
    appended : bool
        Whether all that is there stays; then it needs no ``--force``.
    """

    path: PurePosixPath
    before: str | None
    after: str
    appended: bool = False

    @property
    def state(self) -> State:
        """How the two stand to each other; line ends do not count."""
        if self.before is None:
            return State.NEW
        if _lines(self.before) == _lines(self.after):
            return State.SAME
        return State.ADDED_TO if self.appended else State.DIFFERS

    def diff(self) -> str:
        """Return a unified diff, as ``git apply`` reads it."""
        return "".join(
            line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"
            for line in difflib.unified_diff(
                _lines(self.before or ""), _lines(self.after), f"a/{self.path}", f"b/{self.path}"
            )
        )


def _lines(text: str) -> list[str]:
    return text.replace("\r\n", "\n").splitlines(keepends=True)


def read(root: Path, path: PurePosixPath) -> str | None:
    """Return the content of a file; None where there is none.

    Raises
    ------
    ScaffoldError
        Where the file could not be put: there is a folder, or the way leads out of the repository.
    """
    place = _place(root, path)
    if place.is_dir():
        raise ScaffoldError(f"{path} is a folder: a file of that name is wanted")
    try:
        # Bytes, so that line ends stay as they are.
        return place.read_bytes().decode("utf-8")
    except FileNotFoundError:
        return None
    except NotADirectoryError as error:
        raise ScaffoldError(f"{path}: {path.parent} is no folder") from error
    except UnicodeDecodeError as error:
        raise ScaffoldError(f"{path} is no text in UTF-8, and is left as it is") from error
    except OSError as error:
        raise ScaffoldError(f"{path} cannot be read: {error.strerror}") from error


def _place(root: Path, path: PurePosixPath) -> Path:
    """Where a file really is: links within the repository are followed, others refused."""
    try:
        place = (root / path).resolve()
    except (OSError, RuntimeError) as error:  # links in a circle
        raise ScaffoldError(f"{path} leads nowhere: {error}") from error
    inside = root.resolve()
    if not place.is_relative_to(inside):
        raise ScaffoldError(f"{path} leads out of the repository, to {place}: nothing is written")
    if place.is_relative_to(inside / ".git"):
        raise ScaffoldError(f"{path} is a link into .git: nothing is written")
    return place


def write(root: Path, changes: Iterable[Change]) -> None:
    """Write files, each whole or not at all.

    Raises
    ------
    ScaffoldError
        Where one cannot be written. Those before it are; the same command goes on from there.
    """
    for change in changes:
        place = _place(root, change.path)
        try:
            write_whole(place, change.after.encode("utf-8"))
        except OSError as error:
            raise ScaffoldError(f"{change.path} cannot be written: {error.strerror}") from error
