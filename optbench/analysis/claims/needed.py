"""The runs that a claim names, and the command that makes them where they are not there."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from optbench.analysis.claims.claim import Undecided

TRAINED = (
    *("network-2-3-1", "network-2-3-1-brief", "deep-tanh", "mnist-mlp", "mnist-autoencoder"),
    *("mnist-logistic", "sparse-logistic", "matrix-completion"),
)
"""Problems on which a model is fitted to data, which most claims have in mind."""

NOISY = (
    *("noisy-quadratic", "heavy-tailed-quadratic", "multiplicative-quadratic"),
    "noisy-rosenbrock",
)

GENERAL = (
    *TRAINED,
    *NOISY,
    *("quadratic", "quadratic-ill", "quadratic-ill-rotated", "l1"),
    *("rosenbrock-2d", "rosenbrock-20d", "beale", "himmelblau", "styblinski-tang", "rastrigin"),
    *("powell-singular", "saddle", "plateau", "cliff"),
)
"""What a claim without a place of its own is asked on. Left out are problems made to break one
method, and those that are there to be compared with one neighbour. The list is fixed: another
problem in the catalogue changes no verdict."""

SEEDS = 10
"""The seeds of a nightly."""

EXPLICIT = 4
"""A command names its problems, unless they are more than this."""


def needed(
    runs: pd.DataFrame, optimizers: Sequence[str], problems: Sequence[str], *, each: bool = False
) -> pd.DataFrame:
    """Return the rows of these optimizers on these problems, and of no other.

    Parameters
    ----------
    runs : DataFrame
        Of a league or of `Results`.
    optimizers, problems : sequence of str
    each : bool
        Whether every optimizer must have run on every problem, or at least one problem.

    Raises
    ------
    Undecided
        Where it has not.
    """
    found = runs[(runs["optimizer"].isin(optimizers) & runs["problem"].isin(problems)).to_numpy()]
    there = set(found[["optimizer", "problem"]].itertuples(index=False, name=None))
    if each:
        missing = [(o, p) for o in optimizers for p in problems if (o, p) not in there]
    else:
        ran = {optimizer for optimizer, _ in there}
        missing = [(o, p) for o in optimizers if o not in ran for p in problems]
    if missing:
        lacking, places = (dict.fromkeys(names) for names in zip(*missing, strict=True))
        raise undecided(tuple(lacking), tuple(places))
    return found


def undecided(optimizers: Sequence[str], problems: Sequence[str], *options: str) -> Undecided:
    """Return the exception to raise where these runs are missing."""
    on = listed(problems) if len(problems) <= EXPLICIT else f"{len(problems)} problems"
    more = f" with {' '.join(options)}" if options else ""
    return Undecided(
        f"Runs of {listed(optimizers)} on {on}{more} are missing. "
        f"To make them: {command(optimizers, problems, *options)}"
    )


def listed(names: Sequence[str]) -> str:
    """Join names as ``a, b and c``."""
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def command(optimizers: Sequence[str], problems: Sequence[str], *options: str) -> str:
    """Return the command that makes such runs."""
    if len(problems) > EXPLICIT:
        return "optbench run --suite nightly"
    words = [*(f"-o {name}" for name in optimizers), *(f"-p {name}" for name in problems)]
    return " ".join(["optbench run", *words, "--tune", *options, f"--seeds {SEEDS}"])
