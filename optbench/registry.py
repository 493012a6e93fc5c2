"""One small registry serves both catalogues: optimizers and problems.

A registry maps names to entries. It takes entries from three places, in this order: what
the package registers itself, what other distributions declare under an entry-point group,
and what a caller names as ``package.module:Attribute``.
"""

from __future__ import annotations

import difflib
import fnmatch
import importlib
import importlib.util
from collections.abc import Callable, Iterable, Iterator
from importlib.metadata import entry_points
from pathlib import PurePath
from types import ModuleType
from typing import Any, Generic, Protocol, TypeVar

from optbench import by_value
from optbench.errors import OptbenchError
from optbench.plain_text import on_a_line, said, shown


class Named(Protocol):
    """What a registry holds: anything that has a name."""

    @property
    def name(self) -> str:
        """The name that the entry is looked up by."""


T = TypeVar("T", bound=Named)


class UnknownName(OptbenchError, LookupError):
    """A name that is in no registry; its text says what the nearest right ones are."""


class NotAdoptable(OptbenchError, TypeError):
    """An object named as ``package.module:Attribute`` that cannot serve as an entry."""


class Registry(Generic[T]):
    """Names to entries, with an answer to a wrong name that helps.

    Parameters
    ----------
    kind : str
        What the entries are, in the singular, for messages: ``"optimizer"``.
    entry_point_group : str
        Where other distributions declare entries of theirs. An entry point may be an entry,
        an iterable of entries, or whatever ``adopt`` accepts.
    adopt : callable
        ``adopt(obj, name)`` makes an entry of an imported object, or raises `NotAdoptable`.
    """

    def __init__(self, kind: str, entry_point_group: str, adopt: Callable[[Any, str], T]) -> None:
        self.kind = kind
        self.entry_point_group = entry_point_group
        self._adopt = adopt
        self._entries: dict[str, T] = {}
        # Entries made of imported objects: found again, but not listed.
        self._adopted: dict[str, T] = {}
        # Those that no other process finds: it was not there when they were registered.
        self._here_alone: set[str] = set()
        self._third_party_loaded = False
        self.broken: dict[str, str] = {}
        """Entry points that could not be loaded, by name, with the reason."""

    def register(self, entry: T, *, everywhere: bool = False) -> T:
        """Add an entry; a second one of the same name is refused. Returns the entry.

        ``everywhere``: every process that imports optbench registers it as well.
        """
        if entry.name in self._entries:
            raise ValueError(f"{self.kind} {entry.name!r} is registered already")
        self._entries[entry.name] = entry
        if not everywhere:
            self._here_alone.add(entry.name)
        return entry

    def require_elsewhere(self, name: str) -> None:
        """Refuse an entry that other processes of this installation do not find.

        Raises
        ------
        NotAdoptable
            With what makes them find it.
        """
        if name in self._here_alone:
            raise NotAdoptable(
                f"{self.kind} {shown(name)} was registered in this process, and worker processes "
                f"do not know it: declare it under the entry-point group {self.entry_point_group}, "
                "or name it by where it can be imported from, as my_module:ROW"
            )

    def __getitem__(self, name: str) -> T:
        """Return the entry of this name, or of what ``package.module:Attribute`` names."""
        if name not in self._entries:
            self._load_third_party()
        if name in self._entries:
            return self._entries[name]
        if ":" in name:
            # A class of a notebook may be defined anew.
            which = name + by_value.fingerprint(name)
            if which not in self._adopted:
                self._adopted[which] = self._made(import_attribute(name), name)
            return self._adopted[which]
        raise UnknownName(self._unknown(name))

    def _made(self, obj: Any, name: str) -> T:
        """Make an entry of an imported object."""
        try:
            return self._adopt(obj, name)
        except (NotAdoptable, UnknownName):
            raise
        # What a class says of itself may be computed, and raise anything.
        except (Exception, SystemExit) as error:
            raise NotAdoptable(f"{shown(name)} cannot be looked into: {said(error)}") from error

    def __iter__(self) -> Iterator[T]:
        self._load_third_party()
        return iter(list(self._entries.values()))

    def __contains__(self, name: object) -> bool:
        self._load_third_party()
        return name in self._entries

    def __len__(self) -> int:
        self._load_third_party()
        return len(self._entries)

    def select(self, *patterns: str, where: Callable[[T], bool] = lambda entry: True) -> list[T]:
        """Entries by name or glob, each once, in the order of the patterns.

        Without a pattern, all of them. A bracket is part of a variant's name
        (``adam[fused]``) and never a character class. A pattern that fits nothing raises
        `UnknownName`.
        """
        chosen: dict[str, T] = {}
        for pattern in patterns or ("*",):
            if not any(wildcard in pattern for wildcard in "*?"):
                matches = [self[pattern]]
            else:
                matches = [e for e in self if fits(e.name, pattern)]
                if not matches:
                    raise UnknownName(
                        f"no {self.kind} fits the pattern {shown(pattern)} "
                        f"(optbench list {self.kind}s shows them all)"
                    )
            chosen.update((entry.name, entry) for entry in matches if where(entry))
        return list(chosen.values())

    def _unknown(self, name: str) -> str:
        near = difflib.get_close_matches(name.lower(), self._entries, n=3, cutoff=0.5)
        hint = f"; did you mean {' or '.join(map(repr, near))}?" if near else ""
        hint = _as_path(name) or hint
        return f"unknown {self.kind} {shown(name)}{hint} (optbench list {self.kind}s)"

    def _load_third_party(self) -> None:
        if self._third_party_loaded:
            return
        self._third_party_loaded = True
        for point in entry_points(group=self.entry_point_group):
            try:
                for entry in self._entries_of(point.load(), point.name):
                    self.register(entry, everywhere=True)
            # Whatever a stranger's module raises, it must not take the catalogue down with it;
            # `optbench list` shows the reason.
            except BaseException as error:
                if isinstance(error, KeyboardInterrupt):
                    raise
                self.broken[point.name] = f"{point.value}: {said(error)}"

    def _entries_of(self, loaded: Any, name: str) -> Iterable[T]:
        if isinstance(loaded, list | tuple):
            return [self._adopt(item, name) for item in loaded]
        return [self._adopt(loaded, name)]


