"""A requirement, or a checkout that must be built, installed into a folder of its own.

Without its dependencies: those are the ones of this environment, the same on both sides, and a
second torch would make two environments of what ought to be one.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from importlib.metadata import distributions
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname
from zipfile import BadZipFile, ZipFile

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from remotezip import RemoteIOError, RemoteZip

from optbench.plain_text import on_a_line
from optbench.sources.cache import cache_folder, made_once
from optbench.sources.source import SourceError, existing

JUDGE = frozenset(("torch", "numpy", "scipy"))
"""Packages that both sides compute with, which cannot be compared here but for an overlay."""


def installed(requirement: str, scratch: Path) -> Path:
    """Return the folder that a requirement is installed in.

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
    return made_once(home, lambda half: _install(where, half / "site"))


def part_of(requirement: str, module: str) -> Path:
    """Return a folder with nothing but the Python files of a package within a released wheel.

    Of a wheel of a gigabyte no more is read than that. It stays in the cache.

    Raises
    ------
    SourceError
        Where there is no such wheel, or no such package in it.
    """
    _read(requirement, judge=False)
    url, checksum = _wheel(requirement)
    home = cache_folder() / "overlays" / f"{module}-{checksum[:16]}"
    inside = f"{module.replace('.', '/')}/"

    def extract(half: Path) -> Path:
        part = half / "part"
        part.mkdir()
        try:
            with _opened(url) as wheel:
                names = [name for name in wheel.namelist() if name.startswith(inside)]
                for name in names:
                    if name.endswith(".py"):
                        wheel.extract(name, part)
        except (OSError, BadZipFile, RemoteIOError) as error:
            raise SourceError(f"pip:{requirement}: cannot read {url}: {error}") from error
        if not names:
            raise SourceError(f"pip:{requirement} has no {module}")
        return part

    return made_once(home, extract)


def _wheel(requirement: str) -> tuple[str, str]:
    """Return where pip would take a requirement's wheel from, and its SHA-256."""
    answer = _pip("install", "--dry-run", "--no-deps", "--ignore-installed", "--quiet", "--report",
                  "-", "--only-binary", ":all:", "--", requirement)  # fmt: skip
    if answer.returncode:
        why = _reason(answer.stderr) or f"exit status {answer.returncode}"
        raise SourceError(f"pip finds no wheel of {requirement}: {why}")
    found = json.loads(answer.stdout)["install"][0]["download_info"]
    return found["url"], found["archive_info"]["hashes"]["sha256"]


def _opened(url: str) -> ZipFile:
    if url.startswith("file:"):
        return ZipFile(url2pathname(urlsplit(url).path))
    opened: ZipFile = RemoteZip(url)
    return opened


def built(checkout: Path, scratch: Path, *, called: str = "") -> Path:
    """Return the folder that a checkout is built and installed in.

    What pip says of the checkout is said of what it is ``called``: its folder may be a run's.
    """
    return _install(str(checkout), scratch, called)


def names(requirement: str, package: str) -> bool:
    """Whether a requirement is of a package, and nothing that lies in a folder."""
    try:
        return canonicalize_name(Requirement(requirement).name) == package
    except InvalidRequirement:
        return False


def _read(requirement: str, *, judge: bool = True) -> tuple[str, bool]:
    """Return pip's arguments, and whether they always install the same.

    ``judge``: refuse packages that the judge computes with.
    """
    shown = on_a_line(f"pip:{requirement}")
    if requirement.startswith("-"):
        raise SourceError(f"{shown} is not a requirement but an option of pip")
    path = existing(requirement)
    # A bare name is the package, also beside a folder of that name; dots alone name none.
    if path is not None and not re.fullmatch(r"[\w.-]*\w[\w.-]*", requirement):
        if path.is_dir():
            raise SourceError(
                f"{shown} is a folder: write dir:{shown.removeprefix('pip:')} --install"
            )
        return str(path.resolve()), False
    try:
        read = Requirement(requirement)
    except InvalidRequirement as error:
        raise SourceError(
            f"{shown} is not a requirement ({on_a_line(str(error).splitlines()[0])}); "
            "such as pip:tinyopt==1.2"
        ) from error
    if judge and canonicalize_name(read.name) in JUDGE:
        raise SourceError(
            f"{shown}: both sides compute with the {read.name} that is installed here; "
            "two versions of it are compared by two environments and optbench check"
        )
    pins = [s for s in read.specifier if s.operator == "==" and "*" not in s.version]
    return requirement, bool(pins) and read.url is None


def _install(what: str, target: Path, called: str = "") -> Path:
    answer = _pip("install", "--no-deps", "--no-compile", "--quiet", "--target", str(target), "--",
                  what)  # fmt: skip
    if answer.returncode:
        shutil.rmtree(target, ignore_errors=True)
        why = _reason(answer.stderr) or f"exit status {answer.returncode}"
        text = f"pip cannot install {what}: {why}"
        raise SourceError(text.replace(what, called) if called else text)
    if not target.is_dir() or not any(target.iterdir()):
        shutil.rmtree(target, ignore_errors=True)
        condition = (
            "; the environment marker after the semicolon does not match this Python"
            if ";" in what
            else ""
        )
        raise SourceError(f"pip installed nothing of {called or what}{condition}")
    return target


def _pip(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", *arguments]
    environment = {k: v for k, v in os.environ.items() if k != "PIP_CONSTRAINT"}
    answer = subprocess.run(
        command, capture_output=True, text=True, errors="replace", check=False, env=environment
    )
    if answer.returncode and "No module named pip" in answer.stderr:
        raise SourceError(f"{sys.executable} has no pip: install it with python -m ensurepip")
    return answer


def _reason(said: str) -> str:
    """Return up to four lines of pip's errors that say why, and what helps where that is known."""
    lines = [line.rstrip()[:300] for line in said.splitlines() if line.strip()]
    output = _output(lines)
    if output:
        # Of the builder: what compilers and exceptions say, and in any case its last word.
        errors = [
            line for line in output[:-1] if re.search(r"(?i)error\b.*:|\w(Error|Exception):", line)
        ]
        hint = "a build finds only what [build-system] requires in pyproject.toml names"
        missing = output[-1].startswith("ModuleNotFoundError:")
        return "\n".join([*errors[-3:], output[-1], *([hint] if missing else [])])
    if "Traceback (most recent call last):" in said:
        return lines[-1]
    return "\n".join(
        [line for line in lines if re.match(r"\s*(ERROR|error):", line)][-4:] or lines[-4:]
    )


def _output(lines: list[str]) -> list[str]:
    """Return the output of a failed build, of nested ones the innermost."""
    end = next((n for n, line in enumerate(lines) if line.strip() == "[end of output]"), 0)
    begins = [
        n for n, line in enumerate(lines[:end]) if re.search(r"\[\d+ lines? of output\]$", line)
    ]
    return [line.strip() for line in lines[begins[-1] + 1 : end]] if begins else []


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
