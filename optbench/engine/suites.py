"""Named sets of runs."""

from __future__ import annotations

from dataclasses import dataclass

from optbench.engine.plan import Selection
from optbench.optimizers.catalogue import BASES
from optbench.problems import CATALOGUE
from optbench.registry import NotAdoptable, Registry


@dataclass(frozen=True)
class Suite:
    """A name and what it selects."""

    name: str
    summary: str
    selections: tuple[Selection, ...]


CLASSICS = (
    *("sgd", "momentum", "nesterov", "adam", "adamw", "amsgrad", "nadam", "radam", "adamax"),
    *("adagrad", "rmsprop", "adadelta", "rprop", "lion", "signum", "adafactor"),
)
"""Optimizers of `quick`: those whose lanes are nearly free."""

FAMILIAR = (
    *("sgd", "momentum", "adam", "nadam", "amsgrad", "adagrad", "rmsprop", "lion", "signum"),
)
"""Optimizers of `sample`."""

MNIST = ("mnist-mlp", "mnist-mlp-8", "mnist-mlp-32", "mnist-logistic", "mnist-autoencoder")
"""Bound by arithmetic: their lanes are not free, so they get fewer."""

SLOW_LANES = ("lbfgs", "adam-swarm")
"""Optimizers whose lanes run one at a time."""

NOT_RANDOM = ("wilson",)
"""All seeds are one run: two of them, so that one may choose a setting and the other score it."""

TRIED_SCHEDULES = ("step", "cosine", "warmup")
"""Learning-rate schedules for the claims about them."""


def _bases(*, without: tuple[str, ...] = ()) -> tuple[str, ...]:
    return tuple(row.name for row in BASES if row.name not in without)


def _problems(*, without: tuple[str, ...] = ()) -> tuple[str, ...]:
    return tuple(problem.name for problem in CATALOGUE if problem.name not in without)


def _seeds(count: int) -> tuple[int, ...]:
    return tuple(range(count))


def _adopt(obj: object, name: str) -> Suite:
    if isinstance(obj, Suite):
        return obj
    raise NotAdoptable(f"{name!r} is a {type(obj).__name__}, not an optbench Suite")


SUITES: Registry[Suite] = Registry("suite", "optbench.suites", _adopt)

SUITES.register(
    Suite(
        "smoke",
        "A few seconds: does everything hang together? Not for conclusions.",
        (
            Selection(
                optimizers=("sgd", "momentum", "adam", "lbfgs"),
                problems=("quadratic", "rosenbrock-2d", "noisy-quadratic", "matrix-completion"),
                rates="tuned",
                thin=4,
                budget=100,
            ),
            Selection(
                optimizers=("sgd", "adam"), problems=("mnist-mlp",), seeds=_seeds(2), budget=50
            ),
        ),
    )
)
SUITES.register(
    Suite(
        "sample",
        "Less than a minute: nine optimizers on nine problems, tuned; the page of reports/sample.",
        (
            Selection(
                optimizers=FAMILIAR,
                problems=(
                    *("quadratic-ill", "quadratic-ill-rotated", "rosenbrock-2d", "beale"),
                    *("noisy-quadratic", "heavy-tailed-quadratic", "network-2-3-1"),
                ),
                rates="tuned",
                thin=2,
                seeds=_seeds(8),
                budget=1000,
            ),
            Selection(
                optimizers=FAMILIAR,
                problems=("mnist-mlp",),
                rates="tuned",
                thin=2,
                seeds=_seeds(2),
                budget=150,
            ),
            Selection(optimizers=FAMILIAR, problems=NOT_RANDOM, rates="tuned", seeds=_seeds(2)),
        ),
    )
)
SUITES.register(
    Suite(
        "quick",
        "About a minute on two processors: 16 optimizers on 16 problems of all six families, "
        "default and tuned, with short budgets; two of them with schedules too.",
        (
            Selection(
                optimizers=CLASSICS,
                problems=(
                    *("quadratic", "quadratic-ill", "quadratic-ill-rotated", "l1"),
                    *("rosenbrock-2d", "beale", "rastrigin", "saddle", "cliff"),
                    *("noisy-quadratic", "heavy-tailed-quadratic"),
                    *("network-2-3-1", "matrix-completion"),
                ),
                rates="tuned",
                thin=2,
                seeds=_seeds(6),
                budget=1000,
            ),
            Selection(
                optimizers=CLASSICS,
                problems=("mnist-mlp",),
                rates="tuned",
                thin=2,
                seeds=_seeds(2),
                budget=250,
            ),
            Selection(
                optimizers=CLASSICS, problems=NOT_RANDOM, rates="tuned", thin=2, seeds=_seeds(2)
            ),
            Selection(optimizers=("adam", "amsgrad"), problems=("reddi",), seeds=_seeds(6)),
            Selection(
                optimizers=("adam", "sgd"),
                problems=("cliff",),
                rates="tuned",
                thin=2,
                schedules=TRIED_SCHEDULES,
                seeds=_seeds(6),
                budget=1000,
            ),
        ),
    )
)


def _catalogue(
    seeds: int, mnist_seeds: int, *, thin: int = 1, slow_thin: int = 2
) -> tuple[Selection, ...]:
    """Every optimizer on every problem that it can run on; variants at their defaults.

    And two of them with schedules, where gradients explode, vanish or are noisy.
    """
    cheap = _problems(without=(*MNIST, *NOT_RANDOM, "reddi"))
    return (
        Selection(
            optimizers=_bases(without=SLOW_LANES),
            problems=cheap,
            rates="tuned",
            thin=thin,
            seeds=_seeds(seeds),
        ),
        Selection(
            optimizers=SLOW_LANES,
            problems=cheap,
            rates="tuned",
            thin=slow_thin,
            seeds=_seeds(seeds),
        ),
        Selection(
            optimizers=_bases(),
            problems=MNIST,
            rates="tuned",
            thin=max(thin, 2),
            seeds=_seeds(mnist_seeds),
        ),
        Selection(
            optimizers=_bases(without=SLOW_LANES),
            problems=("reddi",),
            rates="tuned",
            thin=max(thin, 2),
            seeds=_seeds(seeds),
        ),
        Selection(
            optimizers=_bases(), problems=NOT_RANDOM, rates="tuned", thin=thin, seeds=_seeds(2)
        ),
        Selection(optimizers=("*[foreach]", "*[fused]"), problems=cheap, seeds=_seeds(seeds)),
        Selection(
            optimizers=("adam", "sgd"),
            problems=("cliff", "deep-tanh", "noisy-quadratic"),
            rates="tuned",
            thin=thin,
            schedules=TRIED_SCHEDULES,
            seeds=_seeds(seeds),
        ),
    )


SUITES.register(
    Suite(
        "nightly",
        "The whole catalogue, default and tuned, in half an hour on two processors.",
        _catalogue(seeds=10, mnist_seeds=4),
    )
)
SUITES.register(
    Suite(
        "full",
        "The nightly with three times the seeds, and every learning rate everywhere: hours.",
        _catalogue(seeds=30, mnist_seeds=10, slow_thin=1),
    )
)
