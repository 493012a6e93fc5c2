"""Known defects of other people's code: told apart from new ones by what they say and measure."""

from __future__ import annotations

import functools
import sys
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files

from packaging.version import Version

from optbench.registry import import_attribute
from optbench.scenarios.outcomes import CheckFailed


@dataclass(frozen=True)
class KnownDefect:
    """A row of ``known_defects.toml``, whose fields are explained there."""

    optimizer: str
    check: str
    package: str
    seen_in: str
    says: str
    evidence: str
    gone_in: str = ""
    at_most: float = float("inf")

    def explains(self, factory: Callable[..., object], check: str, failure: CheckFailed) -> bool:
        """Whether this is what a class's failure of a check is about."""
        return (
            self.check == check
            and self._is(factory)
            and self.says in str(failure)
            and (failure.measured is None or failure.measured <= self.at_most)
            and self.is_present()
        )

    def _is(self, factory: Callable[..., object]) -> bool:
        module, _, name = self.optimizer.partition(":")
        if module not in sys.modules:
            return False
        if name == "*":
            return f"{getattr(factory, '__module__', '')}.".startswith(f"{module}.")
        return import_attribute(self.optimizer) is factory

    def is_present(self) -> bool:
        """Whether the installed version has it, as far as anybody knows."""
        try:
            # A local version (2.13.0+cpu) is the public one, built otherwise.
            installed = Version(Version(version(self.package)).public)
        except PackageNotFoundError:
            return False
        seen = Version(self.seen_in) <= installed
        return seen and not (self.gone_in and Version(self.gone_in) <= installed)


@functools.cache
def known_defects() -> tuple[KnownDefect, ...]:
    """Read the rows of ``known_defects.toml``."""
    text = files("optbench.conformance").joinpath("known_defects.toml").read_text("utf-8")
    return tuple(KnownDefect(**row) for row in tomllib.loads(text).get("defect", ()))
