"""asv's benchmarks of convergence: declared by a class of a few lines in ``benchmarks/``."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any, ClassVar

from optbench.analysis.units import ERROR_RATE, FAILED_SEEDS, GAP, STEPS
from optbench.asv.convergence_runs import SEEDS, Trained, defined, train, version_of
from optbench.asv.samples import Samples

PROBLEMS = (
    *("quadratic", "quadratic-ill-rotated", "l1", "rosenbrock-2d", "beale", "saddle"),
    *("noisy-quadratic", "network-2-3-1", "matrix-completion"),
)
"""Of every family, and quick: nine problems that an optimizer gets through in seconds."""


class _OnProblems:
    """What the classes below share: optimizer by problem, trained once, read by each benchmark.

    Attributes
    ----------
    params : (tuple of str, tuple of str)
        Optimizers and problems. Written out, never computed from what is installed: asv hands a
        benchmark the *place* of its parameters, and at another commit a computed list may have
        another in that place.
    recorded : mapping
        Problem to version and definition that the results stand for, of
        `optbench.asv.defined`; without, those of the installed optbench. Where optbench is
        itself what changes from commit to commit, it has to be written down beside the benchmarks.
    """

    params: ClassVar[tuple[tuple[str, ...], tuple[str, ...]]] = ((), ())
    param_names = ("optimizer", "problem")
    recorded: ClassVar[Mapping[str, str]] = {}
    tune: ClassVar[bool] = True
    seeds: ClassVar[int] = SEEDS
    budget: ClassVar[int | None] = None
    timeout = 1800.0
    version = ""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if cls.params == ((), ()):  # A family of its own, with nothing to run.
            return
        problems = cls.params[1]
        known = cls.recorded or defined(problems)
        cls.recorded = {name: known[name] for name in problems}
        cls.version = version_of(cls.recorded, tune=cls.tune, seeds=cls.seeds, budget=cls.budget)

    def train(self) -> Trained:
        """Train all pairs; for ``setup_cache``, which each class has to define for itself.

        asv keeps what it gives by the file and line where it is defined: inherited, two classes
        would read each other's.
        """
        found = train(
            self.params[0],
            self.recorded,
            tune=self.tune,
            seeds=self.seeds,
            budget=self.budget,
        )
        for what, reason in (*found.absent.items(), *found.errors.items()):
            print(f"{what}: {reason}", file=sys.stderr)
        return found

    def setup(self, trained: Trained, optimizer: str, problem: str) -> None:
        """Skip a pair that cannot run; fail one that raises."""
        trained.require(optimizer, problem)


class Convergence(_OnProblems):
    """Steps to the target and misses at the best learning rate, and the gap at the defaults."""

    def track_steps_to_target(self, trained: Trained, *pair: str) -> Samples:
        """Gradient evaluations to the problem's target; twice the budget for a miss."""
        return trained.tracked("steps_to_target", *pair)

    def track_failed_seeds(self, trained: Trained, *pair: str) -> Samples:
        """One where the target was reached, two where it was not."""
        return trained.tracked("failed_seeds", *pair)

    def track_final_gap(self, trained: Trained, *pair: str) -> Samples:
        """Of the initial gap; a million where it diverged."""
        return trained.tracked("final_gap", *pair)

    track_steps_to_target.unit = STEPS  # type: ignore[attr-defined]
    track_failed_seeds.unit = FAILED_SEEDS  # type: ignore[attr-defined]
    track_final_gap.unit = GAP  # type: ignore[attr-defined]


class Accuracy(_OnProblems):
    """The held-out error rate of a network after a short training at the default settings."""

    tune = False
    seeds = 8
    budget = 250

    def track_error_rate(self, trained: Trained, *pair: str) -> Samples:
        """Part of the held-out examples that is told wrongly; one where the training diverged."""
        return trained.tracked("error_rate", *pair)

    track_error_rate.unit = ERROR_RATE  # type: ignore[attr-defined]
