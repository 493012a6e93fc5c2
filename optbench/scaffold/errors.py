"""What is wrong with a repository that benchmarks were to be put into."""

from __future__ import annotations

from optbench.errors import OptbenchError


class ScaffoldError(OptbenchError):
    """Nothing was written; the text says why, and what would help."""
