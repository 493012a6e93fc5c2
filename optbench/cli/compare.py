"""``optbench compare``: what did this change do to the optimizer?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from optbench.api.compare import WORDS
from optbench.api.console import say
from optbench.cli.console import tell
from optbench.cli.options import parse_settings, require_writable
from optbench.cli.run import INTERRUPTED
from optbench.cli.termination import end_politely
from optbench.errors import WrongUse

if TYPE_CHECKING:
    from optbench.verdicts.comparison import Comparison

TargetOption = Annotated[
    list[str] | None,
    typer.Option(
        "-o",
        "--optimizer",
        metavar="TARGET",
        help="package.module:Class, package.module:* or the bare name of a class. Repeat. "
        "Without it: [tool.optbench] of pyproject.toml, or all that the packages export.",
    ),
]
RepoOption = Annotated[
    Path | None,
    typer.Option("--repo", metavar="DIR", help="Of revisions.", show_default="here"),
]
PathOption = Annotated[
    str | None,
    typer.Option(
        "--path",
        metavar="DIR",
        help="The folder of a checkout that packages are in; found by itself where it is src or "
        "pyproject.toml says so.",
    ),
]
InstallOption = Annotated[
    bool | None,
    typer.Option(
        "--install/--no-install", help="Build and install checkouts: for compiled packages."
    ),
]


LimitOption = Annotated[
    float, typer.Option("--timeout", min=0.1, max=86_400, help="Seconds a probe may take.")
]

ProblemOption = Annotated[
    list[str] | None,
    typer.Option(
        "--problem",
        "-p",
        metavar="NAME",
        help="Train on this problem only, or those that fit this pattern. Repeat.",
        show_default="all that fit the optimizer",
    ),
]

SeedsOption = Annotated[
    int,
    typer.Option("--seeds", min=2, max=1000, help="Most pairs of runs on a problem."),
]


def compare(
    base: Annotated[
        str,
        typer.Argument(
            metavar="BASE", help="A git revision, pip:REQUIREMENT or dir:PATH.", show_default=False
        ),
    ],
    head: Annotated[
        str | None,
        typer.Argument(metavar="[HEAD]", help="The same.", show_default="the working tree"),
    ] = None,
    optimizer: TargetOption = None,
    repo: RepoOption = None,
    path: PathOption = None,
    install: InstallOption = None,
    rung: Annotated[
        list[str] | None,
        typer.Option(
            "--rung",
            metavar="RUNG",
            help="maths, convergence, speed or memory. Repeat. All of them without; convergence "
            "is compared where the maths changed.",
        ),
    ] = None,
    setting: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Given to every constructor. Repeat."),
    ] = None,
    fail_on: Annotated[
        list[str] | None,
        typer.Option(
            "--fail-on",
            metavar="WORD",
            help=f"Of {', '.join(WORDS)}; repeat, or with commas.",
            show_default="regressed,broken",
        ),
    ] = None,
    json_file: Annotated[
        Path | None,
        typer.Option("--json", metavar="FILE", help="Everything, for programs; - for the screen."),
    ] = None,
    markdown_file: Annotated[
        Path | None,
        typer.Option("--markdown", metavar="FILE", help="For a pull request or a job summary."),
    ] = None,
    html_file: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="A page that opens anywhere.")
    ] = None,
    limit: LimitOption = 60.0,
    seeds: SeedsOption = 24,
    problem: ProblemOption = None,
    compiled: Annotated[
        bool,
        typer.Option("--compile", help="Compare the maths with torch.compile on, too."),
    ] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Details also of what is the same.")
    ] = False,
) -> None:
    """Compare two versions of optimizers: the maths, the convergence, the cost.

    optbench compare main says what the working tree changed; optbench compare v1.0 v1.1 compares
    two revisions, optbench compare pip:tinyopt==1.0 pip:tinyopt==1.1 two releases.

    A fast answer: --rung maths. What each verdict means, [tool.optbench] and a recipe for CI are in
    docs/comparing.md of optbench.

    Both versions are imported, which runs their code. Exit status: 0, 1 something of --fail-on
    was found, 2 wrong use, or nothing that could be compared.
    """
    from optbench.api.compare import carry_out, configure, failing

    config = configure(
        base,
        head,
        optimizers=optimizer or (),
        repository=repo,
        path=path,
        install=install,
        rungs=rung or (),
        settings=parse_settings(setting or []),
        problems=problem or (),
        seeds=seeds,
        timeout=limit,
        compiled=compiled,
    )
    words = failing(fail_on or (), repo, config)
    files = (json_file, markdown_file, html_file)
    for option, file in zip(("--json", "--markdown", "--html"), files, strict=True):
        if file is not None and str(file) != "-":
            require_writable(file, option)
    if sum(str(file) == "-" for file in files) > 1:
        raise WrongUse("only one of --json, --markdown and --html can go to the screen")
    from optbench.reporting.comparison_text import Teller, sides, summary, told_apart

    quiet = any(str(file) == "-" for file in files)
    end_politely()
    teller = Teller(verbose=verbose, rungs=config.rungs)
    comparison = carry_out(config, lambda row: None if quiet else tell(teller.line(row)))
    if not quiet:
        for line in teller.rest(comparison):
            tell(line)
    say(sides(comparison))
    say(summary(comparison))
    # Last, so that a full disk does not take the answer with it.
    _write(comparison, *files)
    if not comparison.complete:
        say("interrupted: what is above is whole, the rest was not compared")
        raise typer.Exit(INTERRUPTED)
    found = sorted({w for row in comparison.optimizers for w in row.findings} & words)
    if found:
        say(f"found: {', '.join(found)} (--fail-on {','.join(sorted(words))})")
        raise typer.Exit(1)
    if apart := told_apart(comparison):
        say(f"{apart} (none of it in --fail-on {','.join(sorted(words)) or 'none'}: exit status 0)")


def _write(
    comparison: Comparison, json_file: Path | None, markdown: Path | None, html: Path | None
) -> None:
    if json_file is not None:
        write_json(json_file, comparison.as_json())
    if markdown is not None:
        from optbench.reporting.comparison_page import as_markdown

        _put(markdown, as_markdown(comparison))
    if html is not None:
        from optbench.reporting.comparison_page import page

        _put(html, page(comparison))


def write_json(file: Path, content: dict[str, Any]) -> None:
    """Write JSON that any reader takes: infinities are the text ``inf``."""
    from optbench.reporting.comparison_text import without_infinities

    _put(file, json.dumps(without_infinities(content), indent=2, allow_nan=False))


def _put(file: Path, text: str) -> None:
    if str(file) == "-":
        typer.echo(text)
    else:
        try:
            file.write_text(text.rstrip("\n") + "\n", encoding="utf-8", errors="replace")
        except OSError as error:
            raise WrongUse(f"{file} cannot be written: {error.strerror}") from error
