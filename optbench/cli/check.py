"""``optbench check``: does an optimizer keep the contract?"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from optbench.api.console import say
from optbench.cli.console import INTERRUPTED, tell
from optbench.cli.options import (
    EnvOption,
    JobsOption,
    JsonOption,
    OverlayOption,
    check_option,
    output_option,
    parse_settings,
    place_option,
    require_writable,
)

if TYPE_CHECKING:
    from optbench.api.check import CheckConfig
    from optbench.conformance.check import Check
    from optbench.conformance.result import CheckResult

SCHEMA = 2

PARITY = ("follows_its_oracle", "follows_the_reference")
PARITY_OF_SCHEDULERS = ("rates_follow_their_formula", "rates_follow_the_reference")

ROOTS = (
    "neighbours_do_not_matter",
    "splitting_a_tensor_does_not_matter",
    "the_order_of_parameters_does_not_matter",
    *PARITY,
    "every_hyperparameter_matters",
)
"""Checks whose failure often explains the others', the most telling first."""


def check(
    target: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="TARGET...",
            help="Registered name or glob, package.module:Class (optimizer or scheduler), or "
            "package.module:*.",
            show_default=False,
        ),
    ] = None,
    reference: Annotated[
        str,
        check_option(
            "--reference",
            metavar="NAME",
            help="Demand the same steps as this optimizer, such as textbook-adam.",
        ),
    ] = "",
    setting: Annotated[
        list[str] | None,
        check_option(
            "--set",
            metavar="KEY=VALUE",
            help="Argument of the constructor, such as rho=0.05. Repeatable.",
        ),
    ] = None,
    only: Annotated[
        list[str] | None,
        check_option("--only", metavar="CHECK", help="Name or glob of checks to run. Repeatable."),
    ] = None,
    skip: Annotated[
        list[str] | None,
        check_option(
            "--skip", metavar="CHECK", help="Name or glob of checks to leave out. Repeatable."
        ),
    ] = None,
    list_checks: Annotated[
        bool, output_option("--list", help="List the checks and what each demands.")
    ] = False,
    json_file: JsonOption = None,
    strict: Annotated[bool, output_option("--strict", help="Count advice as failure.")] = False,
    compiled: Annotated[bool, check_option("--compile", help="Leave torch.compile on.")] = False,
    verbose: Annotated[
        bool, output_option("--verbose", "-v", help="Also what passed, and what does not apply.")
    ] = False,
    limit: Annotated[
        float,
        place_option(
            "--timeout", min=0.1, max=86_400, metavar="SECONDS", help="Time limit of a check."
        ),
    ] = 60.0,
    jobs: JobsOption = None,
    overlay: OverlayOption = "",
    env: EnvOption = "",
) -> None:
    """Check optimizers against the torch.optim contract.

    Parity with a reference, groups, checkpoints, types, convergence and more; see --list.

    A class of your own is compared with a known rule by --reference: optbench check
    my_package:MyAdam --reference textbook-adam.

    Importing a target runs its code. Exit status: 0 no check failed, 1 a check failed, 2 wrong
    use, or nothing that could be checked. Known defects (xfailed) and advice are shown and do not
    count as failures; --strict counts advice.
    """
    from optbench.api.check import carry_out, configure, environment_of

    if list_checks:
        from optbench.conformance.contract import choose

        _list(choose(only or (), skip or ()))
        return
    config = configure(
        target or (),
        reference=reference,
        settings=parse_settings(setting or []),
        only=only or (),
        skip=skip or (),
        timeout=limit,
        jobs=jobs,
        compiled=compiled,
        overlay=overlay,
        env=env,
    )
    to_screen = str(json_file) == "-"
    if json_file is not None and not to_screen:
        require_writable(json_file, "--json")
    printer = _Printer(verbose, config.options)
    begun = time.monotonic()
    if config.env:
        say(f"in {config.env}: {environment_of(config.env).note}")
    try:
        results = carry_out(
            config, lambda name, rows: None if to_screen else printer.tell(name, rows)
        )
    except KeyboardInterrupt as interrupt:
        say("interrupted: finished checks are complete; --only or fewer targets make a shorter run")
        raise typer.Exit(INTERRUPTED) from interrupt
    seconds = time.monotonic() - begun
    if json_file is not None:
        _write(json_file, results, seconds, config)
    raise typer.Exit(_conclude(config.targets, results, seconds, strict=strict))


