"""A tree that can be imported, and where in a checkout the packages are."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from optbench.sources.source import SourceError

NOT_THE_PACKAGE = frozenset(
    (
        *("tests", "test", "testing", "docs", "doc", "examples", "example", "benchmarks"),
        *("benchmark", "scripts", "tools", "build", "dist", "notebooks", "setup", "conftest"),
        *("noxfile", "tasks", "fabfile", "versioneer", "reports", "bin"),
    )
)
"""Names beside a package that are no part of what it gives to others."""


@dataclass(frozen=True)
class Tree:
    """A folder that goes first on the path, and what is known about it.

    Attributes
    ----------
    label : str
        The source as the user wrote it.
    path : Path
        Goes first on ``sys.path``.
    packages : tuple of str
        The top-level packages and modules in it that others import.
    version : str
        The full commit hash, the version that was installed, or the empty string.
    note : str
        What a reader has to know: changes that are not committed, submodules left out.
    """

    label: str
    path: Path
    packages: tuple[str, ...]
    version: str = ""
    note: str = ""


def importable(checkout: Path, path: str | None = None) -> Path:
    """The folder of a checkout that goes on ``sys.path``.

    ``path`` where it is given; else what ``pyproject.toml`` tells setuptools, Poetry or PDM;
    else ``src`` where there is a module in it; else the checkout itself.

    Raises
    ------
    SourceError
        Where ``path`` is no folder of the checkout.
    """
    if path is not None:
        chosen = checkout / path
        if not chosen.is_dir():
            raise SourceError(f"--path {path}: no such folder in {checkout}")
        return chosen
    for candidate in (*_declared(_pyproject(checkout)), "src"):
        folder = checkout / candidate
        if folder.is_dir() and list(modules_in(folder)):
            return folder
    return checkout


def packages_in(path: Path, checkout: Path) -> tuple[str, ...]:
    """The top-level packages and modules of a folder, but for tests, documents and the like.

    Where one has the project's own name, it is the only one.
    """
    found = [name for name in modules_in(path) if name.lower() not in NOT_THE_PACKAGE]
    project = _pyproject(checkout).get("project", {})
    name = project.get("name", "") if isinstance(project, dict) else ""
    own = re.sub(r"[-_.]+", "_", str(name)).lower()
    return tuple(n for n in found if n.lower() == own) or tuple(found)


def modules_in(folder: Path) -> list[str]:
    """Names that ``import`` would find in a folder."""
    names = []
    for each in sorted(folder.iterdir()):
        if each.is_dir() and _is_package(each):
            names.append(each.name)
        elif each.suffix == ".py" and each.stem.isidentifier() and each.name != "__init__.py":
            names.append(each.stem)
    return names


def _is_package(folder: Path) -> bool:
    if not folder.name.isidentifier() or folder.name == "__pycache__":
        return False
    return (folder / "__init__.py").exists() or any(
        (sub / "__init__.py").exists() for sub in folder.iterdir() if sub.is_dir()
    )


def _pyproject(checkout: Path) -> dict[str, Any]:
    try:
        return tomllib.loads((checkout / "pyproject.toml").read_text("utf-8"))
    # A broken one says nothing about the layout; whoever reads more of it complains.
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError):
        return {}


def _declared(pyproject: dict[str, Any]) -> list[str]:
    """Folders that build backends are told of."""
    found: list[Any] = []

    def read(*keys: str) -> Any:
        value: Any = pyproject.get("tool", {})
        for key in keys:
            value = value.get(key) if isinstance(value, dict) else None
        return value

    where = read("setuptools", "packages", "find", "where")
    found += where if isinstance(where, list) else []
    found.append(read("setuptools", "package-dir", ""))
    poetry = read("poetry", "packages")
    found += [each.get("from") for each in poetry or [] if isinstance(each, dict)]
    found.append(read("pdm", "build", "package-dir"))
    return [each for each in found if isinstance(each, str) and each]
