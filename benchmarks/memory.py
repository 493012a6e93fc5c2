"""What an optimizer holds."""

from benchmarks.convergence import OPTIMIZERS
from optbench import asv


class Memory(asv.Memory):
    """Bytes of state a parameter, and the peak of a step."""

    params = ((*OPTIMIZERS, "sparseadam", "lbfgs", "adam-swarm"),)
