"""What a stranger's code may change for everybody else, put back or at least noticed."""

from __future__ import annotations

import contextlib
import functools
import inspect
import os
import random
import sys
from collections.abc import Iterator

import numpy as np
import torch


@contextlib.contextmanager
def torch_as_found() -> Iterator[None]:
    """Undo what an optimizer does to the global state, so that the next one starts clean.

    Of torch the default dtype and device, the number of threads, and the modes; of Python the
    environment and the current folder; of both and of NumPy the state of the random numbers.
    """
    dtype, rng = torch.get_default_dtype(), torch.get_rng_state()
    device, threads = torch.get_default_device(), torch.get_num_threads()
    anomaly = torch.is_anomaly_enabled()
    deterministic = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    python_rng, numpy_rng = random.getstate(), np.random.get_state()  # noqa: NPY002
    variables, folder = dict(os.environ), _folder()
    try:
        # Restores the mode that it found, whatever happens in between.
        with torch.enable_grad():
            yield
    finally:
        torch.set_default_dtype(dtype)
        torch.set_rng_state(rng)
        torch.autograd.set_detect_anomaly(anomaly)
        torch.use_deterministic_algorithms(deterministic, warn_only=warn_only)
        # To set them costs, even to what they are.
        if torch.get_default_device() != device:
            torch.set_default_device(device)
        if torch.get_num_threads() != threads:
            torch.set_num_threads(threads)
        random.setstate(python_rng)
        np.random.set_state(numpy_rng)  # noqa: NPY002
        if os.environ != variables:
            os.environ.clear()
            os.environ.update(variables)
        if folder is not None and _folder() != folder:
            os.chdir(folder)


def _folder() -> str | None:
    """Return the current folder; None where it no longer exists."""
    try:
        return os.getcwd()  # noqa: PTH109 - a string: this is asked around every unit
    except OSError:
        return None


def same_random_numbers() -> None:
    """Begin the global generators anew: who draws from them draws the same wherever it runs."""
    torch.manual_seed(0)
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002


SHARED = (
    *("torch", "torch.nn.functional", "torch.optim.optimizer", "time", "math", "json"),
    *("optbench.engine.lanes", "optbench.engine.routes", "optbench.engine.work"),
    *("optbench.engine.outcome", "optbench.engine.step_cost", "optbench.problems.problem"),
)
"""Modules that every unit goes through."""


def shared_by_all() -> tuple[object, ...]:
    """Return fingerprints of global objects that an optimizer could change for all others.

    Of torch its tensors, its optimizers and the hooks on all of them; and the functions that every
    unit is done by.
    """
    classes = (torch.Tensor, torch.nn.Parameter, *_optimizers())
    # What copying a class for the first time leaves there is a cache.
    attributes = [
        (name, each)
        for cls in classes
        for name, each in vars(cls).items()
        if name != "__slotnames__"
    ]
    functions = [vars(sys.modules[name]).get(each) for name, held in _held() for each in held]
    return (
        sys.modules.get("torch") is torch,
        tuple(name for name, _ in attributes),
        _Identical([*(each for _, each in attributes), *functions]),
        *map(len, _hooks()),
    )


class _Identical:
    """Objects that are held, so that none of another has its place in memory, and so its id."""

    def __init__(self, objects: list[object]) -> None:
        self.objects = objects

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, _Identical)
            and len(self.objects) == len(other.objects)
            and all(one is two for one, two in zip(self.objects, other.objects, strict=True))
        )

    __hash__ = None  # type: ignore[assignment]


@functools.cache
def _optimizers() -> tuple[type, ...]:
    found = [each for each in vars(torch.optim).values() if inspect.isclass(each)]
    classes = tuple(each for each in found if issubclass(each, torch.optim.Optimizer))
    for each in classes:
        # torch wraps the step of a class when it is first made; what it refuses stays as it is.
        with contextlib.suppress(Exception):
            each([torch.nn.Parameter(torch.zeros(2, 2))])  # type: ignore[call-arg]
    return classes


@functools.cache
def _held() -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Functions and classes by the modules that held them when this was first asked."""
    return tuple(
        (name, tuple(key for key, each in vars(sys.modules[name]).items() if callable(each)))
        for name in SHARED
        if name in sys.modules
    )


def _hooks() -> list[dict[int, object]]:
    """Return the global optimizer hooks, for which torch has no public accessor."""
    names = ("_global_optimizer_pre_hooks", "_global_optimizer_post_hooks")
    # torch.optim takes the module's own name away.
    return [getattr(sys.modules["torch.optim.optimizer"], name, {}) for name in names]
