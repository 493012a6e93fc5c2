"""Known defects of other people's code: told apart from new ones by what they say and measure."""

from __future__ import annotations

import functools
import sys
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files

from packaging.specifiers import SpecifierSet

from optbench.conformance.promise import Broken
from optbench.registry import import_attribute


@dataclass(frozen=True)
class KnownDefect:
    """A row of ``known_defects.toml``."""

    optimizer: str
    check: str
    package: str
    versions: str
    says: str
    evidence: str
    at_most: float = float("inf")

    def explains(self, factory: Callable[..., object], check: str, broken: Broken) -> bool:
        """Whether this is what a broken promise of a class is about."""
        return (
            self.check == check
            and self._is(factory)
            and self.says in str(broken)
            and (broken.measured is None or broken.measured <= self.at_most)
            and self.is_present()
        )

    def _is(self, factory: Callable[..., object]) -> bool:
        module = self.optimizer.partition(":")[0]
        return module in sys.modules and import_attribute(self.optimizer) is factory

    def is_present(self) -> bool:
        """Whether the installed version is among those that have it."""
        try:
            # A local version (2.13.0+cpu) is the public one, built otherwise.
            public = version(self.package).partition("+")[0]
        except PackageNotFoundError:
            return False
        return SpecifierSet(self.versions).contains(public, prereleases=True)


@functools.cache
def known_defects() -> tuple[KnownDefect, ...]:
    """The rows of ``known_defects.toml``."""
    text = files("optbench.conformance").joinpath("known_defects.toml").read_text("utf-8")
    return tuple(KnownDefect(**row) for row in tomllib.loads(text).get("defect", ()))
