"""``optbench export``: the tidy frame of a store."""

from __future__ import annotations

import enum
import sys
from pathlib import Path
from typing import Annotated

import typer

from optbench.api.console import doing, say
from optbench.cli.options import StoreOption
from optbench.defaults import DEFAULT_STORE


class Format(enum.StrEnum):
    """Format of the exported file."""

    csv = "csv"
    parquet = "parquet"


def export(
    out: Annotated[
        Path | None,
        typer.Option("--out", help="File to write.", show_default="standard output, as CSV"),
    ] = None,
    format_: Annotated[
        Format | None,
        typer.Option("--format", help="csv or parquet.", show_default="by the name of --out"),
    ] = None,
    store: StoreOption = DEFAULT_STORE,
) -> None:
    """Export a store's runs as CSV or Parquet, one row per run."""
    from optbench.errors import WrongUse
    from optbench.reporting.tables import csv_text
    from optbench.store import Store
    from optbench.store.sound import sound

    if format_ is None:
        named = out is not None and out.suffix == ".parquet"
        format_ = Format.parquet if named else Format.csv
    if out is None and format_ is Format.parquet:
        raise WrongUse("parquet is not text: name a file with --out")
    with Store(store) as opened, doing("reading the store"):
        frame = sound(opened, "runs")
    try:
        with doing(f"writing {len(frame):,} runs"):
            if format_ is Format.parquet:
                frame.to_parquet(out, index=False)
            elif out is None:
                sys.stdout.write(csv_text(frame))
            else:
                out.write_text(csv_text(frame), "utf-8", newline="")
    except ImportError as error:
        raise WrongUse("parquet needs pyarrow: pip install pyarrow") from error
    except BrokenPipeError:
        raise
    except OSError as error:
        raise WrongUse(f"cannot write {out}: {error}") from error
    if out is not None:
        say(f"{len(frame):,} runs written to {out}")