def fits(name: str, pattern: str) -> bool:
    """Whether a name fits a glob, in which a bracket is a bracket: ``adam[fused]`` is a name."""
    return fnmatch.fnmatchcase(name, pattern.replace("[", "[[]"))


def _as_path(name: str) -> str:
    """Return a hint for a path that is not written as ``module:Name``."""
    if "," in name:
        return "; names are given one by one"
    if name.endswith(".py") or "/" in name:
        return f"; name the module, not the file: {on_a_line(PurePath(name).stem)}:Name"
    module, _, attribute = name.rpartition(".")
    try:
        if module and importlib.util.find_spec(module):
            return f"; did you mean {shown(f'{module}:{attribute}')}? (a colon before the name)"
        if name.isidentifier() and importlib.util.find_spec(name):
            return f"; {name!r} is a module: name what is in it, {name}:Name"
    # To look for what is in a package imports it, and that may raise anything.
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
    return ""


def import_attribute(path: str) -> Any:
    """Import what ``package.module:Attribute`` names.

    Raises
    ------
    UnknownName
        Where the module does not import or has no such attribute, with the reason.
    """
    module_name, _, attribute = path.partition(":")
    if not module_name or not attribute:
        raise UnknownName(f"{shown(path)} is not of the form package.module:Name")
    try:
        found: Any = by_value.find(path)
    # Its code runs as it is loaded.
    except (Exception, SystemExit) as error:
        raise UnknownName(f"cannot load {shown(path)}: {said(error)}") from error
    if found is not None:
        return found
    found = import_module(module_name, path)
    for part in attribute.split("."):
        try:
            found = getattr(found, part)
        except AttributeError as error:
            near = difflib.get_close_matches(part, map(str, dir(found)), n=3)
            hint = f"; did you mean {' or '.join(map(repr, near))}?" if near else ""
            raise UnknownName(
                f"module {shown(module_name)} has no {shown(attribute)}{hint}"
            ) from error
        # A module may make its attributes when they are asked for: that is a stranger's code, too.
        except (Exception, SystemExit) as error:
            raise UnknownName(f"cannot have {shown(path)}: {said(error)}") from error
    return found


def import_module(name: str, path: str) -> ModuleType:
    """Import the module of a path.

    Raises
    ------
    UnknownName
        Where it does not import, with the reason.
    """
    if name.endswith(".py") or "/" in name or name.startswith("."):
        stem = on_a_line(PurePath(name).stem)
        raise UnknownName(f"{shown(name)} is not a module: name it as it is imported, {stem}:Name")
    if name == "__main__":
        raise UnknownName(
            f"{shown(path)} is of the main script or notebook, which worker processes do not "
            "import: put it into a module, and name it as my_module:Name"
        )
    try:
        return importlib.import_module(name)
    # Importing runs a stranger's code: any exception of it is the answer to give, also those that
    # are no Exception (pytest.skip in a module).
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        text = f"cannot import {shown(name)} of {shown(path)}: {said(error)}"
        raise UnknownName(text) from error
