"""Sources: a git revision, a pip requirement or a folder, made into an importable tree."""

from optbench.sources.prepare import prepare
from optbench.sources.source import Source, SourceError, parse
from optbench.sources.tree import Tree

__all__ = ["Source", "SourceError", "Tree", "parse", "prepare"]
