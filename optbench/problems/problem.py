"""What a problem is to optbench: an objective over lanes, with a start, batches and targets."""

from __future__ import annotations

import copy
import functools
import hashlib
import inspect
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from optbench.plain_text import said, shown
from optbench.registry import NotAdoptable

COCO_TARGETS = tuple(10.0**-k for k in range(1, 9))
"""Relative gaps 1e-1 ... 1e-8, for problems whose minimum is known to rounding."""

NEAR_TARGETS = tuple(10.0 ** (-k / 2) for k in range(1, 9))
"""Relative gaps 10^-0.5 ... 1e-4, where noise, or float32 about a minimum that is not zero,
ends the race sooner."""

LOSS_TARGETS = (0.9, 0.7, 0.5, 0.4, 0.3, 0.25, 0.2, 0.15, 0.12, 0.1)
"""Shares of the initial loss, for networks scored on held-out data, whose minimum nobody knows
and whose reference is the lower bound 0."""


class Problem:
    """An objective with a start, a stream of batches, a minimum, targets and a budget.

    A subclass writes `start` and `loss`, and what else differs from the defaults here. Tensors
    come with a leading lane dimension K: lane k of a parameter is one run's. Nothing may mix
    lanes, and lane k's result may not depend on K; a test holds every registered problem to it.

    Parameters
    ----------
    name : str
        As it is looked up.
    minimum : float
        The least value of the objective, or a lower bound where `minimum_is_bound` says so.
    budget : int
        The most gradient evaluations that a run may use.
    target : float
        The relative gap of the headline figure; one of ``targets``.
    targets : tuple of float
        Relative gaps, falling. The gap is relative to that of the run's own start.
    settings : mapping
        Hyperparameters that the problem's own statement fixes, in place of the defaults of
        every optimizer that takes all of them (a counterexample holds for some rates only).
    cite : str
        Source of the objective.
    summary : str
        What it is and what makes it hard, in a sentence.

    Attributes
    ----------
    version : int
        Goes up when the definition changes; results of different versions never mix.
    family : str
        convex, landscape, noisy, counterexample, network or factorization.
    max_lanes : int
        Most lanes that are worth stacking (or, with 1, that can be).
    observe_every : int
        Steps between two looks at the objective. Where the loss is the objective it is seen in
        every step for free, and this is 1.
    samples : int
        How many parts the loss of a step can be divided into, such as the examples of a batch;
        with more than one, `part` says how. 0: it cannot be divided.
    """

    family: ClassVar[str]
    version: int = 1
    max_lanes: int = 128
    observe_every: int = 1
    samples: int = 0
    sparse: bool = False
    minimum_is_bound: bool = False

    def __init__(
        self,
        name: str,
        *,
        minimum: float = 0.0,
        budget: int = 1000,
        target: float = 1e-4,
        targets: tuple[float, ...] = COCO_TARGETS,
        settings: Mapping[str, Any] | None = None,
        cite: str = "",
        summary: str = "",
    ) -> None:
        if not any(np.isclose(target, each, rtol=1e-12) for each in targets):
            raise ValueError(f"{name}: target {target} is not among its targets {targets}")
        if list(targets) != sorted(targets, reverse=True):
            raise ValueError(f"{name}: targets must fall: {targets}")
        if not isinstance(budget, int):
            raise ValueError(f"{name}: a budget must be a whole number, not {shown(budget)}")
        if budget < 1:
            raise ValueError(f"{name}: a budget must be at least 1, not {shown(budget)}")
        self.name = name
        self._minimum = minimum
        self.budget = budget
        self.target = target
        self.targets = targets
        self.settings = dict(settings or {})
        self.cite = cite
        self.summary = summary
        self.tensors: dict[str, Tensor] = {}

    # What a subclass says.

    def start(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """One lane's initial point: parameter name to array, in float64."""
        raise NotImplementedError

    def loss(self, params: Mapping[str, Tensor], batch: Tensor | None) -> Tensor:
        """Return the optimizer's loss, [K], from parameters [K, ...] and a batch [K, ...]."""
        raise NotImplementedError

    def part(
        self, params: Mapping[str, Tensor], batch: Tensor | None, rank: int, world: int
    ) -> Tensor:
        """Return the loss that process ``rank`` of ``world`` computes: [K]; their mean is `loss`.

        ``batch`` is the whole one, and ``world`` at most `samples`.
        """
        raise NotImplementedError

    def batches(self, rng: np.random.Generator) -> Iterator[np.ndarray] | None:
        """One lane's data order, in blocks [steps, ...]; None where the loss has no noise.

        The blocks of all lanes have the same length at the same place. Float arrays are handed
        to `loss` in the run's dtype, integers as they are.
        """
        return None

    def objective(self, params: Mapping[str, Tensor]) -> Tensor:
        """Return the objective without noise: [K]. Without batches it is the loss."""
        return self.loss(params, None)

    def metrics(self, params: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """More to log beside the gap: name to [K]."""
        return {}

    def observe(self, params: Mapping[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Objective and metrics; for problems where both come of one computation."""
        return self.objective(params), self.metrics(params)

    def project(self, params: Mapping[str, Tensor]) -> None:
        """Bring the parameters back into the feasible set, in place, after each step."""

    def arrays(self) -> dict[str, np.ndarray]:
        """Constants of the objective; `bind` makes tensors of them."""
        return {}

    @property
    def data(self) -> str:
        """Names the data that a run trains on; results of different data never mix."""
        return "none"

    @property
    def minimum(self) -> float:
        """The least value of the objective (of the data in use)."""
        return self._minimum

    # What follows from it.

    @property
    def projects(self) -> bool:
        """Whether the feasible set is not the whole space."""
        return type(self).project is not Problem.project

    @functools.cached_property
    def deterministic(self) -> bool:
        """Whether the loss is the objective."""
        return self.batches(np.random.default_rng(0)) is None

    @functools.cached_property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of the parameters, without the lane dimension."""
        return {k: v.shape for k, v in self.start(np.random.default_rng(0)).items()}

    @property
    def dimension(self) -> int:
        """How many numbers an optimizer has to find."""
        return sum(int(np.prod(shape)) for shape in self.shapes.values())

    @property
    def traits(self) -> frozenset[str]:
        """What it offers: `matrices`, `only matrices`, `sparse`, `stochastic`, `parts`."""
        traits = set()
        if any(len(shape) == 2 for shape in self.shapes.values()):
            traits.add("matrices")
        if all(len(shape) == 2 for shape in self.shapes.values()):
            traits.add("only matrices")
        if self.sparse:
            traits.add("sparse")
        if not self.deterministic:
            traits.add("stochastic")
        if self.samples:
            traits.add("parts")
        return frozenset(traits)

    def generators(self, seed: int) -> tuple[np.random.Generator, np.random.Generator]:
        """Return the generators of a run's start and of its data.

        They depend on the problem, its version and the seed, never on the optimizer: every
        optimizer meets the same starts and the same batches, so that runs pair by seed.
        """
        digest = hashlib.sha256(f"{self.name}@{self.version}".encode()).digest()
        words = np.frombuffer(digest[:16], dtype="<u4")
        entropy = [int(word) for word in words] + [seed]
        start, data = np.random.SeedSequence(entropy).spawn(2)
        return np.random.default_rng(start), np.random.default_rng(data)

    def bind(self, dtype: torch.dtype, device: torch.device) -> Problem:
        """Return a copy whose constants are tensors of this dtype on this device."""
        bound = copy.copy(self)
        bound.tensors = {
            name: as_tensor(array, dtype, device) for name, array in self.arrays().items()
        }
        return bound

    def rescored(self, dtype: torch.dtype, device: torch.device) -> Problem:
        """Of a bound problem: what evaluates the same objective and metrics in another dtype."""
        return self.bind(dtype, device)


def as_tensor(array: np.ndarray, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Floats in the run's dtype, integers and booleans as they are; nothing waits for a GPU."""
    floats = np.issubdtype(array.dtype, np.floating)
    if device.type != "cuda":
        return torch.as_tensor(array, dtype=dtype if floats else None, device=device)
    # From pages that stay where they are it is copied while the processor goes on.
    here = torch.as_tensor(array, dtype=dtype if floats else None)
    return here.pin_memory().to(device, non_blocking=True)


def adopt(obj: Any, name: str) -> Problem:
    """Make an entry of a `Problem`, or of a function or class that gives one when called."""
    if not isinstance(obj, Problem) and callable(obj):
        try:
            inspect.signature(obj).bind()
        except (TypeError, ValueError) as error:
            raise NotAdoptable(
                f"{name!r} cannot be called without arguments: {said(error)}"
            ) from error
        try:
            obj = obj()
        # A stranger's code: whatever it raises is the answer to give.
        except (Exception, SystemExit) as error:
            raise NotAdoptable(f"{name!r} raised {said(error)}") from error
    if not isinstance(obj, Problem):
        raise NotAdoptable(f"{name!r} is a {type(obj).__name__}, not an optbench Problem")
    _check(obj, name)
    if ":" in name:
        # Under the path that names it, so that a worker process finds it again.
        renamed = copy.copy(obj)
        renamed.name = name
        return renamed
    return obj


def _check(problem: Problem, name: str) -> None:
    """Refuse a stranger's problem that cannot even be described, before anything runs."""
    if not isinstance(getattr(problem, "family", None), str):
        raise NotAdoptable(f"{name!r} has no family, such as 'landscape' or 'network'")
    try:
        start = problem.start(np.random.default_rng(0))
        minimum = float(problem.minimum)
    except (Exception, SystemExit) as error:
        raise NotAdoptable(f"{name!r}: its start raised {said(error)}") from error
    arrays = start.values() if isinstance(start, Mapping) else ()
    if not arrays or not all(isinstance(array, np.ndarray) for array in arrays):
        raise NotAdoptable(f"{name!r}: its start must be a dict of NumPy arrays, one or more")
    if not np.isfinite(minimum):
        raise NotAdoptable(f"{name!r}: its minimum is {minimum}, not a finite number")
