"""A tree that can be imported, and where in a checkout the packages are."""

from __future__ import annotations

import re
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from optbench.sources.source import SourceError, existing

NOT_THE_PACKAGE = frozenset(
    (
        *("tests", "test", "testing", "docs", "doc", "examples", "example", "benchmarks"),
        *("benchmark", "scripts", "tools", "build", "dist", "notebooks", "setup", "conftest"),
        *("noxfile", "tasks", "fabfile", "versioneer", "reports", "bin"),
    )
)
"""Names beside a package that are no part of what it gives to others."""

NO_NAMESPACE = frozenset(
    (
        *("data", "dataset", "datasets", "assets", "config", "configs", "conf", "results"),
        *("experiments", "figures", "images", "templates", "csrc", "src", "lib", "python"),
        *("third_party", "vendor", "venv", "env", "ci", "__pycache__"),
    )
)
"""Names of folders that, without an ``__init__.py``, are of files and not of modules."""


@dataclass(frozen=True)
class Tree:
    """A folder that goes first on the path, and what is known about it.

    Attributes
    ----------
    label : str
        The source as the user wrote it.
    path : Path
        Goes first on ``sys.path``, unless it is an overlay or an environment.
    packages : tuple of str
        The top-level packages and modules in it that others import.
    version : str
        The full commit hash, the version that was installed, or the empty string.
    note : str
        What a reader has to know: changes that are not committed, submodules left out.
    overlay : str
        The module that its one package is laid over, as installed; empty: it goes on the path.
    python : str
        The interpreter of an environment of its own; empty: this one.
    foreign : tuple of Path
        Folders with other versions of the same code, which nothing may be imported from.
    """

    label: str
    path: Path
    packages: tuple[str, ...]
    version: str = ""
    note: str = ""
    overlay: str = ""
    python: str = ""
    foreign: tuple[Path, ...] = ()

    def has(self, file: Path) -> bool:
        """Whether a file is this tree's."""
        return file.is_relative_to(self.path.resolve())

    def is_foreign(self, file: Path) -> bool:
        """Whether it is of another version of this tree.

        What is installed is not, also where the environment lies in the user's checkout.
        """
        if self.has(file) or {"site-packages", "dist-packages"} & {*file.parts}:
            return False
        if any(file.is_relative_to(prefix) for prefix in (sys.prefix, sys.base_prefix)):
            return False
        return any(file.is_relative_to(folder.resolve()) for folder in self.foreign)


def importable(checkout: Path, path: str | None = None) -> Path:
    """Return the folder of a checkout that goes on ``sys.path``.

    ``path`` where it is given; else what ``pyproject.toml`` tells setuptools, Poetry or PDM;
    else ``src`` where there is a module in it; else the checkout itself.

    Raises
    ------
    SourceError
        Where ``path`` is no folder of the checkout, or one outside of it.
    """
    if path is not None:
        chosen = checkout / path
        if not _is_inside(chosen, checkout):
            raise SourceError(
                f"--path {path} leads out of {checkout}: it names the folder that packages are in, "
                "from the top of each side's own checkout, such as src"
            )
        if existing(str(chosen)) is None or not chosen.is_dir():
            raise SourceError(f"--path {path}: no such folder in {checkout}")
        return chosen
    for candidate in _declared(_pyproject(checkout)):
        folder = checkout / candidate
        if (
            existing(str(folder))
            and _is_inside(folder, checkout)
            and (modules_in(folder) or namespaces_in(folder))
        ):
            return folder
    src = checkout / "src"
    return src if _is_inside(src, checkout) and _is_source(src, checkout) else checkout


def _is_inside(folder: Path, checkout: Path) -> bool:
    """Whether it is the checkout's own: else both sides might be the same files."""
    try:
        return folder.resolve().is_relative_to(checkout.resolve())
    except ValueError:  # a zero byte
        return False


def _is_source(src: Path, checkout: Path) -> bool:
    """Whether a ``src`` is where the packages are: also in C there are folders of that name."""
    if modules_in(src) or _namespace_named(src, _own_name(checkout)):
        return True
    return bool(namespaces_in(src)) and not _offered(checkout)


def packages_in(path: Path, checkout: Path) -> tuple[str, ...]:
    """Return the top-level packages and modules of a folder, but for tests, documents and the like.

    Where one has the project's own name, it is the only one; so is the ``company`` of a
    ``company-tinyopt`` that has ``company/tinyopt``. Other folders without an ``__init__.py`` are
    packages only where there is nothing else.
    """
    found = _offered(path)
    own = _own_name(checkout)
    named = [n for n in found if n.lower() == own] or _namespace_named(path, own)
    return tuple(named or found or namespaces_in(path))


def _offered(folder: Path) -> list[str]:
    return [name for name in modules_in(folder) if name.lower() not in NOT_THE_PACKAGE]


def _own_name(checkout: Path) -> str:
    """Return the project's name as a module name."""
    project = _pyproject(checkout).get("project", {})
    name = project.get("name", "") if isinstance(project, dict) else ""
    return re.sub(r"[-_.]+", "_", str(name)).lower()


def modules_in(folder: Path) -> list[str]:
    """Names that ``import`` would find in a folder; of namespaces, those of packages only."""
    if not folder.is_dir():
        return []
    names = []
    for each in sorted(folder.iterdir()):
        if each.is_dir() and _is_package(each):
            names.append(each.name)
        elif each.suffix == ".py" and each.stem.isidentifier() and each.name != "__init__.py":
            names.append(each.stem)
    return names


def namespaces_in(folder: Path) -> list[str]:
    """Folders that have modules in them, however deep, and no ``__init__.py``."""
    return [each.name for each in _inner(folder) if _holds_modules(each)]


DEPTH = 4
"""Maximum depth of packages, as in ``google/cloud/x/y``; deeper folders are data."""


def _holds_modules(folder: Path, depth: int = DEPTH) -> bool:
    return bool(_offered(folder)) or (
        depth > 1 and any(_holds_modules(each, depth - 1) for each in _inner(folder))
    )


def _namespace_named(folder: Path, own: str) -> list[str]:
    """Return the folder in which the rest of the project's name is a module."""
    for each in _inner(folder):
        rest = own.removeprefix(f"{each.name.lower()}_")
        if rest != own and (
            rest in (name.lower() for name in modules_in(each)) or _namespace_named(each, rest)
        ):
            return [each.name]
    return []


def _inner(folder: Path) -> list[Path]:
    """Return the folders in one that might be namespaces."""
    if not folder.is_dir():
        return []
    return [
        each
        for each in sorted(folder.iterdir())
        if each.name.isidentifier()
        and each.name.lower() not in NOT_THE_PACKAGE | NO_NAMESPACE
        and each.is_dir()
        and not (each / "pyvenv.cfg").exists()
    ]


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
    except (OSError, ValueError, RecursionError):
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
    poetry = poetry if isinstance(poetry, list) else []
    found += [each.get("from") for each in poetry if isinstance(each, dict)]
    found.append(read("pdm", "build", "package-dir"))
    return [each for each in found if isinstance(each, str) and each]
