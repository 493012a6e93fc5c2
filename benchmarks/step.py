"""Does a step still cost the same."""

from optbench import asv

IMPLEMENTATIONS = (
    *("adam", "adam[foreach]", "adam[fused]"),
    *("momentum", "momentum[foreach]", "momentum[fused]"),
)
"""A plain name is the loop over tensors."""

OURS = ("lion", "signum", "muon", "adafactor", "adamw", "nadam", "rmsprop", "adagrad")


class Step(asv.Step):
    """Seconds, by implementation, size, and number of tensors."""

    params = (IMPLEMENTATIONS, (1_000, 100_000, 10_000_000), (1, 100))


class ModelStep(asv.ModelStep):
    """Seconds over the shapes of real models, many of which are small."""

    params = (("adam", "adam[foreach]", "adam[fused]"), asv.ModelStep.params[1])


class RelativeStep(asv.RelativeStep):
    """By a step of SGD: what the load of the machine moves least."""

    params = ((*IMPLEMENTATIONS, *OURS), (1_000, 1_000_000))


class MemoryBound(asv.MemoryBound):
    """Fused Adam's distance from what the memory's bandwidth allows."""
