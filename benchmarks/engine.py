"""What the engine costs, by the loop that a person would write."""

from optbench import asv


class Lanes(asv.Lanes):
    """A step of a lane by a step of the plain loop."""
