"""What asv's benchmarks declare on top of, in a few lines: see docs/tracking.md.

A module of benchmarks imports this module, not its classes: asv takes every class that it finds
in a module's names for one of its benchmarks.
"""

from optbench.tracking.convergence import PROBLEMS, Accuracy, Convergence
from optbench.tracking.lanes import Lanes
from optbench.tracking.steps import Memory, MemoryBound, RelativeStep, Step
from optbench.tracking.training import defined

__all__ = [
    "PROBLEMS",
    "Accuracy",
    "Convergence",
    "Lanes",
    "Memory",
    "MemoryBound",
    "RelativeStep",
    "Step",
    "defined",
]
