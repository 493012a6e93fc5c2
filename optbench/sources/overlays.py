"""Trees of which one folder is laid over an installed package, such as ``torch/optim``."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from optbench.process import overlay
from optbench.sources.source import SourceError
from optbench.sources.tree import Tree

OF_PYTORCH = "torch.optim"
"""Module that is laid over where a tree has it: PyTorch itself cannot be imported uncompiled."""

IMPORTED = ("optbench.comparison.side",)
"""What a side's process imports besides, which may want what a folder lacks."""

TRY_S = 120.0
"""Seconds to import the installed package with the folder laid over it."""


def overlay_in(folder: Path) -> str:
    """Return the module that a checkout's folder is laid over with; empty for ordinary packages."""
    return OF_PYTORCH if _place(folder, OF_PYTORCH).joinpath(overlay.INIT).is_file() else ""


def laid_over(tree: Tree, module: str, folder: Path) -> Tree:
    """Return a tree of nothing but the folder of ``module``, with which its package imports.

    Raises
    ------
    SourceError
        Where there is no such folder, or the installed package does not import with it.
    """
    source = _place(tree.path, module)
    if not all(part.isidentifier() for part in module.split(".")) or "." not in module:
        raise SourceError(
            f"--overlay {module}: name a package within an installed one, such as torch.optim"
        )
    if not (source / overlay.INIT).is_file():
        raise SourceError(f"{tree.label} has no {module}: there is no package at {source}")
    alone = folder.with_name(f"{folder.name}-overlay")
    shutil.copytree(source, _place(alone, module), ignore=shutil.ignore_patterns("__pycache__"))
    alone = alone.resolve()
    package = module.partition(".")[0]
    note = f"its {module} over the installed {package} {_version(package)}"
    note = f"{tree.note}; {note}" if tree.note else note
    made = replace(tree, path=alone, packages=(module,), overlay=module, note=note)
    _require_import(made)
    return made


def variables(tree: Tree) -> dict[str, str]:
    """Return the environment variables of a process that imports a tree."""
    if not tree.overlay:
        return {}
    # Without the current folder on the path: it may be the checkout, where half a torch lies.
    safe = {"PYTHONSAFEPATH": "1"}
    return {**safe, **overlay.environment(tree.overlay, _place(tree.path, tree.overlay))}


def _place(folder: Path, module: str) -> Path:
    return folder.joinpath(*module.split("."))


def _require_import(tree: Tree) -> None:
    package = tree.overlay.partition(".")[0]
    modules = [overlay.__name__, tree.overlay, *IMPORTED]
    modules += ["torch._dynamo"] if package == "torch" else []
    try:
        answer = subprocess.run(
            [sys.executable, "-c", f"import {', '.join(modules)}"],
            capture_output=True, text=True, errors="replace", check=False, timeout=TRY_S,
            env={**os.environ, **variables(tree), "PYTHONDONTWRITEBYTECODE": "1"},
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        text = f"{tree.label}: its {tree.overlay} was not imported within {TRY_S:g} s"
        raise SourceError(text) from error
    if answer.returncode:
        said = [line for line in answer.stderr.splitlines() if line.strip()]
        last = said[-1] if said else f"exit status {answer.returncode}"
        raise SourceError(
            f"{tree.label}: its {tree.overlay} cannot be laid over the installed {package} "
            f"{_version(package)}: {last}"
        )


def _version(package: str) -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
    except PackageNotFoundError:
        return "(none)"
