"""Environments: another Python with a torch, a NumPy and packages of its own."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from optbench.plain_text import on_a_line
from optbench.sources.cache import cache_folder, made_once
from optbench.sources.source import Source, SourceError, existing
from optbench.sources.tree import Tree

FACTS = """
import json, platform, sys
import numpy, torch
print(json.dumps([sys.version_info[:2] >= (3, 11), sys.prefix, platform.python_version(),
                  str(torch.__version__), numpy.__version__]))
"""

FACTS_S = 120.0
"""Seconds for another Python to import torch and NumPy."""

PYTHON = Path("bin/python")
"""Where an environment's folder has its Python."""

NEEDED = ("torch", "numpy")
"""What each side computes with."""


def environment(source: Source) -> Tree:
    """Return the tree of ``env:PATH`` or ``env:REQUIREMENTS``.

    A path is of a Python or of a folder with one, as venv, uv and conda make it. Requirements, such
    as ``torch==2.13.0 numpy<3``, are installed into an environment in the cache.

    Raises
    ------
    SourceError
        Where there is no such Python, or it does not import torch and NumPy.
    """
    if os.name == "nt":
        raise SourceError(f"{source}: environments cannot be compared on Windows")
    python = _python(source)
    try:
        answer = subprocess.run(
            [python, "-P", "-c", FACTS],
            capture_output=True, text=True, errors="replace", check=False, timeout=FACTS_S,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SourceError(f"{source}: {python} does not run: {on_a_line(str(error))}") from error
    if answer.returncode:
        lines = [line for line in answer.stderr.splitlines() if line.strip()]
        why = lines[-1] if lines else f"exit status {answer.returncode}"
        old = " (Python 3.11 is the oldest)" if "-P" in why or "unknown option" in why else ""
        raise SourceError(
            f"{source}: its Python does not import torch and numpy{old}: {on_a_line(why)}"
        )
    is_new, prefix, version, torch, numpy = json.loads(answer.stdout.splitlines()[-1])
    if not is_new:
        raise SourceError(f"{source} has Python {version}; the oldest that is supported is 3.11")
    note = f"Python {version}, torch {torch}, NumPy {numpy}"
    return Tree(str(source), Path(prefix), (), note=note, python=str(python))


def _python(source: Source) -> Path:
    place = existing(source.what)
    if place is None:
        if re.search(r"[<>=~!]", source.what) and os.sep not in source.what:
            return _made(source)
        raise SourceError(
            f"{source}: no such Python or folder; requirements name versions, such as "
            "'env:torch==2.13.0'"
        )
    # As it is written: a link to a Python knows its environment by its own place.
    place = Path(os.path.abspath(place))  # noqa: PTH100
    python = place if place.is_file() else place / PYTHON
    if not python.is_file():
        raise SourceError(f"{source}: no Python in that folder (looked for {PYTHON})")
    return python


def _made(source: Source) -> Path:
    """Return the Python of an environment with these requirements, made where it is not there."""
    try:
        wanted = shlex.split(source.what)
    except ValueError as error:
        raise SourceError(f"{source}: {error}") from error
    named = {re.split(r"[^A-Za-z0-9._-]", each)[0].lower() for each in wanted}
    wanted += [name for name in NEEDED if name not in named]
    key = hashlib.sha256(f"{wanted} {sys.version} {sys.platform}".encode()).hexdigest()[:16]
    home = cache_folder() / "environments" / f"{re.sub(r'[^A-Za-z0-9.]+', '-', wanted[0])}-{key}"

    # Its folder is moved when it is whole: a Python finds its environment by its own place.
    def install(half: Path) -> Path:
        folder = half / "environment"
        python = str(folder / PYTHON)
        uv = shutil.which("uv")
        if uv:
            _run(source, uv, "venv", "--quiet", "--python", sys.executable, str(folder))
            _run(source, uv, "pip", "install", "--quiet", "--python", python, *wanted)
        else:
            _run(source, sys.executable, "-m", "venv", str(folder))
            quietly = ("--quiet", "--disable-pip-version-check")
            _run(source, python, "-m", "pip", "install", *quietly, *wanted)
        return folder

    return made_once(home, install) / PYTHON


def _run(source: Source, *command: str) -> None:
    variables = {k: v for k, v in os.environ.items() if k not in ("PIP_CONSTRAINT", "PYTHONPATH")}
    answer = subprocess.run(
        command, capture_output=True, text=True, errors="replace", check=False, env=variables
    )
    if answer.returncode:
        lines = [line for line in answer.stderr.splitlines() if line.strip()]
        errors = [line for line in lines if "error" in line.lower()] or lines
        why = on_a_line(errors[-1]) if errors else f"exit status {answer.returncode}"
        raise SourceError(f"{source} cannot be made: {why}")
