"""What the engine costs, by the loop that a person would write."""

from optbench import tracking


class Lanes(tracking.Lanes):
    """A step of a lane by a step of the plain loop."""
