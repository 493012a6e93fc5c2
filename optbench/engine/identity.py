"""What makes two runs the same run: what was asked for, and the code that answers."""

from __future__ import annotations

import functools
import hashlib
import inspect
import sys
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from optbench import by_value
from optbench.engine.runs import Run, canonical
from optbench.optimizers import OPTIMIZERS, Optimizer
from optbench.optimizers.builders import BASE, constructs, torch_names
from optbench.optimizers.schedules import LR_SCHEDULE, factors

ENGINE_VERSION = 2
"""Version of what the engine computes; older results are not reused."""


def key(run: Run) -> str:
    """Return the identity of a run, 32 hexadecimal digits.

    It covers optimizer, hyperparameters, problem and version, data, seed, dtype, device,
    budget, and the code that runs: a result is reused only where the same would come out.
    Of a schedule it covers what it does to the rate.
    """
    return keys((run,))[0]


def keys(runs: Iterable[Run]) -> list[str]:
    """Return the `key` of each run.

    Runs of a plan that differ in their seed alone stand together, and the seed ends what is
    hashed: all that comes before it is written out and hashed once for the lot.
    """
    found: list[str] = []
    last: Run | None = None
    before_seed = hashlib.sha256()
    for run in runs:
        if last is None or not _differ_in_seed_alone(run, last):
            text = canonical(_fields(run))
            before_seed = hashlib.sha256(text[: text.rindex(":") + 1].encode())
            last = run
        digest = before_seed.copy()
        digest.update(f"{run.seed}}}".encode())
        found.append(digest.hexdigest()[:32])
    return found


def _fields(run: Run) -> dict[str, object]:
    """Return the hashed fields; sorted by name, ``seed`` is the last."""
    fields = {
        "optimizer": run.optimizer,
        "hyperparameters": run.settings,
        "problem": run.problem,
        "problem_version": run.problem_version,
        "data": run.data,
        "seed": run.seed,
        "dtype": run.dtype,
        "device": run.device,
        "budget": run.budget,
        "code": code_of(run.optimizer),
        "engine": ENGINE_VERSION,
    }
    if BASE in run.settings:
        fields[BASE] = code_of(run.settings[BASE])
    if LR_SCHEDULE in run.settings:
        fields[LR_SCHEDULE] = _rates_of(run.settings[LR_SCHEDULE], run.budget)
    return fields


def _differ_in_seed_alone(one: Run, other: Run) -> bool:
    return (
        # One object, as a plan has it for all seeds: 1 and 1.0 are equal, and written otherwise.
        one.hyperparameters is other.hyperparameters
        and one.problem == other.problem
        and one.optimizer == other.optimizer
        and one.budget == other.budget
        and one.problem_version == other.problem_version
        and one.data == other.data
        and one.dtype == other.dtype
        and one.device == other.device
    )


@functools.cache
def _rates_of(schedule: str, budget: int) -> str:
    # Of a budget that is soon driven through; in few digits, since the last ones of a cosine
    # differ from one processor to another.
    rates = " ".join(f"{factor:.6f}" for factor in factors(schedule, min(budget, 1000)))
    return hashlib.sha256(rates.encode()).hexdigest()[:16]


def code_of(optimizer: str) -> str:
    """Return the code identity of an optimizer: source hash, versions of torch and its package."""
    if of_value := by_value.fingerprint(optimizer):
        return f"torch={torch.__version__} value={of_value}"
    return _code_of(optimizer)


@functools.cache
def _code_of(optimizer: str) -> str:
    row = OPTIMIZERS[optimizer]
    parts = [f"torch={torch.__version__}"]
    digest = hashlib.sha256()
    for module in _modules(row):
        package = module.__name__.partition(".")[0]
        if package not in ("torch", "optbench"):
            parts.append(f"{package}={_version_of(package)}")
        for path in _sources(module):
            digest.update(path.read_bytes())
    parts.append(f"source={digest.hexdigest()[:16]}")
    return " ".join(dict.fromkeys(parts))


def _modules(row: Optimizer) -> list[ModuleType]:
    """Return the modules that define the factory, its product, and their bases below torch's."""
    factory = inspect.unwrap(row.factory)
    owners: list[Any] = [*inspect.getmro(factory)] if inspect.isclass(factory) else [factory]
    if factory is not row.factory:
        owners.append(type(row.factory))  # an adapter's own code
    if not inspect.isclass(factory) and constructs(row.factory, **row.defaults):
        made = row.make(torch_names([torch.nn.Parameter(torch.zeros(2, 2))]), row.defaults)
        owners += inspect.getmro(type(made))
    names = {
        owner.__module__: None
        for owner in owners
        if owner not in (object, torch.optim.Optimizer) and owner.__module__ != "typing"
    }
    return [sys.modules[name] for name in names if name in sys.modules]


def _sources(module: ModuleType) -> list[Path]:
    """Return the files whose change may change the optimizer.

    Of torch and of optbench the defining module, as their versions and `ENGINE_VERSION` cover
    the rest. Of anybody else's package every Python file: a result that is computed once too
    often costs a second, one that outlived a change in a file imported from afar hides a bug.
    """
    root = module.__name__.partition(".")[0]
    package = sys.modules.get(root)
    folders = list(getattr(package, "__path__", []))
    if root not in ("torch", "optbench") and folders:
        return sorted(path for folder in folders for path in Path(folder).rglob("*.py"))
    file = getattr(module, "__file__", None)
    return [Path(file)] if file else []


def _version_of(package: str) -> str:
    for distribution in packages_distributions().get(package, []):
        try:
            return version(distribution)
        except PackageNotFoundError:
            continue
    return "unpackaged"
