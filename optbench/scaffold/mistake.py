"""What is wrong with a repository that benchmarks were to be put into."""

from __future__ import annotations


class ScaffoldError(Exception):
    """Nothing was written; the text says why, and what would help."""
