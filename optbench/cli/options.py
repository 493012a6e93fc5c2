"""Options that several commands take, and the reading of their values."""

from __future__ import annotations

import ast
import math
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from optbench.defaults import DEFAULT_STORE
from optbench.plain_text import shown

if TYPE_CHECKING:
    from optbench.runner.isolation import Limits

StoreOption = Annotated[
    str,
    typer.Option(
        "--store",
        envvar="OPTBENCH_STORE",
        metavar="URL",
        help="A SQLite file, or any SQLAlchemy URL.",
        show_default=DEFAULT_STORE,
    ),
]

DataOption = Annotated[
    Path | None,
    typer.Option(
        "--data",
        envvar="OPTBENCH_DATA",
        metavar="DIR",
        help="Folder with the official MNIST files (optbench data mnist); "
        "the 10,000 shipped digits without it.",
    ),
]

JobsOption = Annotated[
    int | None,
    typer.Option("--jobs", "-j", min=1, help="Worker processes.", show_default="all processors"),
]

RunJobsOption = Annotated[
    int | None,
    typer.Option(
        "--jobs",
        "-j",
        min=0,
        help="Worker processes; 0: this one works, and prints, for a debugger.",
        show_default="all processors",
    ),
]

TimeoutOption = Annotated[
    float | None,
    typer.Option(
        "--timeout",
        metavar="SECONDS",
        help="Most that a unit (runs that advance together, one or a hundred) may take, or its "
        "worker is ended. 0: no limit, also where nothing moves.",
        show_default="none, but 300 s without a step are too long",
    ),
]

MemoryOption = Annotated[
    str | None,
    typer.Option(
        "--memory",
        metavar="SIZE",
        help="Most data that a worker process may hold, such as 4G.",
        show_default="no limit",
    ),
]

DaskOption = Annotated[
    str | None,
    typer.Option(
        "--dask",
        envvar="OPTBENCH_DASK",
        metavar="WHERE",
        help="Work on a Dask cluster: tcp://HOST:PORT, tls://HOST:PORT, a scheduler file, "
        "or local:N.",
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
    from optbench.cli.wrong_use import WrongUse

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


def read_limits(timeout: float | None, memory: str | None) -> Limits:
    """What a unit may take, of ``--timeout`` and ``--memory``."""
    from optbench.cli.wrong_use import WrongUse
    from optbench.runner.isolation import Limits

    if timeout is not None and not timeout >= 0:
        raise WrongUse(f"--timeout takes seconds, or 0 for no limit, not {timeout}")
    return Limits(math.inf if timeout == 0 else timeout, read_size(memory) if memory else None)


SIZES = {"K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}

LEAST_MEMORY = 2**29
"""Bytes; with less a process cannot even import torch."""


def read_size(text: str) -> int:
    """Bytes from ``4G``, ``512MiB`` or ``4294967296``.

    >>> read_size("1.5G")
    1610612736
    """
    from optbench.cli.wrong_use import WrongUse

    found = re.fullmatch(r"(\d+(?:\.\d*)?)\s*(?:([KMGT])I?B?|B)?", text.strip().upper())
    if found is None:
        raise WrongUse(f"--memory takes a size such as 4G or 512M, not {text!r}")
    size = int(float(found[1]) * SIZES.get(found[2], 1))
    if size < LEAST_MEMORY:
        raise WrongUse(f"--memory {text}: a worker needs 512M to begin")
    return size


def require_writable(path: Path, option: str) -> None:
    """Refuse a file before minutes of work whose result could not be written."""
    from optbench.cli.wrong_use import WrongUse

    was_there = path.exists()
    try:
        with path.open("a", encoding="utf-8"):
            pass
        if not was_there:
            path.unlink()
    except OSError as error:
        raise WrongUse(f"{option} {path}: {error.strerror}") from error
