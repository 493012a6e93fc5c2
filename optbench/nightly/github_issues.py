"""Issues of a GitHub repository, through its command line ``gh``."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, TypeAdapter, ValidationError

from optbench.errors import OptbenchError
from optbench.nightly.announcement import Issue, Step

MOST_ISSUES = 1000
"""That are looked through; gh fetches as many pages as that takes."""

PATIENCE_S = 120.0
"""For one call."""

COLOR = "b60205"
ABOUT = "Found by optbench nightly"


class GhError(OptbenchError):
    """``gh`` is missing, or refused; the text says which."""


class _Listed(BaseModel):
    """An issue, as ``gh issue list`` tells of it."""

    number: int
    title: str
    body: str
    state: Literal["OPEN", "CLOSED"]


def list_issues(label: str) -> list[Issue]:
    """The open and the closed issues of a label.

    Raises
    ------
    GhError
    """
    out = _gh(
        "issue", "list", f"--label={label}", "--state=all", f"--limit={MOST_ISSUES}",
        "--json=number,title,body,state",
    )  # fmt: skip
    try:
        listed = TypeAdapter(list[_Listed]).validate_json(out)
    except ValidationError as error:
        raise GhError(f"gh issue list answered with no list of issues: {out[:200]!r}") from error
    return [Issue(each.number, each.title, each.body, each.state == "OPEN") for each in listed]


def carry_out(step: Step, label: str) -> str:
    """Do it; gives what ``gh`` printed, the address of a new issue.

    Raises
    ------
    GhError
    """
    if step.what == "close":
        return _gh("issue", "close", str(step.number), f"--comment={step.comment}")
    with _file(step.body) as body:
        text = (f"--title={step.title}", f"--body-file={body}")
        if step.what == "open":
            _gh("label", "create", label, "--force", f"--color={COLOR}", f"--description={ABOUT}")
            return _gh("issue", "create", *text, f"--label={label}")
        if step.what == "reopen":
            # Before the text: one that was reopened only is edited by the next night.
            _gh("issue", "reopen", str(step.number), f"--comment={step.comment}")
        return _gh("issue", "edit", str(step.number), *text)


@contextmanager
def _file(text: str) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="optbench-") as folder:
        path = Path(folder) / "body.md"
        path.write_text(text, encoding="utf-8", errors="replace")
        yield path


def _gh(*arguments: str) -> str:
    environment = {**os.environ, "GH_PROMPT_DISABLED": "1", "NO_COLOR": "1"}
    call = _shown(arguments)
    try:
        answer = subprocess.run(
            ["gh", *arguments], capture_output=True, check=False, env=environment,
            stdin=subprocess.DEVNULL, timeout=PATIENCE_S, encoding="utf-8", errors="replace",
        )  # fmt: skip
    except FileNotFoundError as error:
        raise GhError(
            "gh, the command line of GitHub, is not installed, or not on the PATH "
            "(--dry-run shows what would be told, without it)"
        ) from error
    except subprocess.TimeoutExpired as error:
        raise GhError(f"{call} did not answer within {PATIENCE_S:.0f} s") from error
    if answer.returncode:
        said = answer.stderr.strip() or answer.stdout.strip() or f"status {answer.returncode}"
        raise GhError(f"{call}: {said}")
    return answer.stdout.strip()


def _shown(arguments: Sequence[str]) -> str:
    return " ".join(["gh", *(word for word in arguments[:3] if not word.startswith("-"))])
