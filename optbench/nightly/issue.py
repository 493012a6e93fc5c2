"""The issue on GitHub that says how the last nightly run of a branch regressed."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable

from pydantic import BaseModel, TypeAdapter, ValidationError

from optbench.errors import OptbenchError
from optbench.nightly.outcome import NightlyRun
from optbench.nightly.summary import summary
from optbench.plain_text import on_a_line
from optbench.reporting.markdown import escaped

TIMEOUT_S = 120.0
"""Limit of one call of ``gh``, in seconds."""

LONGEST_BODY = 60_000
"""Limit of an issue's text in characters; GitHub's own is 65,536."""

LONGEST_TEXT = 300
"""Limit of a name, a subject or an error in characters."""

NOT_LOGGED_IN = 4
"""Exit status of ``gh`` without credentials."""

_CALLS = re.compile(r"(@|#|(?i:gh)(?=-\d)|:(?=//)|(?i:www)(?=\.))")


class GhError(OptbenchError):
    """``gh`` is missing, or refused; the text says which."""


class Issue(BaseModel):
    """An open issue, as ``gh issue list`` describes it."""

    number: int
    title: str


def title(run: NightlyRun) -> str:
    """Return the title by which the issue of a branch is found again."""
    return f"optbench nightly regressed on {on_a_line(run.branch, 200) or 'a detached HEAD'}"


def body(run: NightlyRun) -> str:
    """Return the summary of a run as an issue may hold it."""
    text = summary(run, escaped=quoted)
    if len(text) > LONGEST_BODY:
        text = text[:LONGEST_BODY].rpartition("\n")[0] + "\n\nThe rest is in summary.md.\n"
    return text


def quoted(text: object) -> str:
    """Return text from elsewhere without markup, mentions, and links that close other issues.

    GitHub looks for names, numbers of issues and addresses in what is left after the markup, so
    that a backslash does not stop it. A space of no width does.
    """
    line = "".join(letter for letter in " ".join(str(text).split()) if letter.isprintable())
    return _CALLS.sub("\\1\u200b", escaped(on_a_line(line, LONGEST_TEXT)))


def sync(
    run: NightlyRun, label: str, *, dry_run: bool, say: Callable[[str], None]
) -> tuple[str, str]:
    """Open, edit or close the branch's issue; return what was done and the text of it.

    A run that could not measure changes nothing: what it does not list, it may not have looked at.

    Raises
    ------
    GhError
    """
    name = title(run)
    if run.verdict == "not measured":
        return "not measured: the issue is left as it is", ""
    try:
        listed = _gh("issue", "list", f"--label={label}", "--state=open", "--limit=1000",
                     "--json=number,title")  # fmt: skip
        issues = TypeAdapter(list[Issue]).validate_json(listed)
    except (GhError, ValidationError) as error:
        if not dry_run:
            raise
        say(f"as if there were no issue: {error}")
        issues = []
    number = next((str(each.number) for each in issues if each.title == name), None)
    if run.verdict == "passed":
        if number is None:
            return "passed, and no issue is open", ""
        comment = f"Commit {run.commit} passed on {run.started:%Y-%m-%d %H:%M}."
        if not dry_run:
            _gh("issue", "comment", number, "--body-file=-", text=comment)
            _gh("issue", "close", number)
        return f"{'would close' if dry_run else 'closed'} #{number}: {name}", comment
    text = body(run)
    if number is not None:
        if not dry_run:
            _gh("issue", "edit", number, "--body-file=-", text=text)
        return f"{'would edit' if dry_run else 'edited'} #{number}: {name}", text
    if not dry_run:
        _gh("label", "create", label, "--force", "--color=b60205", "--description=optbench nightly")
        address = _gh("issue", "create", f"--title={name}", f"--label={label}", "--body-file=-",
                      text=text)  # fmt: skip
        return f"opened {address}: {name}", text
    return f"would open an issue: {name}", text


def _gh(*arguments: str, text: str = "") -> str:
    """Return what ``gh`` prints; the text is its input."""
    call = " ".join(("gh", *arguments[:2]))
    try:
        answer = subprocess.run(
            ["gh", *arguments], input=text, capture_output=True, check=False, timeout=TIMEOUT_S,
            env={**os.environ, "GH_PROMPT_DISABLED": "1", "NO_COLOR": "1"}, encoding="utf-8",
            errors="replace",
        )  # fmt: skip
    except FileNotFoundError as error:
        raise GhError(
            "gh, the command line of GitHub, is not installed, or not on the PATH (--dry-run "
            "shows what would be done without it)"
        ) from error
    except subprocess.TimeoutExpired as error:
        raise GhError(f"{call} did not answer within {TIMEOUT_S:.0f} s") from error
    if answer.returncode == NOT_LOGGED_IN:
        raise GhError(f"{call}: gh is not logged in: set GH_TOKEN, or call gh auth login")
    if answer.returncode:
        raise GhError(f"{call}: {(answer.stderr or answer.stdout).strip()}")
    return answer.stdout.strip()
