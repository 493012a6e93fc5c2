"""A folder laid over a part of an installed package.

Of PyTorch a checkout has the Python of ``torch.optim``, and no compiled part: the package is
imported as it is installed, but for ``torch.optim`` and all below it, which comes from the folder.
That has to be arranged before anything imports the package, so a process is told by a variable.

A module of the folder may want what the installed package has not, or lack what it wants. Then the
other modules still import, and whoever uses what is missing is told why.
"""

from __future__ import annotations

import ast
import importlib.abc
import importlib.machinery
import importlib.util
import os
import sys
import types
from collections.abc import Sequence
from pathlib import Path
from typing import Any

VARIABLE = "OPTBENCH_OVERLAY"
"""Environment variable, ``module=folder``, that is read where a process begins."""

INIT = "__init__.py"


class MissingType(type):
    """Class of placeholders for what cannot be imported, or is not there."""

    reason: str

    def __call__(cls, *_: Any, **__: Any) -> Any:
        """Refuse to construct what is missing."""
        raise ImportError(cls.reason)


def reason_missing(value: object) -> str:
    """Return why something could not be imported; empty for what was."""
    return value.reason if isinstance(value, MissingType) else ""


def environment(module: str, folder: Path) -> dict[str, str]:
    """Return the variables of a process in which ``folder`` stands for ``module``."""
    return {VARIABLE: f"{module}={folder}"}


def install() -> None:
    """Lay what the variable names over what is installed; without it do nothing."""
    module, _, folder = os.environ.get(VARIABLE, "").partition("=")
    is_there = any(isinstance(finder, _Finder) for finder in sys.meta_path)
    if module and not is_there:
        sys.meta_path.insert(0, _Finder(module, Path(folder)))


class _Finder(importlib.abc.MetaPathFinder):
    """Finds a package in a folder, and all below it nowhere else."""

    def __init__(self, module: str, folder: Path) -> None:
        self.module, self.folder = module, folder

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: Any = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname == self.module:
            spec = importlib.util.spec_from_file_location(
                fullname, self.folder / INIT, submodule_search_locations=[str(self.folder)]
            )
            assert spec is not None
            assert spec.loader is not None
            spec.loader = _Package(spec.loader, _names_installed(fullname))
            return spec
        if not fullname.startswith(f"{self.module}."):
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path)
        if spec is None:
            return importlib.machinery.ModuleSpec(fullname, _Absent())
        spec.loader = _Tolerant(spec.loader)
        return spec


class _Wrapping(importlib.abc.Loader):
    """A loader that sees to what another one loaded."""

    def __init__(self, loader: Any) -> None:
        self.loader = loader

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType | None:
        created: types.ModuleType | None = self.loader.create_module(spec)
        return created

    def __getattr__(self, name: str) -> Any:
        return getattr(self.loader, name)  # what inspect and pkgutil ask of a loader


class _Package(_Wrapping):
    """Has placeholders for names that the installed package has, and this one has not."""

    def __init__(self, loader: Any, installed: frozenset[str]) -> None:
        super().__init__(loader)
        self.installed = installed

    def exec_module(self, module: types.ModuleType) -> None:
        self.loader.exec_module(module)
        own = getattr(module, "__getattr__", None)

        def missing(name: str) -> Any:
            if own is not None:
                return own(name)
            if name in self.installed:
                return _placeholder(name, f"there is no {name} in this {module.__name__}")
            raise AttributeError(f"module {module.__name__!r} has no attribute {name!r}")

        module.__getattr__ = missing  # type: ignore[method-assign]


class _Tolerant(_Wrapping):
    """Has placeholders in place of a module that does not import."""

    def exec_module(self, module: types.ModuleType) -> None:
        try:
            self.loader.exec_module(module)
        except Exception as error:  # noqa: BLE001 - whatever a module raises is the answer
            _empty(module, f"{type(error).__name__}: {error}")


class _Absent(importlib.abc.Loader):
    """Has placeholders in place of a module that is not in the folder."""

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> None:
        return None

    def exec_module(self, module: types.ModuleType) -> None:
        _empty(module, f"ModuleNotFoundError: No module named {module.__name__!r}")


def _empty(module: types.ModuleType, why: str) -> None:
    root = module.__name__.partition(".")[0]
    version = getattr(sys.modules.get(root), "__version__", "")
    text = f"cannot be laid over the installed {root} {version}".rstrip() + f": {why}"

    def missing(name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _placeholder(name, text)

    for name in [name for name in vars(module) if not name.startswith("__")]:
        delattr(module, name)
    module.__getattr__ = missing  # type: ignore[method-assign]


def _placeholder(name: str, why: str) -> MissingType:
    return MissingType(name, (), {"reason": why})


def _names_installed(module: str) -> frozenset[str]:
    """Return the names that the installed package binds, read without importing it."""
    package, *inner = module.split(".")
    spec = importlib.machinery.PathFinder.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        return frozenset()
    file = Path(spec.submodule_search_locations[0]).joinpath(*inner, INIT)
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_bytes())) if file.is_file() else ():
        match node:
            case ast.ImportFrom() | ast.Import():
                names |= {alias.asname or alias.name.partition(".")[0] for alias in node.names}
            case ast.Name(ctx=ast.Store()):
                names.add(node.id)
            case ast.FunctionDef() | ast.ClassDef():
                names.add(node.name)
    return frozenset(names)


# A server that processes are forked from is told when it is begun, and imports this first.
install()
