"""Named sets of runs."""

from __future__ import annotations

from dataclasses import dataclass

from optbench.engine.plan import Selection
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
"""What `quick` compares: all whose lanes are all but free."""

MNIST = ("mnist-mlp", "mnist-logistic", "mnist-autoencoder")


def _seeds(count: int) -> tuple[int, ...]:
    return tuple(range(count))


def _adopt(obj: object, name: str) -> Suite:
    raise NotAdoptable(f"{name!r} is no suite: suites are registered by name")


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
        "quick",
        "A minute or two: 16 optimizers on 14 problems of all families, default and tuned.",
        (
            Selection(
                optimizers=CLASSICS,
                problems=(
                    *("quadratic", "quadratic-ill", "quadratic-ill-rotated", "l1"),
                    *("rosenbrock-2d", "beale", "rastrigin", "saddle"),
                    *("noisy-quadratic", "heavy-tailed-quadratic"),
                    *("network-2-3-1", "matrix-completion"),
                ),
                rates="tuned",
                thin=2,
                seeds=_seeds(6),
                budget=500,
            ),
            Selection(
                optimizers=CLASSICS,
                problems=("mnist-mlp",),
                rates="tuned",
                thin=4,
                seeds=_seeds(2),
                budget=250,
            ),
            Selection(optimizers=("adam", "amsgrad"), problems=("reddi",), seeds=_seeds(6)),
        ),
    )
)
