"""``optbench results``: what the nights found, kept on a branch of the repository."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from optbench.api.console import say
from optbench.cli.options import StoreOption
from optbench.defaults import ASV_RESULTS, DEFAULT_STORE

if TYPE_CHECKING:
    from optbench.nightly.data_branch import DataBranch
    from optbench.nightly.kept_results import Fetched, Places, Pushed

app = typer.Typer(no_args_is_help=True)

BranchOption = Annotated[
    str, typer.Option("--branch", metavar="NAME", help="Made by the first push.")
]
RemoteOption = Annotated[str, typer.Option("--remote", metavar="NAME", help="Of the repository.")]
AsvOption = Annotated[Path, typer.Option("--asv", metavar="DIR", help="Where asv's results are.")]
RepoOption = Annotated[
    Path, typer.Option("--repo", metavar="DIR", help="Whose remote it is.", show_default="here")
]

DEFAULT_BRANCH = "optbench-data"
DEFAULT_ASV = Path(ASV_RESULTS)
HERE = Path()


@app.callback()
def results() -> None:
    """Keep nightly results on a branch.

    Neither command touches the checkout, the index, a local branch or anything else in .git.
    """


@app.command()
def fetch(
    branch: BranchOption = DEFAULT_BRANCH,
    remote: RemoteOption = "origin",
    store: StoreOption = DEFAULT_STORE,
    asv: AsvOption = DEFAULT_ASV,
    repo: RepoOption = HERE,
    force: Annotated[
        bool,
        typer.Option("--force", help="Where a run or a file differs, take the branch's."),
    ] = False,
) -> None:
    """Add what the branch holds to what is here. Nothing that is here is lost.

    Runs are added to the store, records to .optbench/nights.jsonl, and files that are not here
    are written; one that is here and differs stays, and is named. Exit status: 0 done, also where
    there is no such branch yet; 2 the branch is damaged or cannot be had, and nothing was changed.
    """
    from optbench.errors import WrongUse
    from optbench.nightly import kept_results

    chosen, places = _chosen(branch, remote, store, asv, repo)
    try:
        fetched = kept_results.fetch(chosen, places, say, force=force)
    except OSError as error:
        raise WrongUse(f"cannot write {error.filename}: {error.strerror}") from error
    if fetched is None:
        say(f"there is no branch {chosen} yet: the first push makes it")
        return
    for name in fetched.kept:
        say(f"as it is here, not as on the branch (--force takes that): {places.local(name)}")
    say(f"{chosen}: {_told(fetched)}")
    typer.echo(fetched.commit)


@app.command()
def push(
    branch: BranchOption = DEFAULT_BRANCH,
    remote: RemoteOption = "origin",
    store: StoreOption = DEFAULT_STORE,
    asv: AsvOption = DEFAULT_ASV,
    repo: RepoOption = HERE,
    drop: Annotated[
        bool, typer.Option("--drop", help="Also what is missing here and the branch would lose.")
    ] = False,
) -> None:
    """Make the branch hold what is here: one commit, without history, that replaces the last.

    Without history, because the store is some twenty megabytes every night and a repository must
    not grow by that. Only what was fetched is replaced. Exit status: 0 done, 1 somebody else
    pushed since (fetch again, then push), 2 wrong use, or the remote cannot be written to.
    """
    from optbench.errors import WrongUse
    from optbench.nightly import kept_results
    from optbench.nightly.data_branch import LostRace

    chosen, places = _chosen(branch, remote, store, asv, repo)
    try:
        pushed = kept_results.push(chosen, places, say, drop=drop)
    except LostRace as race:
        say(f"error: {race}")
        raise typer.Exit(1) from race
    except OSError as error:
        raise WrongUse(f"cannot use {error.filename}: {error.strerror}") from error
    say(f"{chosen}: {_kept(pushed)}")
    typer.echo(pushed.commit)


def _chosen(
    branch: str, remote: str, store: str, asv: Path, repo: Path
) -> tuple[DataBranch, Places]:
    from optbench.nightly.data_branch import DataBranch
    from optbench.nightly.kept_results import Places, store_file
    from optbench.sources.git import top_level
    from optbench.tracking.records import folder_of

    places = Places(store_file(store), folder_of(store, Path(DEFAULT_STORE).parent), asv)
    return DataBranch(top_level(repo), remote, branch), places


def _told(fetched: Fetched) -> str:
    parts = []
    if fetched.store is not None:
        parts.append(f"{fetched.store.there:,} runs, {fetched.store.added:,} of them new here")
        if fetched.store.replaced:
            parts.append(f"{fetched.store.replaced:,} runs replaced")
        if fetched.store.kept:
            parts.append(f"{fetched.store.kept:,} runs stay as they are here")
        if fetched.store.only_here:
            parts.append(f"{fetched.store.only_here:,} runs are only here")
    parts += [f"{fetched.nights} new nights", f"{len(fetched.new)} new files"]
    return "; ".join(parts)


def _kept(pushed: Pushed) -> str:
    if not pushed.news:
        return "it holds just that already"
    return f"{pushed.runs:,} runs in {pushed.size / 1e6:.1f} MB, {pushed.files} files in all"
