"""Optimizer libraries of other people, made for a test: a repository with Adam and SGD."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from repositories import TINYOPT, Repository

INIT = '"""Two optimizers."""\n\nfrom {name}.adam import Adam\nfrom {name}.sgd import SGD\n'

PYPROJECT = """[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"

[project]
name = "{name}"
version = "1.0"  # the only one
dependencies = ["torch"]

[tool.setuptools.packages.find]
where = ["{where}"]
include = ["{name}*"]
"""

PLANTED = ('correction2 = 1 - beta2 ** state["step"]', "correction2 = 1.0")
"""Adam without its second bias correction: the first steps are a thirtieth of what they were."""

SHORTENED = ('value=-group["lr"] / correction1', 'value=-group["lr"] / correction1 / 10')
"""Adam with a tenth of its step: at any fixed rate it gets less far."""


@dataclass(frozen=True)
class Library(Repository):
    """A git repository with a package in ``src/`` or at its top."""

    package: Path

    @classmethod
    def make(cls, root: Path, layout: str = "src", name: str = "tinyopt") -> Library:
        """One commit."""
        where = "src" if layout == "src" else "."
        made = cls(root, root / where / name)
        made.package.mkdir(parents=True)
        for module in ("adam", "sgd", "base"):
            text = (TINYOPT / "src" / "tinyopt" / f"{module}.py").read_text("utf-8")
            made.file(module).write_text(text.replace("tinyopt", name), "utf-8")
        made.file("__init__").write_text(INIT.format(name=name), "utf-8")
        (root / "pyproject.toml").write_text(PYPROJECT.format(name=name, where=where), "utf-8")
        made.git("init", "--quiet", "--initial-branch=main")
        made.commit("two optimizers")
        return made

    def file(self, module: str) -> Path:
        """A module of the package."""
        return self.package / f"{module}.py"

    def clone(self, place: Path) -> Library:
        """A fresh clone of this one, which is its origin."""
        subprocess.run(["git", "clone", "--quiet", str(self.root), str(place)], check=True)
        return Library(place, place / self.package.relative_to(self.root))

    def contents(self) -> dict[str, bytes]:
        """Every file but git's own."""
        return {
            str(file.relative_to(self.root)): file.read_bytes()
            for file in sorted(self.root.rglob("*"))
            if file.is_file() and ".git" not in file.relative_to(self.root).parts
        }
