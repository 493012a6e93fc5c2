"""The result of a check, as a value."""

from __future__ import annotations

import enum
import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from optbench.plain_text import printable


class Status(enum.StrEnum):
    """How a check ended."""

    PASSED = "passed"
    ADVICE = "advice"
    """Failed as respected libraries do on purpose; it counts only with ``--strict``."""
    FAILED = "failed"
    XFAILED = "xfailed"
    """Failed, and explained by a row of ``known_defects.toml``."""
    NOT_APPLICABLE = "not applicable"
    TIMEOUT = "timeout"
    """The check did not end within its time limit, and took no steps any more."""
    UNFINISHED = "unfinished"
    """The check was still taking steps at its time limit, which allows no conclusion."""
    CRASHED = "crashed"
    """The process ended in its middle: a call of exit, a signal."""
    NOT_CONSTRUCTIBLE = "not constructible"
    """No instance could be made of the target, so that nothing was checked."""
    NO_TARGET = "no target"
    """The target does not import, or is not an optimizer."""


BAD = frozenset({Status.FAILED, Status.TIMEOUT, Status.CRASHED})
"""Statuses of a failed check."""

UNCHECKED = frozenset({Status.NOT_CONSTRUCTIBLE, Status.NO_TARGET})

NOT_STARTED = (
    "did not start within {:g} s: to import the package, to construct the optimizer and its first "
    "steps took longer, as they do where torch.compile is at work (--timeout gives it more)"
)


@dataclass(frozen=True)
class CheckResult:
    """One row: an optimizer, a check, how it ended.

    Attributes
    ----------
    target, check : str
        The optimizer and the check, which is empty where the target could not be checked.
    status : Status
    text : str
        What failed, why it does not apply, or what was measured.
    seconds : float
        That it took.
    evidence : str
        Of a known defect: where it is reported.
    uncompiled : bool
        Something was given to torch.compile in its process, and run uncompiled.
    cause : str
        The exception behind it and its place, on one line; empty where none was raised.
    """

    target: str
    check: str
    status: Status
    text: str = ""
    seconds: float = 0.0
    evidence: str = ""
    cause: str = ""
    uncompiled: bool = False

    def __post_init__(self) -> None:
        # Names and messages are a stranger's; terminals, JSON and pages must be able to hold them.
        object.__setattr__(self, "text", printable(self.text))

    @property
    def reproduce(self) -> str:
        """The command that gives this result again."""
        target = shlex.quote(self.target)
        # Quoted in any case: a shell may know other wildcards.
        target = target if target.startswith("'") or "'" in target else f"'{target}'"
        return f"optbench check {target}" + (f" --only {self.check}" if self.check else "")

    def as_row(self, options: str = "") -> dict[str, Any]:
        """For JSON and frames; ``options`` are those that the examination was given."""
        row = {**asdict(self), "status": self.status.value, "seconds": round(self.seconds, 4)}
        if self.status in BAD | {Status.ADVICE, Status.XFAILED}:
            row["reproduce"] = self.reproduce + options
        return row


def options(reference: str, settings: Mapping[str, Any]) -> str:
    """Return the command-line options for a reference and settings."""
    given = [("--reference", reference)] if reference else []
    given += [("--set", f"{name}={value}") for name, value in settings.items()]
    return "".join(f" {option} {shlex.quote(value)}" for option, value in given)
