"""What several layers agree on; imports nothing."""

DEFAULT_STORE = ".optbench/results.sqlite"
"""Where results go, seen from the working folder."""

ASV_RESULTS = ".asv/results"
"""Where asv's results go, seen from the top of the repository."""
