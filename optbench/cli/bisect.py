"""``optbench bisect``: which commit did it?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from optbench.api.console import say
from optbench.cli.compare import (
    InstallOption,
    LimitOption,
    PathOption,
    ProblemOption,
    RepoOption,
    SeedsOption,
    TargetOption,
    write_json,
)
from optbench.cli.console import INTERRUPTED, tell
from optbench.cli.options import OverlayOption, compare_option, output_option, require_writable

if TYPE_CHECKING:
    from optbench.comparison.bisection import Tried


def bisect(
    good: Annotated[
        str, typer.Argument(metavar="GOOD", help="Revision before the change.", show_default=False)
    ],
    bad: Annotated[str, typer.Argument(metavar="BAD", help="Revision after it.")] = "HEAD",
    optimizer: TargetOption = None,
    on: Annotated[
        str,
        compare_option(
            "--on", metavar="RUNG", help="Question: maths, convergence, speed or memory."
        ),
    ] = "maths",
    repo: RepoOption = None,
    path: PathOption = None,
    install: InstallOption = None,
    overlay: OverlayOption = "",
    limit: LimitOption = 60.0,
    seeds: SeedsOption = 24,
    problem: ProblemOption = None,
    json_file: Annotated[
        Path | None,
        output_option(
            "--json",
            metavar="FILE",
            help="Write every tried commit as JSON; - for standard output.",
        ),
    ] = None,
) -> None:
    """Find the first commit that changed an optimizer.

    Commits that do not import are passed over. Exit status: 0 the commit was found, 1 those that
    could not be tried stand in the way, 2 wrong use, or there is no such change.
    """
    from optbench.api.compare import bisect as search

    if json_file is not None and str(json_file) != "-":
        require_writable(json_file, "--json")
    quiet = str(json_file) == "-"

    def done(tried: Tried) -> None:
        if not quiet:
            tell(f"{tried.judgement:<5} {tried.commit[:10]} {tried.subject}: {tried.text}")

    try:
        found = search(
            good,
            bad,
            optimizers=optimizer or (),
            on=on,
            repository=repo,
            path=path,
            install=install,
            overlay=overlay,
            problems=problem or (),
            seeds=seeds,
            timeout=limit,
            done=done,
        )
    except KeyboardInterrupt as interrupt:
        say("interrupted: the first bad commit was not found")
        raise typer.Exit(INTERRUPTED) from interrupt
    if json_file is not None:
        write_json(json_file, found.as_json())
    compared = sum(each.judgement != "skip" for each in found.tried)
    passed = len(found.tried) - compared
    counted = f"{compared} comparisons" + (f", {passed} commits passed over" if passed else "")
    if not found.first_bad:
        say(
            f"the first bad commit is one of these {len(found.suspects)}; the skipped ones among "
            "them could not be compared"
        )
        for commit in found.suspects:
            tell(f"  {commit[:10]}")
        say(f"{counted}, in {found.seconds:.0f} s")
        raise typer.Exit(1)
    if not quiet:
        tell(f"first bad commit: {found.described}")
        assert found.evidence is not None
        tell(f"    {found.evidence.rows[0].name}: {found.evidence.text}")
    say(f"{counted}, in {found.seconds:.0f} s")
