"""Base classes of asv benchmarks: a module of benchmarks declares subclasses in a few lines.

Such a module imports this module, not its classes: asv takes every class that it finds in a
module's names for one of its benchmarks. See docs/tracking.md.
"""

from optbench.asv.convergence_benchmarks import PROBLEMS, Accuracy, Convergence
from optbench.asv.convergence_runs import defined
from optbench.asv.lane_benchmarks import Lanes
from optbench.asv.step_benchmarks import Memory, MemoryBound, ModelStep, RelativeStep, Step

__all__ = [
    "PROBLEMS",
    "Accuracy",
    "Convergence",
    "Lanes",
    "Memory",
    "MemoryBound",
    "ModelStep",
    "RelativeStep",
    "Step",
    "defined",
]