class _Printer:
    """A line for an optimizer, and one for each check that asks for attention."""

    def __init__(self, verbose: bool, options: str) -> None:
        self.verbose, self.options = verbose, options

    def tell(self, target: str, results: list[CheckResult]) -> None:
        """Print what was concluded about one optimizer."""
        from optbench.conformance.result import BAD, UNCHECKED, Status

        if results[0].status in UNCHECKED or not results[0].check:
            tell(f"{target}: {results[0].status}: {results[0].text}")
            return
        tell(f"{target}: {counted(results)}, {sum(v.seconds for v in results):.1f} s")
        failed = [v.check for v in results if v.status in BAD]
        if len(failed) > 3 and (roots := [name for name in ROOTS if name in failed]):
            tell(f"  begin with     {roots[0]}")
        causes = by_cause(results)
        for each in results:
            same = causes.get(each.cause, ()) if each.status in BAD else ()
            if len(same) > 1:
                if each is not same[0]:
                    continue
                tell(f"  {each.status:<14} {len(same)} checks raise {each.cause}")
                if self.verbose:
                    tell(f"      {', '.join(row.check for row in same)}")
            elif (
                each.status in BAD | {Status.ADVICE, Status.XFAILED, Status.UNFINISHED}
                or self.verbose
            ):
                tell(f"  {each.status:<14} {each.check}")
                for line in each.text.splitlines():
                    tell(f"      {line}")
            if each.evidence:
                tell(f"      known: {each.evidence}")
            if each.status in BAD:
                tell(f"      again: {each.reproduce}{self.options}")
        of_checks = {v.check: v for v in results}
        for pair in (PARITY, PARITY_OF_SCHEDULERS):
            rows = [of_checks[name] for name in pair if name in of_checks]
            if len(rows) == len(pair) and {v.status for v in rows} == {Status.NOT_APPLICABLE}:
                why = rows[0].text
                tell(f"  note           its rule was compared with nothing: {why}")


def by_cause(results: list[CheckResult]) -> dict[str, list[CheckResult]]:
    """Failed checks by the exception behind them, where there is one."""
    from optbench.conformance.result import BAD

    found: dict[str, list[CheckResult]] = {}
    for each in results:
        if each.status in BAD and each.cause:
            found.setdefault(each.cause, []).append(each)
    return found


def counted(results: list[CheckResult]) -> str:
    """``37 passed, 1 failed, 5 not applicable``, in the order of the statuses."""
    from optbench.conformance.result import Status

    counts = Counter(v.status for v in results)
    return ", ".join(f"{counts[status]:,} {status}" for status in Status if counts[status])


def _conclude(
    targets: Sequence[str], results: list[CheckResult], seconds: float, *, strict: bool
) -> int:
    """Say what it comes to; gives the exit status."""
    from optbench.conformance.result import BAD, UNCHECKED, Status

    for cause, rows in by_cause(results).items():
        whose = list(dict.fromkeys(row.target for row in rows))
        if len(whose) > 1:
            say(f"the same in {len(whose)} optimizers: {cause}: {', '.join(whose)}")
    if uncompiled := {v.target for v in results if v.uncompiled}:
        count = len(uncompiled)
        steps = "its steps" if count == 1 else f"the steps of {count} optimizers"
        say(f"torch.compile was off, so {steps} ran uncompiled; --compile leaves it on")
    said = [f"{count} {word}{'s' * (count != 1)}" for word, count in _kinds(results).items()]
    say(f"{' and '.join(said)}: {counted(results)}, in {seconds:.0f} s")
    if any(v.status in BAD or (strict and v.status is Status.ADVICE) for v in results):
        return 1
    unchecked = [v for v in results if v.status in UNCHECKED]
    if any(v.status is Status.NO_TARGET or v.target in targets for v in unchecked):
        return 2
    if not any(v.status in (Status.PASSED, Status.ADVICE, Status.XFAILED) for v in results):
        say("error: nothing was checked: no check applied to anything")
        return 2
    return 0


def _kinds(results: list[CheckResult]) -> dict[str, int]:
    """Count optimizers and schedulers."""
    from optbench.conformance.contract import SCHEDULER_CONTRACT

    theirs = {each.name for each in SCHEDULER_CONTRACT}
    schedulers = {v.target for v in results if v.check in theirs}
    optimizers = {v.target for v in results if v.check} - schedulers
    counts = {"optimizer": len(optimizers), "scheduler": len(schedulers)}
    return {word: n for word, n in counts.items() if n} or {"optimizer": 0}


def _list(checks: tuple[Check, ...]) -> None:
    names, severities = (
        max(map(len, column))
        for column in zip(*((c.name, c.severity) for c in checks), strict=True)
    )
    for each in checks:
        tell(f"{each.name:<{names}}  {each.severity:<{severities}}  {each.summary}")


def _write(path: Path, results: list[CheckResult], seconds: float, config: CheckConfig) -> None:
    from dataclasses import asdict

    from optbench.api.check import environment_of
    from optbench.engine.environment import environment

    content = {
        "schema": SCHEMA,
        "environment": asdict(environment()),
        **({"checked_in": environment_of(config.env).note} if config.env else {}),
        "reference": config.reference,
        "seconds": round(seconds, 2),
        "results": [v.as_row(config.options) for v in results],
    }
    text = json.dumps(content, indent=2)
    if str(path) == "-":
        typer.echo(text)
    else:
        path.write_text(text + "\n", encoding="utf-8")
