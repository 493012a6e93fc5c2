"""``optbench data-branch``: results of nightly runs, kept on a branch of the repository."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from optbench.api.console import say
from optbench.cli.options import StoreOption
from optbench.defaults import ASV_RESULTS, DEFAULT_STORE

if TYPE_CHECKING:
    from optbench.nightly.data_branch import DataBranch

app = typer.Typer(no_args_is_help=True)

BranchOption = Annotated[
    str, typer.Option("--branch", metavar="NAME", help="Made by the first push.")
]
RemoteOption = Annotated[str, typer.Option("--remote", metavar="NAME", help="Of the repository.")]
AsvOption = Annotated[Path, typer.Option("--asv", metavar="DIR", help="Folder of asv's results.")]
RepoOption = Annotated[
    Path, typer.Option("--repo", metavar="DIR", help="The repository.", show_default="here")
]

DEFAULT_BRANCH = "optbench-data"
DEFAULT_ASV = Path(ASV_RESULTS)
HERE = Path()


@app.callback()
def data_branch() -> None:
    """Keep the results of nightly runs on a branch.

    Neither command touches the checkout, the index, a local branch or anything else in .git.
    """


@app.command()
def pull(
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

    try:
        commit = _chosen(branch, remote, store, asv, repo).pull(say, force=force)
    except OSError as error:
        raise WrongUse(f"cannot write {error.filename}: {error.strerror}") from error
    if commit:
        typer.echo(commit)


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

    Exit status: 0 done, 1 somebody else pushed since the last pull (pull again, then push),
    2 wrong use, the branch would lose runs or files, or the remote cannot be written to.
    """
    from optbench.errors import WrongUse
    from optbench.nightly.data_branch import LostRace

    try:
        typer.echo(_chosen(branch, remote, store, asv, repo).push(say, drop=drop))
    except LostRace as race:
        say(f"error: {race}")
        raise typer.Exit(1) from race
    except OSError as error:
        raise WrongUse(f"cannot use {error.filename}: {error.strerror}") from error


def _chosen(branch: str, remote: str, store: str, asv: Path, repo: Path) -> DataBranch:
    from optbench.nightly.data_branch import DataBranch, store_file
    from optbench.sources.git import top_level
    from optbench.tracking.records import folder_of

    notes = folder_of(store, Path(DEFAULT_STORE).parent)
    return DataBranch(top_level(repo), remote, branch, store_file(store), notes, asv)
