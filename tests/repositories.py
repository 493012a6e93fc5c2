"""Repositories for tests: a package of ten optimizers, and commits to it."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

TINYOPT = Path(__file__).parent / "comparison" / "tinyopt_repository"


@dataclass(frozen=True)
class Repository:
    """A git repository with ``tinyopt`` in ``src/``."""

    root: Path

    @classmethod
    def make(cls, root: Path) -> Repository:
        """One commit, of the package as it is."""
        shutil.copytree(TINYOPT, root, ignore=shutil.ignore_patterns("__pycache__"))
        made = cls(root)
        made.git("init", "--quiet", "--initial-branch=main")
        made.commit("ten optimizers")
        return made

    def git(self, *arguments: str) -> str:
        """What git answers."""
        identity = ("-c", "user.name=T", "-c", "user.email=t@example.org")
        answer = subprocess.run(
            ["git", *identity, "-c", "commit.gpgsign=false", "-C", str(self.root), *arguments],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        return answer.stdout.strip()

    def file(self, name: str) -> Path:
        """A module of the package."""
        return self.root / "src" / "tinyopt" / f"{name}.py"

    def change(self, name: str, *edits: tuple[str, str]) -> None:
        """Replace texts in a module, each of which is there exactly once."""
        text = self.file(name).read_text("utf-8")
        for old, new in edits:
            assert text.count(old) == 1, (name, old, text.count(old))
            text = text.replace(old, new)
        self.file(name).write_text(text, "utf-8")

    def commit(self, subject: str) -> str:
        """Commit everything; gives the hash."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "-m", subject)
        return self.git("rev-parse", "HEAD")

    def changed(self, subject: str, name: str, *edits: tuple[str, str]) -> str:
        """A commit with edits to one module."""
        self.change(name, *edits)
        return self.commit(subject)
