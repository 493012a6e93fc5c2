"""In a side's process: import from its tree, and from nowhere else what ought to be its own."""

from __future__ import annotations

import functools
import pkgutil
import sys
import types
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from optbench.engine.error_text import describe
from optbench.process.overlay import reason_missing
from optbench.registry import NotAdoptable, UnknownName, import_attribute, import_module
from optbench.scenarios.introspect import optimizer_classes
from optbench.scenarios.schedulers import scheduler_classes
from optbench.sources import Tree

LEFT_OUT = frozenset(("tests", "test", "testing", "conftest", "examples", "benchmarks", "setup"))


class Importer:
    """Imports of one tree.

    The judge may be a package of the tree's own name: optbench, compared with an older optbench.
    Then the tree's modules take the judge's places while something is imported, and only then.
    """

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        # An overlay is imported in its own place, and the judge has the same.
        own = set() if tree.overlay else set(tree.packages)
        self._clashing = {name for name in own if name in sys.modules}
        self._theirs: dict[str, types.ModuleType] = {}
        self._judges = frozenset(sys.modules)
        if tree.python:
            return  # everything there is its own
        # What is only in the user's folder, or was put on the path from another version (by
        # PYTHONPATH, by an editable install), must not look as if it were in the tree.
        first = [] if tree.overlay else [str(tree.path)]
        sys.path[:] = [*first, *(each for each in sys.path if self._may_stay(each))]

    def _may_stay(self, entry: str) -> bool:
        judge = Path(__file__).parents[2]
        place = Path(entry or ".").resolve()
        if place == judge:
            return True
        return place != Path.cwd() and not self.tree.is_foreign(place)

    def attribute(self, target: str) -> Any:
        """Import the object that ``package.module:Name`` names.

        Raises
        ------
        UnknownName
            Where there is no such thing, or it is not of this tree.
        """
        with _Places(self):
            found = import_attribute(target)
            if reason := reason_missing(found):
                raise UnknownName(reason)
            self._require_own(target.partition(":")[0])
            return found

    def classes(self, pattern: str) -> list[str]:
        """Targets that ``package.module:*``, or another glob of names in a module, stands for.

        Raises
        ------
        UnknownName, NotAdoptable
            A module that does not import, or one without an optimizer.
        """
        module, _, attribute = pattern.partition(":")
        if not any(wildcard in attribute for wildcard in "*?["):
            return [pattern]
        with _Places(self):
            exported = list(optimizer_classes(import_module(module, pattern)))
            self._require_own(module)
            # What it merely imports is somebody else's, and the same on both sides.
            own = [n for n, cls in exported if self._is_own(sys.modules.get(cls.__module__))]
            if self.tree.python:
                package = module.partition(".")[0]
                own = [n for n, cls in exported if cls.__module__.partition(".")[0] == package]
        fitting = [f"{module}:{name}" for name in own if fnmatchcase(name, attribute)]
        if not fitting:
            deeper = {t.partition(":")[0] for t in self.exported()[0] if t.startswith(f"{module}.")}
            there = f"; there are some in {', '.join(f'{n}:*' for n in sorted(deeper))}"
            hint = there if deeper else ""
            raise NotAdoptable(f"no optimizer in {module!r} fits {attribute!r}{hint}")
        return fitting

    def exported(self) -> tuple[list[str], list[tuple[str, str]]]:
        """Every optimizer class that the tree's packages export, and what did not import.

        A package that exports any has said which ones it means; of one that does not, its modules
        are looked into. A class is named by the shortest path that leads to it.
        """
        found: dict[str, type] = {}
        broken: list[tuple[str, str]] = []
        with _Places(self):
            for package in self.tree.packages:
                for name in self._modules(package, broken):
                    own = [
                        (f"{name}:{attribute}", cls)
                        for attribute, cls in optimizer_classes(sys.modules[name])
                        if self._is_own(sys.modules.get(cls.__module__))
                    ]
                    # Every name in a module: one that is new must not hide the old one. But a
                    # module deeper down adds no name to a class that has one.
                    known = set(found.values())
                    found |= {path: cls for path, cls in own if cls not in known}
                    broken += [
                        (f"{name}:{attribute}", reason)
                        for attribute, value in vars(sys.modules[name]).items()
                        if (reason := reason_missing(value))
                    ]
                    if name == package and own:
                        break
        return sorted(found), broken

    def schedulers(self, modules: Sequence[str]) -> tuple[list[str], list[tuple[str, str]]]:
        """Return the scheduler classes that these modules define, and what did not import."""
        found: list[str] = []
        broken: list[tuple[str, str]] = []
        with _Places(self):
            for name in modules:
                if self._import(name, broken):
                    classes = scheduler_classes(sys.modules[name])
                    found += [f"{name}:{each}" for each, cls in classes if cls.__module__ == name]
        return found, broken

    def _modules(self, package: str, broken: list[tuple[str, str]]) -> Iterator[str]:
        """Import a package and all below it, the shallow ones first; gives those that import."""
        waiting = [package]
        for name in waiting:
            if not self._import(name, broken):
                continue
            yield name
            for info in pkgutil.iter_modules(getattr(sys.modules[name], "__path__", ())):
                if info.name not in LEFT_OUT and not info.name.startswith(("__main__", "test_")):
                    waiting.append(f"{name}.{info.name}")

    def _import(self, name: str, broken: list[tuple[str, str]]) -> bool:
        """Import a module of the tree, or note why it does not import."""
        try:
            __import__(name)
            self._require_own(name)
        # Importing runs a stranger's code: what it raises is the answer.
        except (Exception, SystemExit) as error:  # noqa: BLE001
            broken.append((name, describe(error)))
            return False
        return True

    def _is_own(self, module: types.ModuleType | None) -> bool:
        file = _file(module)
        return file is not None and self.tree.has(file)

    def _require_own(self, name: str) -> None:
        """Refuse a module from outside the tree, which would be the same on both sides."""
        if self.tree.python:
            return
        for other in set(sys.modules) - self._judges:
            strange = _file(sys.modules[other])
            if strange is not None and self.tree.is_foreign(strange):
                raise UnknownName(
                    f"{name} imports {other}, which is not in {self.tree.label}: it came from "
                    f"{strange}, another version of the code"
                )
        module = sys.modules.get(name)
        if self._is_own(module):
            return
        file = _file(module)
        raise UnknownName(
            f"{name} is not in {self.tree.label}: it was imported from {file or 'elsewhere'} "
            "(--path names the folder that packages are in, --install builds them)"
        )


class _Places:
    """While it lasts, names that judge and tree share are the tree's modules."""

    def __init__(self, importer: Importer) -> None:
        self.importer = importer

    def __enter__(self) -> None:
        self._judges = self._take_out()
        sys.modules.update(self.importer._theirs)

    def __exit__(self, *_: object) -> None:
        self.importer._theirs = self._take_out()
        sys.modules.update(self._judges)

    def _take_out(self) -> dict[str, types.ModuleType]:
        names = [n for n in sys.modules if n.partition(".")[0] in self.importer._clashing]
        return {name: sys.modules.pop(name) for name in names}


def _file(module: types.ModuleType | None) -> Path | None:
    file = getattr(module, "__file__", None)
    # A package without an __init__.py has folders and no file.
    places = [file] if file else list(getattr(module, "__path__", ()))
    return _resolved(places[0]) if places else None


@functools.cache
def _resolved(place: str) -> Path:
    """Return where a module lies; of hundreds this is asked for each optimizer."""
    return Path(place).resolve()
