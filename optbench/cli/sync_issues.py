"""``optbench sync-issues``: a nightly run's regressions as an issue."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from optbench.api.console import say
from optbench.cli.console import tell

DEFAULT_LABEL = "optbench-regression"


def sync_issues(
    night: Annotated[
        Path, typer.Argument(metavar="NIGHT.json", help="As optbench nightly writes it.")
    ],
    label: Annotated[
        str, typer.Option("--label", metavar="NAME", help="Of the issue; made if need be.")
    ] = DEFAULT_LABEL,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Say what would be done, and do nothing; without gh, too."),
    ] = False,
) -> None:
    """Open, edit or close the GitHub issue of a nightly run.

    One issue a branch, found again by its label and title. It is opened when a run regressed,
    edited while it does, and closed with a comment when it passes again; a run that could not
    measure changes nothing. Through gh, which takes GH_TOKEN and GH_REPO from the environment.
    Exit status: 0 done, whatever the verdict; 2 no such file, or gh is missing or refuses.
    """
    from optbench.nightly.issue import sync
    from optbench.nightly.outcome import read_nightly_run

    done, text = sync(read_nightly_run(night), label, dry_run=dry_run, say=say)
    tell(done)
    if dry_run and text:
        tell(text)
