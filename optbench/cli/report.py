"""``optbench report``: a page from a store."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer

from optbench.cli.console import say
from optbench.cli.options import StoreOption
from optbench.defaults import DEFAULT_STORE

if TYPE_CHECKING:
    import pandas as pd

    from optbench.problems import Problem


def report(
    store: StoreOption = DEFAULT_STORE,
    baseline: Annotated[
        str, typer.Option(help="The optimizer that the others are compared with.")
    ] = "adam",
    out: Annotated[Path, typer.Option("--out", help="Folder to write to; made if need be.")] = Path(
        "reports/latest"
    ),
) -> None:
    """Write a report: one index.html that opens anywhere, report.md, figures and tables."""
    page = write(store, out, baseline=baseline)
    say("the report:")
    typer.echo(page.resolve())


def write(store: str, out: Path, *, baseline: str = "adam") -> Path:
    """Write the report of a store to a folder; gives the page."""
    from sqlalchemy.engine import make_url

    from optbench import load
    from optbench.cli.mistakes import WrongUse
    from optbench.problems import PROBLEMS
    from optbench.report import write_report

    results = load(store)
    drawn = {
        name: landscape(PROBLEMS[name])
        for name in ("rosenbrock-2d",)
        if name in set(results.runs["problem"])
    }
    # A URL may hold a password, and a page is shown around.
    shown = make_url(store).render_as_string() if "://" in store else store
    command = f"optbench report --store {shlex.quote(shown)} --baseline {shlex.quote(baseline)}"
    try:
        return write_report(results, out, baseline=baseline, landscapes=drawn, command=command)
    except OSError as error:
        raise WrongUse(f"cannot write the report to {out}: {error}") from error


def landscape(problem: Problem, points: int = 161) -> pd.DataFrame:
    """Values of a two-dimensional problem on a grid over its box of starts: x0, x1, value."""
    import pandas as pd
    import torch

    low, high = getattr(problem, "low", -2.0), getattr(problem, "high", 2.0)
    low, high = np.broadcast_to(low, 2), np.broadcast_to(high, 2)
    margin = 0.15 * (high - low)
    axes = [np.linspace(a - m, b + m, points) for a, b, m in zip(low, high, margin, strict=True)]
    x0, x1 = (each.ravel() for each in np.meshgrid(*axes))
    bound = problem.bind(torch.float64, torch.device("cpu"))
    (name,) = problem.shapes
    value = bound.objective({name: torch.from_numpy(np.stack([x0, x1], axis=1))}).numpy()
    return pd.DataFrame({"x0": x0, "x1": x1, "value": value - problem.minimum})
