"""``optbench compare``: what did this change do to the optimizer?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from optbench.api.compare import WORDS
from optbench.api.console import say
from optbench.cli.console import INTERRUPTED, end_politely, tell
from optbench.cli.options import (
    JsonOption,
    OverlayOption,
    compare_option,
    output_option,
    parse_settings,
    place_option,
    require_writable,
)
from optbench.errors import WrongUse

if TYPE_CHECKING:
    from optbench.verdicts.comparison import Comparison

TargetOption = Annotated[
    list[str] | None,
    compare_option(
        "-o",
        "--optimizer",
        metavar="TARGET",
        help="package.module:Class, package.module:* or a bare class name. Repeatable.",
        show_default="[tool.optbench], or all exported",
    ),
]
RepoOption = Annotated[
    Path | None,
    place_option("--repo", metavar="DIR", help="Repository of the revisions.", show_default="here"),
]
PathOption = Annotated[
    str | None,
    place_option(
        "--path",
        metavar="DIR",
        help="Folder of a checkout that holds its packages.",
        show_default="src, or as pyproject.toml says",
    ),
]
InstallOption = Annotated[
    bool | None,
    place_option(
        "--install/--no-install", help="Build and install checkouts, for compiled packages."
    ),
]


LimitOption = Annotated[
    float,
    place_option(
        "--timeout", metavar="SECONDS", min=0.1, max=86_400, help="Time limit of a scenario."
    ),
]

ProblemOption = Annotated[
    list[str] | None,
    compare_option(
        "--problem",
        "-p",
        metavar="NAME",
        help="Train on these problems only; a name or glob. Repeatable.",
        show_default="all that suit the optimizer",
    ),
]

SeedsOption = Annotated[
    int,
    compare_option(
        "--seeds", metavar="N", min=2, max=1000, help="Maximum pairs of runs per problem."
    ),
]


def compare(
    base: Annotated[
        str,
        typer.Argument(
            metavar="BASE",
            help="Git revision, pip:REQUIREMENT, dir:PATH or env:PATH.",
            show_default=False,
        ),
    ],
    head: Annotated[
        str | None, typer.Argument(metavar="HEAD", help="As BASE.", show_default="the working tree")
    ] = None,
    optimizer: TargetOption = None,
    repo: RepoOption = None,
    path: PathOption = None,
    install: InstallOption = None,
    overlay: OverlayOption = "",
    rung: Annotated[
        list[str] | None,
        compare_option(
            "--rung",
            metavar="RUNG",
            help="maths, convergence, speed or memory. Repeatable. Convergence is compared where "
            "the maths changed.",
            show_default="all",
        ),
    ] = None,
    setting: Annotated[
        list[str] | None,
        compare_option(
            "--set", metavar="KEY=VALUE", help="Argument of every constructor. Repeatable."
        ),
    ] = None,
    fail_on: Annotated[
        list[str] | None,
        output_option(
            "--fail-on",
            metavar="WORD",
            help=f"Verdicts that fail: {', '.join(WORDS)}. Repeatable, or with commas.",
            show_default="regressed,broken",
        ),
    ] = None,
    json_file: JsonOption = None,
    markdown_file: Annotated[
        Path | None,
        output_option(
            "--markdown", metavar="FILE", help="Write Markdown, for a pull request or job summary."
        ),
    ] = None,
    html_file: Annotated[
        Path | None, output_option("--html", metavar="FILE", help="Write a self-contained page.")
    ] = None,
    limit: LimitOption = 60.0,
    seeds: SeedsOption = 24,
    problem: ProblemOption = None,
    compiled: Annotated[bool, compare_option("--compile", help="Leave torch.compile on.")] = False,
    verbose: Annotated[
        bool, output_option("--verbose", "-v", help="Details of identical optimizers, too.")
    ] = False,
) -> None:
    """Compare two versions of optimizers.

    Is it the same maths? As many steps to the target? Does a step cost as much time and memory?

    optbench compare main says what the working tree changed; optbench compare v1.0 v1.1 compares
    two revisions, optbench compare pip:tinyopt==1.0 pip:tinyopt==1.1 two releases, optbench compare
    env:OLD env:NEW -o my_package:MyAdam two environments, such as two versions of torch.

    A fast answer: --rung maths. What each verdict means, [tool.optbench] and a recipe for CI are in
    docs/comparing.md of optbench.

    Both versions are imported, which runs their code. Exit status: 0, 1 something of --fail-on
    was found, 2 wrong use, or nothing that could be compared.
    """
    from optbench.api.compare import carry_out, configure

    config = configure(
        base,
        head,
        optimizers=optimizer or (),
        repository=repo,
        path=path,
        install=install,
        overlay=overlay,
        rungs=rung or (),
        settings=parse_settings(setting or []),
        problems=problem or (),
        seeds=seeds,
        timeout=limit,
        compiled=compiled,
        fail_on=fail_on or (),
    )
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
        say("interrupted: finished comparisons are complete, the rest were not run")
        raise typer.Exit(INTERRUPTED)
    found = sorted({w for row in comparison.optimizers for w in row.findings} & config.fail_on)
    if found:
        say(f"found: {', '.join(found)} (--fail-on {','.join(sorted(config.fail_on))})")
        raise typer.Exit(1)
    if apart := told_apart(comparison):
        words = ",".join(sorted(config.fail_on)) or "none"
        say(f"{apart} (none of it in --fail-on {words}: exit status 0)")


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
