"""Options that several commands take, and the reading of their values."""

from __future__ import annotations

import ast
import math
import os
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from optbench.defaults import DEFAULT_STORE
from optbench.plain_text import shown

Option = Callable[..., Any]

place_option: Option = partial(typer.Option, rich_help_panel="Where and how")
output_option: Option = partial(typer.Option, rich_help_panel="Output")
run_option: Option = partial(typer.Option, rich_help_panel="What to run")
check_option: Option = partial(typer.Option, rich_help_panel="What to check")
compare_option: Option = partial(typer.Option, rich_help_panel="What to compare")
show_option: Option = partial(typer.Option, rich_help_panel="What to show")

StoreOption = Annotated[
    str,
    place_option(
        "--store",
        envvar="OPTBENCH_STORE",
        metavar="URL",
        help="SQLite file or SQLAlchemy URL that holds the results.",
        show_default=DEFAULT_STORE,
    ),
]

DataOption = Annotated[
    Path | None,
    place_option(
        "--data",
        envvar="OPTBENCH_DATA",
        metavar="DIR",
        help="Folder with the full MNIST files (optbench data mnist).",
        show_default="the 10,000 digits that ship",
    ),
]

OverlayOption = Annotated[
    str,
    place_option(
        "--overlay",
        metavar="MODULE",
        help="Take only this subpackage from the checkout, all else as installed.",
        show_default="torch.optim, in a checkout of PyTorch",
    ),
]

EnvOption = Annotated[
    str,
    place_option(
        "--env",
        metavar="PATH|REQUIREMENTS",
        help="Another Python, or torch==2.12.0, of which one is made.",
        show_default="this one",
    ),
]

JobsOption = Annotated[
    int | None,
    place_option(
        "--jobs", "-j", min=1, metavar="N", help="Worker processes.", show_default="one per CPU"
    ),
]

RunJobsOption = Annotated[
    int | None,
    place_option(
        "--jobs",
        "-j",
        min=0,
        metavar="N",
        help="Worker processes; 0 runs in this process, for debugging.",
        show_default="one per CPU",
    ),
]

TimeoutOption = Annotated[
    float | None,
    place_option(
        "--timeout",
        metavar="SECONDS",
        help="Time limit of a batch of runs; 0 for none.",
        show_default="300 s without a step",
    ),
]

MemoryOption = Annotated[
    str | None,
    place_option(
        "--memory",
        metavar="SIZE",
        help="Memory limit of a worker process, such as 4G.",
        show_default="no limit",
    ),
]

DaskOption = Annotated[
    str | None,
    place_option(
        "--dask",
        envvar="OPTBENCH_DASK",
        metavar="WHERE",
        help="Dask cluster: tcp://HOST:PORT, tls://HOST:PORT, a scheduler file, or local:N.",
    ),
]


JsonOption = Annotated[
    Path | None,
    output_option(
        "--json", metavar="FILE", help="Write all results as JSON; - for standard output."
    ),
]


def use_data(folder: Path | None) -> None:
    """Make the digits of a folder those of this process and its workers."""
    if folder is not None:
        os.environ["OPTBENCH_DATA"] = str(folder.resolve())


def parse_settings(pairs: list[str]) -> dict[str, Any]:
    """Hyperparameters from ``key=value``: Python literals, true and false, or text.

    >>> parse_settings(["betas=0.9,0.99", "nesterov=true", "line_search_fn=strong_wolfe"])
    {'betas': (0.9, 0.99), 'nesterov': True, 'line_search_fn': 'strong_wolfe'}
    """
    from optbench.errors import WrongUse

    settings = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals or not name.strip().isidentifier():
            raise WrongUse(f"--set takes key=value, such as betas=0.9,0.99, not {shown(pair)}")
        settings[name.strip()] = _literal(text.strip())
    return settings


def _literal(text: str) -> Any:
    words = {"true": True, "false": False, "none": None, "nan": math.nan, "inf": math.inf}
    if text.lower() in words:
        return words[text.lower()]
    try:
        value = ast.literal_eval(text)
        repr(value)  # what cannot be written down cannot be a run's: 0xfff... of 4,300 digits
        return value
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return text


SIZES = {"K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}

LEAST_MEMORY = 2**29
"""Bytes; with less a process cannot even import torch."""


def read_size(text: str) -> int:
    """Bytes from ``4G``, ``512MiB`` or ``4294967296``.

    >>> read_size("1.5G")
    1610612736
    """
    from optbench.errors import WrongUse

    found = re.fullmatch(r"(\d+(?:\.\d*)?)\s*(?:([KMGT])I?B?|B)?", text.strip().upper())
    if found is None:
        raise WrongUse(f"--memory takes a size such as 4G or 512M, not {text!r}")
    size = int(float(found[1]) * SIZES.get(found[2], 1))
    if size < LEAST_MEMORY:
        raise WrongUse(f"--memory {text}: a worker needs 512M to begin")
    return size


def require_writable(path: Path, option: str) -> None:
    """Refuse a file before minutes of work whose result could not be written."""
    from optbench.errors import WrongUse

    was_there = path.exists()
    try:
        with path.open("a", encoding="utf-8"):
            pass
        if not was_there:
            path.unlink()
    except OSError as error:
        raise WrongUse(f"{option} {path}: {error.strerror}") from error
