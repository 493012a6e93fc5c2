"""Changes that are wanted: a file in the repository, so that who reviews the code reviews them."""

from __future__ import annotations

import datetime
import json
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from optbench.errors import OptbenchError
from optbench.plain_text import first_mistake, shown, words
from optbench.registry import fits
from optbench.sources import git
from optbench.tracking.history import WORSE, History
from optbench.whole_files import read_whole, write_whole

FILE = "accepted.toml"

HEADING = """\
# Changes for the worse that are wanted, and why: `optbench accept COMMIT METRIC --why TEXT`.
# `optbench history --fail-on-new` and `optbench nightly` fail for what came after them alone.
"""


class WrongAcceptance(OptbenchError, ValueError):
    """A file of accepted changes that cannot be read; the text says where."""


class Accepted(BaseModel):
    """A change that is wanted.

    Attributes
    ----------
    commit : str
        Its full hash. What is older is accepted with it: it is the new normal.
    metric : str
        As `optbench history` calls it, or maths, convergence, speed, memory; a glob.
    optimizer, problem : str
        Whose, and where; globs.
    why : str
        The reason.
    on : date
        When it was accepted.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    commit: str = Field(pattern="^[0-9a-f]{40}([0-9a-f]{24})?$")
    metric: str = Field(min_length=1)
    optimizer: str = "*"
    problem: str = "*"
    why: str = Field(min_length=1)
    on: datetime.date

    def is_about(self, metric: str, optimizer: str, problem: str) -> bool:
        """Whether it speaks of this metric of this optimizer on this problem."""
        return all(
            fits(told, pattern)
            for told, pattern in (
                (metric, self.metric),
                (optimizer, self.optimizer),
                (problem, self.problem),
            )
        )


def read_accepted(repository: Path) -> tuple[Accepted, ...]:
    """Read what the repository accepts; nothing where there is no file.

    Raises
    ------
    WrongAcceptance
        With the place in the file.
    """
    path = repository / FILE
    if not path.exists():
        return ()
    try:
        text = read_whole(path).decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise WrongAcceptance(f"{path}: {words(error)}") from error
    return parse(text, str(path))


def parse(text: str, path: str) -> tuple[Accepted, ...]:
    """Return the rows of a file's text; ``path`` is named in what is wrong with it."""
    try:
        content = tomllib.loads(text)
    # ValueError: no TOML, or a number of more digits than Python reads.
    except (ValueError, RecursionError) as error:
        raise WrongAcceptance(f"{path}: {words(error)}") from error
    rows = content.pop("accepted", [])
    if content or not isinstance(rows, list):
        raise WrongAcceptance(f"{path}: only tables [[accepted]] are wanted")
    found = []
    for place, row in enumerate(rows, 1):
        try:
            found.append(Accepted.model_validate(row))
        except ValidationError as error:
            mistake = first_mistake(error)
            raise WrongAcceptance(f"{path}: [[accepted]] number {place}: {mistake}") from error
    return tuple(found)


def add_accepted(repository: Path, row: Accepted) -> bool:
    """Add a row; False where the file says so already.

    What stands in the file stays as it is, comments too.
    """
    said = read_accepted(repository)
    if any(row.model_copy(update={"on": old.on, "why": old.why}) == old for old in said):
        return False
    path = repository / FILE
    text = path.read_text("utf-8") if path.exists() else HEADING
    fields = row.model_dump(exclude_defaults=True)
    lines = [f"{key} = {_toml(value)}" for key, value in fields.items()]
    text = f"{text.rstrip()}\n\n[[accepted]]\n" + "\n".join(lines) + "\n"
    try:
        content = text.encode("utf-8")
    except UnicodeEncodeError as error:  # a shell gives half characters for what is no UTF-8
        raise WrongAcceptance(f"{path}: {shown(error.object[error.start])} is no text") from error
    write_whole(path, content)
    return True


def _toml(value: object) -> str:
    """Quote a basic string of TOML: that of JSON, with DEL escaped."""
    if isinstance(value, datetime.date):
        return value.isoformat()
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def accepted_at(repository: Path, commit: str) -> tuple[Accepted, ...]:
    """Read what the repository accepted as of a commit; nothing where its file cannot be read."""
    code, text, _ = git.run_git(repository, ("show", f"{commit}:{FILE}"))
    if code:
        return ()
    try:
        return parse(text, f"{FILE} of {commit[:10]}")
    except WrongAcceptance:
        return ()


def with_accepted(
    found: History,
    accepted: tuple[Accepted, ...],
    places: Mapping[str, int],
    known_at: Callable[[str], tuple[Accepted, ...]],
) -> History:
    """Return the history with the reason on every change for the worse that is wanted.

    A row is about the commits up to its own. Where a change may be of several commits and the row
    names one between, it covers the change if it was written after the newest of them was measured:
    one that stood there before says nothing of what came after its commit.

    Parameters
    ----------
    found : History
    accepted : tuple of Accepted
    places : mapping
        Commit to its place on the line.
    known_at : callable
        What was accepted as of a commit.
    """
    changes = []
    for change in found.changes:
        row = None
        if change.kind in WORSE:
            row = covering(
                accepted, change.metric, change.optimizer, change.problem, change.first, places
            )
        if row is not None and places[row.commit] < places[change.commit]:
            # Without an interval the place of the change is known as well as commits were measured.
            exact = not change.low < change.high
            row = None if exact and row in known_at(change.commit) else row
        changes.append(replace(change, accepted=row.why) if row is not None else change)
    return replace(found, changes=tuple(changes))


def covering(
    accepted: tuple[Accepted, ...],
    metric: str,
    optimizer: str,
    problem: str,
    first: str,
    places: Mapping[str, int],
) -> Accepted | None:
    """Return the newest row about a metric at ``first`` or a later commit, or None."""
    rows = [
        row
        for row in accepted
        if row.commit in places
        and first in places
        and places[row.commit] >= places[first]
        and row.is_about(metric, optimizer, problem)
    ]
    return max(rows, key=lambda row: places[row.commit], default=None)
