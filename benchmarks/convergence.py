"""Does it still converge as fast: every optimizer of the catalogue that runs in lanes.

The lists are written out, and tests hold them to the registry: asv hands a benchmark the place of
its parameters, so that a list computed from each commit's registry would mix up their results.
"""

import json
from pathlib import Path

from optbench import asv

RECORDED = json.loads(Path(__file__).with_name("definitions.json").read_text("utf-8"))
"""Problem to the version and definition that results stand for (`make definitions`)."""

OPTIMIZERS = (
    *("sgd", "momentum", "nesterov", "adam", "adamw", "amsgrad", "nadam", "radam", "adamax"),
    *("adagrad", "rmsprop", "rmsprop-centered", "adadelta", "rprop", "asgd", "adafactor", "muon"),
    *("lion", "signum"),
)


class Convergence(asv.Convergence):
    """Steps to target, misses, final gap."""

    params = (OPTIMIZERS, asv.PROBLEMS)
    recorded = RECORDED

    def setup_cache(self):
        """Train once."""
        return self.train()


class Sparse(asv.Convergence):
    """The same where most gradients are zero."""

    params = (("sgd", "adam", "adagrad", "sparseadam"), ("sparse-logistic",))
    recorded = RECORDED

    def setup_cache(self):
        """Train once."""
        return self.train()


class Mnist(asv.Accuracy):
    """Error rate on held-out digits."""

    params = (OPTIMIZERS, ("mnist-mlp",))
    recorded = RECORDED

    def setup_cache(self):
        """Train once."""
        return self.train()
