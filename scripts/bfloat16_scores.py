"""What a loss in bfloat16 says of the weights that it was computed from.

    python scripts/bfloat16_scores.py

trains in bfloat16 by Adam at 0.01, twice to the same weights: scored in float32, as runs are, and
in bfloat16. Printed are the last gap of a float32 run, the two of the bfloat16 run, the largest
relative difference of these on the way, and how many distinct values the bfloat16 score took.
"""

from __future__ import annotations

import numpy as np
import torch

from optbench.engine import lanes
from optbench.optimizers import OPTIMIZERS
from optbench.problems import PROBLEMS

BUDGETS = {"quadratic": 300, "styblinski-tang": 500, "rosenbrock-2d": 500,
           "matrix-completion": 500, "mnist-mlp": 200, "mnist-logistic": 200}  # fmt: skip


def gaps(problem: str, dtype: torch.dtype, scored_in: torch.dtype) -> np.ndarray:
    """The gaps [n] of seed 0, evaluated in another dtype than the run's own."""
    lanes.SCORED_IN = {dtype: scored_in}
    found = lanes.advance(
        OPTIMIZERS["adam"], PROBLEMS[problem], [{"lr": 0.01}], [0], BUDGETS[problem], dtype=dtype
    )
    return found.gaps[:, 0]


def main() -> None:
    """Measure and print."""
    print(f"{'problem':18}{'float32':>10}{'bfloat16':>10}{'by itself':>10}{'apart':>9}  values")
    for problem in BUDGETS:
        full = gaps(problem, torch.float32, torch.float32)
        scored = gaps(problem, torch.bfloat16, torch.float32)
        itself = gaps(problem, torch.bfloat16, torch.bfloat16)
        n = min(len(scored), len(itself))
        apart = float((np.abs(itself[:n] - scored[:n]) / np.abs(scored[:n])).max())
        values = f"{len(np.unique(itself[:n]))} of {n}"
        print(f"{problem:18}{full[-1]:10.4g}{scored[-1]:10.4g}{itself[-1]:10.4g}{apart:8.1%}  "
              f"{values}")  # fmt: skip


if __name__ == "__main__":
    main()
