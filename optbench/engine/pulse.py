"""The steps that this process has taken: whoever waits for it can tell long work from none."""

beats = 0
"""Counts up with every turn of the training loop."""
