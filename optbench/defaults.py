"""What several layers agree on; imports nothing."""

DEFAULT_STORE = ".optbench/results.sqlite"
"""Where results go, seen from the working folder."""
