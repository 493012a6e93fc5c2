"""``optbench announce``: a night's regressions as issues."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from optbench.api.console import say
from optbench.cli.console import tell

DEFAULT_LABEL = "optbench-regression"

DONE = {"open": "opened", "edit": "edited", "reopen": "reopened", "close": "closed"}


def announce(
    night: Annotated[
        Path, typer.Argument(metavar="NIGHT.json", help="As optbench nightly writes it.")
    ],
    label: Annotated[
        str, typer.Option("--label", metavar="NAME", help="Of the issues; made if need be.")
    ] = DEFAULT_LABEL,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Say what would be done, and do nothing; without gh, too."),
    ] = False,
) -> None:
    """Open, update and close GitHub issues for regressions.

    One issue a range of commits, found again by a hidden line. A regression that stands edits its
    issue and comments nothing; one that is gone closes it; a night that could not measure closes
    nothing. Through gh, which takes GH_TOKEN and GH_REPO from the environment. Exit status: 0
    done, whatever the night's verdict; 2 no such file, or gh is missing or refuses.
    """
    from optbench.nightly.announcement import Issue, read_night, steps
    from optbench.nightly.github_issues import GhError, carry_out, list_issues

    read = read_night(night)
    issues: list[Issue] = []
    try:
        issues = list_issues(label)
    except GhError as error:
        if not dry_run:
            raise
        say(f"as if there were no issues: {error}")
    todo = steps(read, issues)
    for step in todo:
        name = f"#{step.number}" if step.number is not None else "a new issue"
        if dry_run:
            tell(f"would {step.what} {name}: {step.title}")
            tell(step.comment or step.body)
        else:
            address = carry_out(step, label)
            where = address if step.what == "open" and address else name
            tell(f"{DONE[step.what]} {where}: {step.title}")
    if not todo:
        say(f"{read.verdict}: the issues say so already")
