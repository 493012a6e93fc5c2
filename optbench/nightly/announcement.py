"""What is told of a night's regressions: an issue a range of commits, opened, kept up and closed.

An issue is found again by marker lines in its text, one for its range and one for each regression,
because the range of a regression shrinks when commits between are measured later. What comes from
outside (names, subjects, errors) is text, and neither markup nor a call to anybody.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from optbench.errors import OptbenchError
from optbench.plain_text import first_mistake
from optbench.reporting.markdown import escaped
from optbench.whole_files import read_whole

MOST_ROWS = (50, 20, 8, 3, 1)
"""Of a table: the first number whose text is short enough."""

LONGEST_BODY = 60_000
"""In bytes; a host takes 65,536 characters."""

LONGEST_TITLE = 200
LONGEST_TEXT = 300
LONGEST_COMMAND = 2000

Commit = Annotated[str, Field(pattern=r"^[0-9a-f]{40}([0-9a-f]{24})?$")]


class NotANight(OptbenchError, ValueError):
    """A file that is no night's verdict; the text says what is wrong with it."""


class Regression(BaseModel):
    """What got worse, as ``night.json`` has it.

    Attributes
    ----------
    key : str
        The same in every night that sees it.
    first, commit : str or None
        The oldest and the newest commit that it may have come with.
    """

    model_config = ConfigDict(frozen=True)

    key: str = Field(min_length=1, max_length=1000)
    metric: str
    optimizer: str
    problem: str | None = None
    first: Commit | None = None
    commit: Commit | None = None
    subject: str = ""
    size: str = ""
    text: str = ""
    reproduce: str = ""


class Night(BaseModel):
    """Of ``night.json``, what is told."""

    model_config = ConfigDict(frozen=True)

    schema_: Literal[1] = Field(alias="schema")
    verdict: Literal["good", "regressed", "not measured"]
    commit: Commit
    started: datetime
    regressions: tuple[Regression, ...]


@dataclass(frozen=True)
class Issue:
    """An issue as it is.

    Attributes
    ----------
    number : int
    title, body : str
    is_open : bool
    """

    number: int
    title: str
    body: str
    is_open: bool


@dataclass(frozen=True)
class Step:
    """Something to do with an issue.

    Attributes
    ----------
    what : str
        ``open``, ``edit``, ``reopen`` or ``close``.
    number : int or None
        None for one that is not there yet.
    title, body : str
        As they are to be; unused where it is closed.
    comment : str
        To say with it.
    """

    what: Literal["open", "edit", "reopen", "close"]
    number: int | None
    title: str
    body: str
    comment: str = ""


def read_night(path: Path) -> Night:
    """A night's verdict.

    Raises
    ------
    NotANight
    """
    try:
        return Night.model_validate_json(read_whole(path))
    except OSError as error:
        raise NotANight(f"cannot read {path}: {error.strerror}") from error
    except ValidationError as error:
        raise NotANight(f"{path} is no night's verdict: {first_mistake(error)}") from error


def steps(night: Night, issues: Iterable[Issue]) -> list[Step]:
    """What is to be done so that the issues say what the night says.

    A night that could not measure opens what it saw, and neither closes nor changes what stands:
    what it does not list, it may not have looked at.
    """
    # The open ones first, of these the newest: an old one may be about the same.
    known = sorted(issues, key=lambda issue: (not issue.is_open, -issue.number))
    by_marker: dict[str, Issue] = {}
    for issue in known:
        for marker in markers(issue.body):
            # Of what nobody knows the commit of, two are not the same for that.
            if issue.is_open or marker != _UNKNOWN:
                by_marker.setdefault(marker, issue)
    of_issue: dict[int, list[Regression]] = {}
    of_range: dict[str, list[Regression]] = {}
    for regression in night.regressions:
        its = by_marker.get(_of_key(regression)) or by_marker.get(_of_range(regression))
        if its is not None:
            of_issue.setdefault(its.number, []).append(regression)
        else:
            of_range.setdefault(_of_range(regression), []).append(regression)
    todo = [Step("open", None, title(rows), body(rows)) for rows in of_range.values()]
    for issue in sorted(known, key=lambda issue: issue.number):
        step = _of_known(night, issue, of_issue.get(issue.number, ()))
        if step is not None:
            todo.append(step)
    return todo


def _of_known(night: Night, issue: Issue, rows: Sequence[Regression]) -> Step | None:
    when = f"the night of {night.started:%Y-%m-%d %H:%M} at {night.commit}"
    measured = night.verdict != "not measured"
    if not rows:
        # One without a marker is somebody's own, whatever its label.
        if not issue.is_open or not measured or not markers(issue.body):
            return None
        gone = f"Not seen any more in {when}."
        return Step("close", issue.number, issue.title, issue.body, gone)
    wanted = (title(rows), body(rows))
    if not issue.is_open:
        return Step("reopen", issue.number, *wanted, f"Seen again in {when}.")
    if not measured or wanted == (issue.title, _normal(issue.body)):
        return None
    return Step("edit", issue.number, *wanted)


