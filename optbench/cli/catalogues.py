"""``optbench list``: what there is."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from optbench.cli.console import say, tell

app = typer.Typer(help="List optimizers, problems, schedules or suites.", no_args_is_help=True)

JsonOption = Annotated[bool, typer.Option("--json", help="As JSON, for programs.")]


@app.command()
def optimizers(as_json: JsonOption = False) -> None:
    """List the optimizers: default hyperparameters, route, source."""
    from optbench.optimizers import OPTIMIZERS

    rows = [
        {
            "name": row.name,
            "base": row.base,
            "variant": row.variant,
            "defaults": dict(row.defaults),
            "space": {name: list(values) for name, values in row.space.items()},
            "route": row.route.value,
            "needs": sorted(row.needs),
            "cite": row.cite,
        }
        for row in OPTIMIZERS
    ]
    _print(rows, as_json, ("name", "defaults", "route", "needs", "cite"))
    _say_broken(OPTIMIZERS.broken)


@app.command()
def problems(as_json: JsonOption = False) -> None:
    """List the problems: family, dimension, target, budget, source."""
    from optbench.problems import PROBLEMS

    rows = [
        {
            "name": row.name,
            "family": row.family,
            "version": row.version,
            "dimension": row.dimension,
            "minimum": row.minimum,
            "minimum_is_bound": row.minimum_is_bound,
            "target": row.target,
            "targets": list(row.targets),
            "budget": row.budget,
            "data": row.data,
            "traits": sorted(row.traits),
            "settings": row.settings,
            "cite": row.cite,
            "summary": row.summary,
        }
        for row in PROBLEMS
    ]
    _print(rows, as_json, ("name", "family", "dimension", "target", "budget", "summary"))
    _say_broken(PROBLEMS.broken)


@app.command()
def schedules(as_json: JsonOption = False) -> None:
    """List the learning-rate schedules: what they do, source."""
    from optbench.optimizers import SCHEDULES

    rows = [{"name": row.name, "summary": row.summary, "cite": row.cite} for row in SCHEDULES]
    _print(rows, as_json, ("name", "summary", "cite"))
    _say_broken(SCHEDULES.broken)


@app.command()
def suites(as_json: JsonOption = False) -> None:
    """List the suites and how many runs each takes."""
    from optbench.engine.plan import count
    from optbench.engine.suites import SUITES

    rows = [
        {"name": suite.name, "runs": count(suite.selections), "summary": suite.summary}
        for suite in SUITES
    ]
    _print(rows, as_json, ("name", "runs", "summary"))


def _print(rows: Sequence[dict[str, Any]], as_json: bool, columns: Sequence[str]) -> None:
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
        return
    cells = [columns, *([_cell(row[column]) for column in columns] for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(columns))]
    for row in cells:
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        tell(line.rstrip())


def _cell(value: Any) -> str:
    if isinstance(value, dict):
        return " ".join(f"{name}={each}" for name, each in value.items())
    if isinstance(value, list):
        return " ".join(map(str, value))
    if isinstance(value, float):
        return f"{value:.3g}"
    return str(value)


def _say_broken(broken: dict[str, str]) -> None:
    for name, reason in broken.items():
        say(f"not loaded: entry point {name}: {reason}")
