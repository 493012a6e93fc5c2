"""``optbench check``: does an optimizer keep the contract?"""

from __future__ import annotations

import json
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from optbench.cli.console import doing, say, tell
from optbench.cli.options import JobsOption, parse_settings, require_writable
from optbench.cli.run import INTERRUPTED

if TYPE_CHECKING:
    from optbench.conformance.promise import Check
    from optbench.conformance.verdict import Verdict

SCHEMA = 1

PARITY = ("follows_its_oracle", "follows_the_reference")

ROOTS = (
    "neighbours_do_not_matter",
    "splitting_a_tensor_does_not_matter",
    "the_order_of_parameters_does_not_matter",
    *PARITY,
    "every_hyperparameter_matters",
)
"""What else is broken often follows from these, the first of them first."""


def check(
    target: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="TARGET...",
            help="A registered name or glob, package.module:Class, or package.module:* for every "
            "optimizer class in a module.",
            show_default=False,
        ),
    ] = None,
    reference: Annotated[
        str,
        typer.Option(
            "--reference",
            metavar="NAME",
            help="Demand parity with this optimizer, too: textbook-adam, package.module:Class.",
        ),
    ] = "",
    setting: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="An argument of the constructor: rho=0.05. Repeat."
        ),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option("--only", metavar="CHECK", help="Name or glob of a check. Repeat."),
    ] = None,
    skip: Annotated[
        list[str] | None,
        typer.Option("--skip", metavar="CHECK", help="Name or glob to leave out. Repeat."),
    ] = None,
    list_checks: Annotated[
        bool, typer.Option("--list", help="List the checks and what they promise.")
    ] = False,
    json_file: Annotated[
        Path | None,
        typer.Option("--json", metavar="FILE", help="Write every verdict there; - for the screen."),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Advice fails, too: exit status 1.")
    ] = False,
    compiled: Annotated[
        bool,
        typer.Option("--compile", help="Leave torch.compile on; without, steps run uncompiled."),
    ] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Also what was kept, and what does not apply.")
    ] = False,
    limit: Annotated[
        float, typer.Option("--timeout", min=0.1, max=86_400, help="Seconds a check may take.")
    ] = 60.0,
    jobs: JobsOption = None,
) -> None:
    """Hold the contract against optimizers: parity, groups, checkpoints, types, convergence, ...

    A class of your own is compared with a known rule by --reference: optbench check
    my_package:MyAdam --reference textbook-adam.

    Importing a target runs its code. Exit status: 0 every promise kept, 1 a promise broken, 2
    wrong use, or nothing that could be checked. Known defects of other people's code and advice
    are shown and fail nobody; --strict makes advice fail.
    """
    from optbench.cli.wrong_use import WrongUse
    from optbench.conformance.contract import choose
    from optbench.conformance.verdict import options

    checks = choose(only or (), skip or ())
    if list_checks:
        _list(checks)
        return
    if not target:
        raise WrongUse("name what to check: optbench check torch.optim:Adam (or --list)")
    if not checks:
        raise WrongUse("no check is left: see --only and --skip")
    settings = parse_settings(setting or [])
    if reference:
        from optbench.optimizers import OPTIMIZERS

        _ = OPTIMIZERS[reference]  # a wrong name is said before the work, not after
    to_screen = str(json_file) == "-"
    if json_file is not None and not to_screen:
        require_writable(json_file, "--json")
    given = options(reference, settings)
    begun = time.monotonic()
    try:
        verdicts = _examine(target, checks, reference, settings, limit, jobs, compiled,
                            None if to_screen else _Printer(verbose, given))  # fmt: skip
    except KeyboardInterrupt as interrupt:
        say("interrupted: what is above is whole; --only and a shorter list of targets take less")
        raise typer.Exit(INTERRUPTED) from interrupt
    seconds = time.monotonic() - begun
    if json_file is not None:
        _write(json_file, verdicts, seconds, reference, given)
    raise typer.Exit(_conclude(target, verdicts, seconds, strict=strict))


def _examine(
    targets: list[str],
    checks: tuple[Check, ...],
    reference: str,
    settings: dict[str, Any],
    limit: float,
    jobs: int | None,
    compiled: bool,
    printer: _Printer | None,
) -> list[Verdict]:
    """Every verdict, in the order of the targets and the contract; told as optimizers end."""
    from optbench.conformance.worker_process import Question
    from optbench.conformance.workers import Members, examine_all
    from optbench.runner.executors import default_jobs

    given = tuple(settings.items())
    questions = [Question(target, reference, given) for target in targets]
    order = {each.name: place for place, each in enumerate(checks)}
    names: dict[str, tuple[str, ...]] = {}
    by_target: dict[str, list[Verdict]] = {}
    told: set[str] = set()
    with doing("starting") as show:
        for said in examine_all(
            questions,
            checks,
            jobs=jobs or default_jobs(),
            limit_s=limit,
            compiled=compiled,
        ):
            if isinstance(said, Members):
                names[said.target] = said.names
                continue
            rows = by_target.setdefault(said.target, [])
            rows.append(said)
            if len(rows) == len(checks) or not said.check:
                told.add(said.target)
                rows.sort(key=lambda v: order.get(v.check, -1))
                if printer is not None:
                    printer.tell(said.target, rows)
            known, count = (sum(map(len, each.values())) for each in (names, by_target))
            show(f"{len(told)} of {known} optimizers, {count:,} checks; now {said.target}")
    ordered = [name for target in targets for name in names.get(target, (target,))]
    return [v for name in dict.fromkeys(ordered) for v in by_target.get(name, ())]


