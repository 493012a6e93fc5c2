"""Every file that `optbench init` wants in a repository, and what has to be said about them."""

from __future__ import annotations

import json
import re
import sys
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from packaging.requirements import Requirement

from optbench.scaffold.changes import Change, ScaffoldError, read
from optbench.scaffold.optimizers import Optimizers, find_optimizers
from optbench.scaffold.pins import matrix, optbench_requirement
from optbench.scaffold.repository import ASV, PYPROJECT, Repository, look
from optbench.scaffold.workflows import Setting, render, workflows

WORKFLOWS = PurePosixPath(".github/workflows")

IGNORED = ("/.optbench/", "/.asv/", "/reports/nightly/")

PACKAGE = '"""Benchmarks that asv runs: asv.conf.json says how, `asv run HEAD^!` does it."""\n'
"""Content of the benchmarks' ``__init__.py``."""

ONE_THREAD = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(frozen=True)
class Draft:
    """What is wanted in a repository.

    Attributes
    ----------
    root : Path
    optimizers : Optimizers
    changes : tuple of Change
    notes : tuple of str
        What the user has to know.
    """

    root: Path
    optimizers: Optimizers
    changes: tuple[Change, ...]
    notes: tuple[str, ...]


def draft(
    folder: Path,
    targets: Sequence[str] = (),
    optbench: str | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> Draft:
    """Look at a repository and draft its files; nothing is written.

    Parameters
    ----------
    folder : Path
        Anywhere in it.
    targets : sequence of str
        As ``-o`` takes them; what its table says without, or all that it exports.
    optbench : str or None
        The requirement that installs optbench there; this version without.
    tell : callable
        Hears what is going on.

    Raises
    ------
    ScaffoldError, SourceError
        What stands in the way, before anything was written.
    """
    repository = look(folder)
    judge = optbench_requirement(optbench)
    found = find_optimizers(repository, targets, tell)
    if not found.trained:
        raise ScaffoldError(
            "\n".join(
                [
                    "no optimizer here can be trained, so there is nothing to track:",
                    *(f"  {name}: {reason}" for name, reason in found.left_out.items()),
                ]
            )
        )
    pins, notes = matrix(repository, judge)
    wanted = {
        PurePosixPath(ASV): asv_configuration(repository, pins),
        repository.benchmarks / "optimizers.py": render(
            "optimizers.py.j2",
            trained=found.trained,
            left_out=_on_lines({**found.left_out, **found.untrained}),
        ),
        repository.tests / "test_optimizer_contract.py": render(
            "contract.py.j2", targets=found.targets, left_out=_on_lines(found.left_out)
        ),
        **{WORKFLOWS / name: text for name, text in workflows(setting(judge)).items()},
    }
    package = repository.benchmarks / "__init__.py"
    if read(repository.root, package) is None:  # whatever is in it, it is one
        wanted[package] = PACKAGE
    table, remark = _table(repository, found)
    changes = [
        table,
        *(Change(path, read(repository.root, path), text) for path, text in wanted.items()),
        _ignored(repository.root),
    ]
    return Draft(repository.root, found, tuple(changes), (*notes, *remark))


def _on_lines(reasons: dict[str, str]) -> dict[str, str]:
    """Reasons that fit behind a comment's sign."""
    return {name: " ".join(reason.split()) for name, reason in reasons.items()}


def setting(judge: Requirement) -> Setting:
    """Of the workflows of any other repository than this one."""
    tracking = Requirement(str(judge))
    tracking.extras = {*judge.extras, "track"}
    return Setting(
        origin="Written by `optbench init`; run it again to see what it would change.",
        python=_python(),
        # The nightly suite is optbench's own catalogue, which does not change here.
        night="optbench nightly --suite quick",
        install=(f"python -m pip install --editable . '{tracking}'",),
    )


def _python() -> str:
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def asv_configuration(repository: Repository, pins: dict[str, list[str]]) -> str:
    """Return the text of ``asv.conf.json``."""
    content = {
        "version": 1,
        "project": repository.name,
        "repo": ".",
        "dvcs": "git",
        # Also of a checkout without a branch, as CI has it.
        "branches": ["HEAD"],
        "environment_type": "virtualenv",
        "pythons": [_python()],
        "matrix": {"req": pins, "env_nobuild": {name: ["1"] for name in ONE_THREAD}},
        # With the builder that asv has installed: isolated, each commit would fetch it anew.
        "build_command": [
            "python -m pip wheel --no-deps --no-build-isolation -w {build_cache_dir} {build_dir}"
        ],
        # Without --no-deps each commit would install torch anew.
        "install_command": [
            "in-dir={env_dir} python -m pip install --no-deps --force-reinstall {wheel_file}"
        ],
        "benchmark_dir": str(repository.benchmarks),
        "env_dir": ".asv/env",
        "results_dir": ".asv/results",
        "html_dir": ".asv/html",
        "install_timeout": 1800,
        # Each benchmark is a process of its own; spawned, each would import torch for seconds.
        "launch_method": "forkserver",
    }
    text = json.dumps(content, indent=2, ensure_ascii=False)
    # A list of one on a line.
    return re.sub(r'\[\s+("(?:[^"\\]|\\.)*")\s+\]', r"[\1]", text) + "\n"


def _table(repository: Repository, found: Optimizers) -> tuple[Change, list[str]]:
    """``pyproject.toml`` with a table, and a remark where it has one that says otherwise."""
    path = PurePosixPath(PYPROJECT)
    before = read(repository.root, path)
    assert before is not None
    table = render("table.toml.j2", patterns=found.patterns)
    if repository.has_table:
        same = repository.configuration.optimizers == found.patterns
        remark = [] if same else [f"[tool.optbench] stays as it is; it would say\n{table}"]
        return Change(path, before, before), remark
    after = _appended(before, f"\n{table}")
    try:
        tomllib.loads(after)
    except tomllib.TOMLDecodeError as error:
        raise ScaffoldError(
            f"{PYPROJECT}: no table can be added at its end ({error}); put one where it can be:\n"
            f"{table}"
        ) from error
    return Change(path, before, after, appended=True), []


def _ignored(root: Path) -> Change:
    path = PurePosixPath(".gitignore")
    before = read(root, path)
    there = {line.strip().strip("/") for line in (before or "").splitlines()}
    missing = [line for line in IGNORED if line.strip("/") not in there]
    if not missing:
        return Change(path, before, before or "")
    return Change(path, before, _appended(before or "", "".join(f"{m}\n" for m in missing)), True)


def _appended(before: str, addition: str) -> str:
    """Append a text on lines of its own, with the same line ends."""
    if before and not before.endswith("\n"):
        addition = f"\n{addition}"
    if "\r\n" in before:
        addition = addition.replace("\n", "\r\n")
    return before + addition
