"""What several layers agree on; imports nothing."""

DEFAULT_STORE = ".optbench/results.sqlite"
"""Path of the results, relative to the working folder."""

ASV_RESULTS = ".asv/results"
"""Path of asv's results, relative to the top of the repository."""

REPORT = "reports/latest"
"""Folder of a report, relative to the working folder."""

NIGHTLY_REPORT = "reports/nightly"
"""Folder of a nightly run's report, relative to the top of the repository."""
