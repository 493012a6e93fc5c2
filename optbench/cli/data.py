"""``optbench data``: bring the data that does not ship with the package."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True)


@app.callback()
def data() -> None:
    """Download data that does not ship with optbench."""
    # With a callback, `mnist` stays a subcommand: Typer folds an app of one command into it.


@app.command()
def mnist(
    to: Annotated[
        Path, typer.Option("--to", metavar="DIR", help="Folder for the files; made if need be.")
    ],
    mirror: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            envvar="OPTBENCH_MIRROR",
            help="Address of a folder with the files.",
            show_default="a public mirror",
        ),
    ] = None,
) -> None:
    """Download the official MNIST digits: four files, 11.6 MB, checked by md5, resumable."""
    from optbench.problems.download import DEFAULT_MIRROR, DownloadFailed
    from optbench.problems.mnist import DATA_VARIABLE

    try:
        _download_with_bars(to, mirror or DEFAULT_MIRROR)
    except (DownloadFailed, ValueError) as error:
        _refuse(str(error), error)
    except OSError as error:
        _refuse(f"cannot write to {error.filename or to}: {error.strerror or error}", error)
    folder = shlex.quote(str(to))
    typer.echo(
        f"The official digits are in {to}, each file with the right md5. To use them:\n"
        f"  optbench run --data {folder} ...   (or {DATA_VARIABLE}={folder})\n"
        f"The problem mnist-logistic needs its reference minimum on them, found once by:\n"
        f"  python -m optbench.problems.find_minima mnist-logistic --to {folder}"
    )


def _download_with_bars(to: Path, mirror: str) -> None:
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn

    from optbench.problems.download import download

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    # On stderr, so that a pipe gets the closing message alone.
    with Progress(*columns, console=Console(stderr=True)) as bars:
        tasks: dict[str, TaskID] = {}

        def show(name: str, done: int, total: int | None) -> None:
            if name not in tasks:
                tasks[name] = bars.add_task(name, total=None)
            bars.update(tasks[name], completed=done, total=total)

        download(to, mirror, show)


def _refuse(message: str, error: Exception) -> None:
    typer.echo(message, err=True)
    raise typer.Exit(2) from error
