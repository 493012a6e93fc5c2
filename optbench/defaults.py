"""What several layers agree on; imports nothing."""

DEFAULT_STORE = ".optbench/results.sqlite"
"""Path of the results, relative to the working folder."""

ASV_RESULTS = ".asv/results"
"""Path of asv's results, relative to the top of the repository."""
