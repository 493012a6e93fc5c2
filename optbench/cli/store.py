"""``optbench store``: what can be done to a store as a whole."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True)


@app.callback()
def store() -> None:
    """Merge stores."""
    # With a callback, `merge` stays a subcommand: Typer folds an app of one command into it.


@app.command()
def merge(
    into: Annotated[
        Path, typer.Argument(metavar="A", help="SQLite file; made where there is none.")
    ],
    source: Annotated[
        Path, typer.Argument(metavar="B", help="SQLite file; it is only read.", exists=True)
    ],
    force: Annotated[
        bool, typer.Option("--force", help="Where a run differs, take that of B.")
    ] = False,
) -> None:
    """Add the runs of store B to store A.

    A run that A holds as failed, and B not, is taken from B; another that differs stays as it is
    in A. B is checked before A is touched. Exit status: 0 done; 2 wrong use, or one of them is
    damaged.
    """
    from optbench.errors import WrongUse
    from optbench.nightly.merge_stores import check_values
    from optbench.nightly.merge_stores import merge as merge_stores

    try:
        check_values(source)
        merged = merge_stores(source, into, prefer_source=force)
    except OSError as error:
        raise WrongUse(f"cannot use {error.filename}: {error.strerror}") from error
    typer.echo(f"{source}: {merged}")
