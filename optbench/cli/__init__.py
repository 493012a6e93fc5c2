"""The command line: one file a command, each thin."""

from __future__ import annotations

import sys
import traceback
from pathlib import Path

import typer

from optbench.api.console import say
from optbench.cli import (
    accept,
    bisect,
    check,
    compare,
    data,
    data_branch,
    export,
    history,
    init,
    list_command,
    nightly,
    report,
    run,
    store,
    sync_issues,
)
from optbench.cli.console import wrong_use
from optbench.cli.grouped_help import GroupedCommand

app = typer.Typer(
    name="optbench",
    help="Does an optimizer still compute the same, converge as fast, cost as much per step?",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for group, name in (
    (list_command.app, "list"),
    (data.app, "data"),
    (data_branch.app, "data-branch"),
    (store.app, "store"),
):
    app.add_typer(group, name=name)
for command in (
    *(run.run, report.report, export.export, check.check, compare.compare, bisect.bisect),
    *(history.history, accept.accept, nightly.nightly, init.init, sync_issues.sync_issues),
):
    app.command(cls=GroupedCommand)(command)


def _say_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        typer.echo(f"optbench {version('optbench')}")
        raise typer.Exit


@app.callback()
def _options(
    debug: bool = typer.Option(False, "--debug", help="Show the traceback of an error."),
    version: bool = typer.Option(
        False, "--version", help="Print the version.", is_eager=True, callback=_say_version
    ),
) -> None:
    """Tell whether an optimizer computes the same, converges as fast, and costs as much a step."""


def main() -> None:
    """Run the command line.

    Exit status: 0 done, 1 some runs or checks failed, 2 wrong use, 3 a defect of
    optbench's own, 130 interrupted.
    """
    # As `python -m` does, and pytest: `-o my_module:MyAdam` means the file in this folder.
    here = Path.cwd()
    others = [entry for entry in sys.path if Path(entry).resolve() != here]
    # But for a checkout of PyTorch, whose torch is not the one that anything can import.
    is_pytorch = (here / "torch/__init__.py").is_file()
    sys.path[:] = [*others, str(here)] if is_pytorch else [str(here), *others]
    debug = "--debug" in sys.argv[1:]
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
    try:
        # Typer prints wrong options and the like itself, and exits with 2.
        app(arguments, prog_name="optbench")
    except Exception as error:  # noqa: BLE001 - the one place where an error becomes its text
        if debug:
            traceback.print_exc()
        sys.exit(_explain(error, debug))


def _explain(error: Exception, debug: bool) -> int:
    message = wrong_use(error)
    if message is not None:
        say(f"error: {message}")
        return 2
    say(f"internal error: {type(error).__name__}: {error}")
    if not debug:
        say("This is a defect of optbench's; with --debug it shows where.")
    return 3