def markers(text: str) -> list[str]:
    """The marker lines of an issue's text, without what hides them."""
    # Those above the table: what is below comes from elsewhere.
    return _MARKER.findall(_normal(text).partition("\n| ")[0])


_MARKER = re.compile(r"^<!-- optbench: (\S+) -->$", re.MULTILINE)


def _normal(text: str) -> str:
    # What was edited in a browser comes back with its ends of lines.
    return text.replace("\r\n", "\n").strip() + "\n"


def _of_key(regression: Regression) -> str:
    return f"key={_word(regression.key)}"


def _of_range(regression: Regression) -> str:
    return f"range={regression.first or ''}..{regression.commit or ''}"


_UNKNOWN = "range=.."


def _word(text: str) -> str:
    # Two dashes would end a comment in HTML.
    return quote(text, safe=":/[]=+,").replace("--", "-%2D")


def title(rows: Sequence[Regression]) -> str:
    """One line: what, on what, since when."""
    first = rows[0]
    since = f" ({first.commit[:10]})" if first.commit else ""
    if len(rows) > 1:
        names = sorted({_line(row.optimizer) for row in rows})
        who = names[0] if len(names) == 1 else f"{len(names)} optimizers"
        text = f"{who}: {len(rows)} regressions"
    else:
        where = f" on {_line(first.problem)}" if first.problem else ""
        text = f"{_line(first.optimizer)}: {_line(first.metric)} regressed{where}"
    return _short(text, LONGEST_TITLE) + since


def body(rows: Sequence[Regression]) -> str:
    """The whole text of an issue: markers, a table, and the lines that show each again."""
    ordered = sorted(rows, key=lambda row: (row.optimizer, row.problem or "", row.metric, row.key))
    texts = (_body(ordered[:most], len(ordered[most:])) for most in MOST_ROWS)
    return next(text for text in texts if len(text.encode("utf-8")) <= LONGEST_BODY)


def _body(shown: Sequence[Regression], more: int) -> str:
    hidden = dict.fromkeys([*map(_of_range, shown), *map(_of_key, shown)])
    table = [
        "| optimizer | metric | problem | size | commits | |",
        "|---|---|---|---|---|---|",
        *("| " + " | ".join(_cells(row)) + " |" for row in shown),
    ]
    subjects = dict.fromkeys(
        f"{row.commit}: {quoted(row.subject)}" for row in shown if row.commit and row.subject
    )
    commands = dict.fromkeys(_line(row.reproduce) for row in shown if row.reproduce.strip())
    # Half a command would do something else.
    commands = {each: None for each in commands if len(each) <= LONGEST_COMMAND}
    parts = ["\n".join(f"<!-- optbench: {marker} -->" for marker in hidden), "\n".join(table)]
    if more:
        parts.append(f"And {more} more.")
    if subjects:
        parts.append("\n".join(f"- {subject}" for subject in subjects))
    if commands:
        parts += ["To see it again:", _block(list(commands))]
    parts.append(
        "A change that is meant is recorded by `optbench accept COMMIT METRIC --why TEXT`.\n"
        "`optbench announce` writes this text anew after each night, and closes the issue when "
        "what it tells of is gone. Comments stay."
    )
    return "\n\n".join(parts) + "\n"


def _cells(row: Regression) -> list[str]:
    words = [quoted(text or "-") for text in (row.optimizer, row.metric, row.problem, row.size)]
    return [*words, _range(row), quoted(row.text)]


def _range(row: Regression) -> str:
    # A bare hash becomes a link to the commit.
    if row.commit is None:
        return "unknown"
    return row.commit if row.first in (None, row.commit) else f"{row.first} to {row.commit}"


def quoted(text: str) -> str:
    """Somebody's text in Markdown: without markup, and without calling or linking anybody.

    A host looks for names, numbers of issues and addresses in what is left after the markup, so
    that a backslash does not stop it. A space of no width does.
    """
    return _CALLS.sub("\\1\u200b", escaped(_short(_line(text), LONGEST_TEXT)))


_CALLS = re.compile(r"(@|#|(?i:gh)(?=-\d)|:(?=//)|(?i:www)(?=\.))")


def _line(text: str) -> str:
    """On one line, without what is not seen or turns the direction of reading."""
    return "".join(letter for letter in " ".join(text.split()) if letter.isprintable())


def _short(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"


def _block(lines: Sequence[str]) -> str:
    """Lines as code; the fence is longer than any that is in them."""
    longest = max((len(run) for line in lines for run in re.findall("`+", line)), default=0)
    fence = "`" * max(3, longest + 1)
    return "\n".join([f"{fence}sh", *lines, fence])
