"""A repository, as it lies: its name, its table, where its tests and benchmarks are."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from optbench.scaffold.changes import ScaffoldError
from optbench.sources.configuration import Configuration, read_configuration
from optbench.sources.git import run_git

PYPROJECT = "pyproject.toml"
ASV = "asv.conf.json"


@dataclass(frozen=True)
class Repository:
    """What is known of a repository before its code is looked at.

    Attributes
    ----------
    root : Path
        Its top level.
    pyproject : mapping
        As it was read.
    configuration : Configuration
        ``[tool.optbench]``, or its defaults.
    """

    root: Path
    pyproject: dict[str, Any]
    configuration: Configuration

    @property
    def has_table(self) -> bool:
        """Whether there is a ``[tool.optbench]``."""
        return "optbench" in self._table("tool")

    @property
    def name(self) -> str:
        """The project's name, or its folder's."""
        for table in (self._table("project"), self._table("tool", "poetry")):
            if isinstance(table.get("name"), str):
                return str(table["name"])
        return self.root.name

    @property
    def dependencies(self) -> list[str] | None:
        """What it needs when it runs; None where ``pyproject.toml`` does not say."""
        project = self._table("project")
        dynamic = project.get("dynamic", [])
        if not project or (isinstance(dynamic, list) and "dependencies" in dynamic):
            return None
        return _texts(project.get("dependencies", []), "[project] dependencies")

    @property
    def build_requires(self) -> list[str]:
        """What its builder needs, which asv installs by itself."""
        return _texts(self._table("build-system").get("requires", []), "[build-system] requires")

    @property
    def tests(self) -> PurePosixPath:
        """The folder of its tests: the first of pytest's that there is, or the usual one."""
        told = self._table("tool", "pytest", "ini_options").get("testpaths", [])
        told = told.split() if isinstance(told, str) else told
        for each in (*told, "tests", "test"):
            if isinstance(each, str) and (self.root / each).is_dir():
                path = PurePosixPath(each)
                if not path.is_absolute() and ".." not in path.parts:
                    return path
        return PurePosixPath("tests")

    @property
    def benchmarks(self) -> PurePosixPath:
        """The folder that asv looks for benchmarks in."""
        try:
            text = (self.root / ASV).read_text("utf-8")
        except (OSError, UnicodeDecodeError):
            return PurePosixPath("benchmarks")  # whether it can be replaced is asked later
        # By its line, as the file may have comments.
        said = re.search(r'^[\s{]*"benchmark_dir"\s*:\s*"([^"\\]+)"', text, flags=re.MULTILINE)
        path = PurePosixPath(said.group(1) if said else "benchmarks")
        return PurePosixPath("benchmarks") if path.is_absolute() or ".." in path.parts else path

    def _table(self, *keys: str) -> dict[str, Any]:
        value: Any = self.pyproject
        for key in keys:
            value = value.get(key) if isinstance(value, dict) else None
        return value if isinstance(value, dict) else {}


def _texts(value: Any, where: str) -> list[str]:
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return value
    raise ScaffoldError(f"{PYPROJECT}: {where} is a list of texts, not {value!r}")


def look(folder: Path) -> Repository:
    """Return the repository that a folder is in.

    Raises
    ------
    ScaffoldError
        No folder, no repository, no ``pyproject.toml``.
    SourceError
        A ``pyproject.toml`` that cannot be read.
    """
    if not folder.is_dir():
        raise ScaffoldError(f"{folder}: no such folder")
    code, out, said = run_git(folder, ("rev-parse", "--show-toplevel"))
    if code or not out:
        detail = f" ({said})" if said and "not a git repository" not in said else ""
        raise ScaffoldError(
            f"{folder} is in no git repository{detail}: git init makes one; asv and compare need "
            "commits"
        )
    root = Path(out)
    if not (root / PYPROJECT).is_file():
        below = root != folder.resolve() and (folder / PYPROJECT).is_file()
        raise ScaffoldError(
            f"no {PYPROJECT} at the top of the repository, {root}"
            + (
                f": {folder} has one, but asv, the workflows and the table of compare belong to a "
                "whole repository"
                if below
                else ": optbench init is for an optimizer library that is built from one"
            )
        )
    configuration = read_configuration(root)  # complains of what cannot be read
    try:
        text = (root / PYPROJECT).read_bytes().decode("utf-8")
    except OSError as error:
        raise ScaffoldError(f"{root / PYPROJECT} cannot be read: {error.strerror}") from error
    return Repository(root, tomllib.loads(text), configuration)