class _Printer:
    """A line for an optimizer, and one for each promise that asks for attention."""

    def __init__(self, verbose: bool, options: str) -> None:
        self.verbose, self.options = verbose, options

    def tell(self, target: str, verdicts: list[Verdict]) -> None:
        """Print what was concluded about one optimizer."""
        from optbench.conformance.verdict import BAD, UNCHECKED, Status

        if verdicts[0].status in UNCHECKED or not verdicts[0].check:
            tell(f"{target}: {verdicts[0].status}: {verdicts[0].text}")
            return
        tell(f"{target}: {counted(verdicts)}, {sum(v.seconds for v in verdicts):.1f} s")
        broken = [v.check for v in verdicts if v.status in BAD]
        if len(broken) > 3 and (roots := [name for name in ROOTS if name in broken]):
            tell(f"  begin with     {roots[0]}")
        causes = by_cause(verdicts)
        for each in verdicts:
            same = causes.get(each.cause, ()) if each.status in BAD else ()
            if len(same) > 1:
                if each is not same[0]:
                    continue
                tell(f"  {each.status:<14} {len(same)} checks raise {each.cause}")
                if self.verbose:
                    tell(f"      {', '.join(row.check for row in same)}")
            elif (
                each.status in BAD | {Status.ADVICE, Status.KNOWN, Status.UNFINISHED}
                or self.verbose
            ):
                tell(f"  {each.status:<14} {each.check}")
                for line in each.text.splitlines():
                    tell(f"      {line}")
            if each.evidence:
                tell(f"      known: {each.evidence}")
            if each.status in BAD:
                tell(f"      again: {each.reproduce}{self.options}")
        parity = {v.check: v for v in verdicts if v.check in PARITY}
        if len(parity) == len(PARITY) and {v.status for v in parity.values()} == {
            Status.NOT_APPLICABLE
        }:
            why = parity[PARITY[0]].text
            tell(f"  note           its rule was compared with nothing: {why}")


def by_cause(verdicts: list[Verdict]) -> dict[str, list[Verdict]]:
    """Promises that were not kept, by the exception behind them, where there is one."""
    from optbench.conformance.verdict import BAD

    found: dict[str, list[Verdict]] = {}
    for each in verdicts:
        if each.status in BAD and each.cause:
            found.setdefault(each.cause, []).append(each)
    return found


def counted(verdicts: list[Verdict]) -> str:
    """``37 kept, 1 broken, 5 not applicable``, in the order of the statuses."""
    from optbench.conformance.verdict import Status

    counts = Counter(v.status for v in verdicts)
    return ", ".join(f"{counts[status]:,} {status}" for status in Status if counts[status])


def _conclude(targets: list[str], verdicts: list[Verdict], seconds: float, *, strict: bool) -> int:
    """Say what it comes to; gives the exit status."""
    from optbench.conformance.verdict import BAD, UNCHECKED, Status

    for cause, rows in by_cause(verdicts).items():
        whose = list(dict.fromkeys(row.target for row in rows))
        if len(whose) > 1:
            say(f"the same in {len(whose)} optimizers: {cause}: {', '.join(whose)}")
    if uncompiled := {v.target for v in verdicts if v.uncompiled}:
        count = len(uncompiled)
        steps = "its steps" if count == 1 else f"the steps of {count} optimizers"
        say(f"torch.compile was off, and {steps} ran as they are written; --compile leaves it on")
    optimizers = len({v.target for v in verdicts if v.check})
    say(f"{optimizers} optimizer{'s' * (optimizers != 1)}: {counted(verdicts)}, in {seconds:.0f} s")
    if any(v.status in BAD or (strict and v.status is Status.ADVICE) for v in verdicts):
        return 1
    unchecked = [v for v in verdicts if v.status in UNCHECKED]
    if any(v.status is Status.NO_TARGET or v.target in targets for v in unchecked):
        return 2
    if not any(v.status in (Status.KEPT, Status.ADVICE, Status.KNOWN) for v in verdicts):
        say("error: nothing was checked: no check applied to anything")
        return 2
    return 0


def _list(checks: tuple[Check, ...]) -> None:
    names, severities = (
        max(map(len, column))
        for column in zip(*((c.name, c.severity) for c in checks), strict=True)
    )
    for each in checks:
        tell(f"{each.name:<{names}}  {each.severity:<{severities}}  {each.summary}")


def _write(
    path: Path, verdicts: list[Verdict], seconds: float, reference: str, options: str
) -> None:
    from dataclasses import asdict

    from optbench.engine.environment import environment

    content = {
        "schema": SCHEMA,
        "environment": asdict(environment()),
        "reference": reference,
        "seconds": round(seconds, 2),
        "verdicts": [v.as_row(options) for v in verdicts],
    }
    text = json.dumps(content, indent=2)
    if str(path) == "-":
        typer.echo(text)
    else:
        path.write_text(text + "\n", encoding="utf-8")
