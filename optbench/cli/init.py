"""``optbench init``: put benchmarks, the contract and workflows into another repository."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from optbench.api.console import doing, say
from optbench.cli.compare import TargetOption
from optbench.cli.console import tell

if TYPE_CHECKING:
    from optbench.scaffold import Change, Draft


def init(
    folder: Annotated[
        Path, typer.Argument(metavar="[DIR]", help="Folder of the repository.", show_default="here")
    ] = Path(),
    optimizer: TargetOption = None,
    force: Annotated[bool, typer.Option("--force", help="Replace files that differ.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the changes, and write nothing.")
    ] = False,
    optbench: Annotated[
        str | None,
        typer.Option(
            "--optbench",
            metavar="REQUIREMENT",
            help="How optbench is installed there: a version, or optbench @ git+https://...@TAG.",
            show_default="optbench==the version of this one",
        ),
    ] = None,
) -> None:
    """Set up benchmarks, contract tests and CI in a repository.

    Finds the optimizers (its packages are imported, which runs their code), and writes
    [tool.optbench], asv.conf.json, benchmarks/, a test file with the contract, three GitHub
    workflows and lines in .gitignore. A file that differs is left alone and the difference shown;
    a second run has nothing to do. docs/in-your-repository.md says what each file is for.

    Exit status: 0, 1 some files differ and were left as they are, 2 wrong use.
    """
    from optbench.scaffold import draft, write
    from optbench.scaffold.changes import State
    from optbench.scaffold.pins import not_from_an_index

    with doing("looking") as show:
        drafted = draft(folder, optimizer or (), optbench, tell=show)
    _tell_optimizers(drafted)
    wanted: list[Change] = []
    kept: list[Change] = []
    for change in drafted.changes:
        if change.state is State.SAME:
            continue
        left = change.state is State.DIFFERS and not force
        (kept if left else wanted).append(change)
        if change.state is State.NEW:
            tell(f"new: {change.path} ({len(change.after.splitlines())} lines)")
        else:
            replaced = "differs, left as it is" if left else "replaced"
            words = "added to" if change.state is State.ADDED_TO else replaced
            tell(f"{words}: {change.path}")
            typer.echo(change.diff(), nl=False)
    if optbench is None and wanted and (origin := not_from_an_index("optbench")):
        say(
            f"note: this optbench was installed from {origin}; asv and the workflows will ask the "
            "index for its version: --optbench says where else it is to be had"
        )
    if not dry_run:
        write(drafted.root, wanted)
    for note in drafted.notes:
        say(f"note: {note}")
    if kept:
        names = ", ".join(str(change.path) for change in kept)
        say(f"left as they are: {names}; --force would make of them what the diffs show")
    if not wanted and not kept:
        say("nothing to do")
    elif wanted:
        done = "would be written (--dry-run)" if dry_run else "written"
        say(f"{len(wanted)} file{'s' * (len(wanted) != 1)} {done}")
    if kept:
        raise typer.Exit(1)


def _tell_optimizers(drafted: Draft) -> None:
    found = drafted.optimizers
    count = len(found.trained)
    say(f"{count} optimizer{'s' * (count != 1)} to track: {', '.join(found.trained)}")
    for target, reason in found.untrained.items():
        say(f"only in the contract: {target}: {reason}")
    for target, reason in found.left_out.items():
        say(f"left out: {target}: {reason}")
    for target, reason in found.not_imported.items():
        say(f"not looked into: {target}: {reason}")
