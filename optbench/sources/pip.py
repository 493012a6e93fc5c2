"""A requirement, or a checkout that must be built, installed into a folder of its own.

Without its dependencies: those are the ones of this environment, the same on both sides, and a
second torch would make two environments of what ought to be one.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from importlib.metadata import distributions
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from optbench.sources.cache import cache_folder
from optbench.sources.source import SourceError

JUDGE = frozenset(("torch", "numpy", "scipy"))
"""What both sides compute with, and so cannot be compared here."""


def installed(requirement: str, scratch: Path) -> Path:
    """The folder that a requirement is installed in.

    What is pinned to a version stays in the cache; what is not is resolved anew each time, into
    ``scratch``.

    Raises
    ------
    SourceError
        Where it is no requirement, or pip fails, with pip's last words.
    """
    where, pinned = _read(requirement)
    if not pinned:
        return _install(where, scratch)
    key = hashlib.sha256(f"{where} {sys.version} {sys.platform}".encode()).hexdigest()[:16]
    name = re.sub(r"[^A-Za-z0-9.]+", "-", requirement).strip("-")[:60]
    home = cache_folder() / "pip" / f"{name}-{key}"
    if home.is_dir():
        return home
    home.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=home.parent, prefix=".half-") as half:
        done = _install(where, Path(half) / "site")
        try:
            done.rename(home)
        except OSError:
            if not home.is_dir():  # somebody else was first
                raise
    return home


def built(checkout: Path, scratch: Path) -> Path:
    """The folder that a checkout is built and installed in."""
    return _install(str(checkout), scratch)


def _read(requirement: str) -> tuple[str, bool]:
    """What pip is given, and whether it always gives the same."""
    if requirement.startswith("-"):
        raise SourceError(f"pip:{requirement} is no requirement but an option of pip's")
    if Path(requirement).expanduser().exists() and not re.fullmatch(r"[\w.-]+", requirement):
        path = Path(requirement).expanduser().resolve()
        if path.is_dir():
            raise SourceError(f"pip:{requirement} is a folder: write dir:{requirement} --install")
        return str(path), False
    try:
        read = Requirement(requirement)
    except InvalidRequirement as error:
        raise SourceError(
            f"pip:{requirement} is no requirement ({str(error).splitlines()[0]}); "
            "such as pip:tinyopt==1.2"
        ) from error
    if canonicalize_name(read.name) in JUDGE:
        raise SourceError(
            f"pip:{requirement}: both sides compute with the {read.name} that is installed here; "
            "two versions of it are compared by two environments and optbench check"
        )
    pins = [s for s in read.specifier if s.operator == "==" and "*" not in s.version]
    return requirement, bool(pins) and read.url is None


def _install(what: str, target: Path) -> Path:
    environment = {k: v for k, v in os.environ.items() if k != "PIP_CONSTRAINT"}
    command = [
        *(sys.executable, "-m", "pip", "install", "--no-deps", "--no-compile", "--quiet"),
        *("--disable-pip-version-check", "--no-input", "--target", str(target), "--", what),
    ]
    answer = subprocess.run(
        command, capture_output=True, text=True, errors="replace", check=False, env=environment
    )
    if answer.returncode:
        shutil.rmtree(target, ignore_errors=True)
        said = answer.stderr.strip().splitlines() or [f"exit status {answer.returncode}"]
        if "No module named pip" in answer.stderr:
            raise SourceError(f"{sys.executable} has no pip: python -m ensurepip gives it one")
        errors = [line for line in said if line.lstrip().startswith(("ERROR:", "error:"))] or said
        raise SourceError(f"pip cannot install {what}: " + "\n".join(errors[-4:]))
    if not target.is_dir():
        raise SourceError(f"pip installed nothing of {what}")
    return target


def what_was_installed(site: Path) -> tuple[str, tuple[str, ...]]:
    """``name version`` of the distribution in a folder, and the top-level modules that it has."""
    found = list(distributions(path=[str(site)]))
    if not found:
        return "", ()
    one = found[0]
    tops = {
        Path(str(file)).parts[0].removesuffix(".py")
        for file in one.files or ()
        if str(file).endswith(".py") and not str(file).startswith("..")
    }
    tops = {top for top in tops if top.isidentifier()}
    return f"{one.metadata['Name']} {one.version}", tuple(sorted(tops))
