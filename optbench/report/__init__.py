"""Frames in, a page out: figures, tables, HTML and Markdown."""

from optbench.report.errors import NothingToReport, UnknownBaseline
from optbench.report.page import write_report

__all__ = ["NothingToReport", "UnknownBaseline", "write_report"]
