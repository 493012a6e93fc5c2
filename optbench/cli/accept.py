"""``optbench accept``: a regression that is wanted."""

from __future__ import annotations

import datetime
import difflib
from pathlib import Path
from typing import Annotated

import typer

from optbench.api.console import say
from optbench.cli.compare import RepoOption
from optbench.defaults import ASV_RESULTS, DEFAULT_STORE


def accept(
    commit: Annotated[
        str, typer.Argument(help="Commit that changed it, or a later one.", show_default=False)
    ],
    metric: Annotated[
        str,
        typer.Argument(
            help="Metric as in optbench history, or maths, convergence, speed, memory; a glob.",
            show_default=False,
        ),
    ],
    why: Annotated[
        str, typer.Option("--why", metavar="TEXT", help="Reason, for readers of accepted.toml.")
    ],
    optimizer: Annotated[
        str, typer.Option("--optimizer", "-o", metavar="NAME", help="Optimizer name or glob.")
    ] = "*",
    problem: Annotated[
        str, typer.Option("--problem", "-p", metavar="NAME", help="Problem name or glob.")
    ] = "*",
    repo: RepoOption = None,
) -> None:
    """Accept a regression, with a reason.

    Adds a row to accepted.toml, to be committed.

    It holds for this commit and for all before it; what comes after fails the nightly run again.
    """
    from optbench.errors import WrongUse
    from optbench.sources import git
    from optbench.tracking.accepted import FILE, Accepted, add_accepted
    from optbench.tracking.commits import first_parents

    top = git.top_level(repo or Path.cwd())
    full = git.resolve(top, commit)
    if full not in set(first_parents(top)["commit"]):
        raise WrongUse(
            f"{commit} is not in HEAD's first-parent history: accepting it would have no effect"
        )
    if not why.strip():
        raise WrongUse("--why is empty: give the reason, for readers in a year")
    _require_known({"metric": metric, "optimizer": optimizer, "problem": problem}, top)
    row = Accepted(
        commit=full,
        metric=metric,
        optimizer=optimizer,
        problem=problem,
        why=why.strip(),
        on=datetime.datetime.now(datetime.UTC).date(),
    )
    if add_accepted(top, row):
        say(f"written to {top / FILE}: commit it")
    else:
        say(f"{top / FILE} says so already")


def _require_known(asked: dict[str, str], top: Path) -> None:
    """Refuse a name that nothing has: it would accept nothing, and nobody would see it."""
    from optbench import load
    from optbench.errors import WrongUse
    from optbench.tracking.repository_history import known
    from optbench.verdicts.comparison import RUNGS

    store, asv = top / DEFAULT_STORE, top / ASV_RESULTS
    results = load(str(store)) if store.exists() else None
    found = known(results, asv if asv.is_dir() else None)
    for what, name in asked.items():
        names = found[what] | (set(RUNGS) if what == "metric" else set())
        if any(each in name for each in "*?") or not found[what] or name in names:
            continue
        near = difflib.get_close_matches(name, sorted(names), n=3)
        hint = f"; did you mean {' or '.join(near)}?" if near else f": {', '.join(sorted(names))}"
        raise WrongUse(f"no result has the {what} {name!r}{hint}")
