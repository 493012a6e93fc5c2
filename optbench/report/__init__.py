"""Frames in, a page out: figures, tables, HTML and Markdown."""

from optbench.report.errors import NothingInBoth, NothingToReport, UnknownBaseline
from optbench.report.material import Beside, Costs
from optbench.report.page import write_report
from optbench.report.side_by_side import write_side_by_side

__all__ = [
    "Beside",
    "Costs",
    "NothingInBoth",
    "NothingToReport",
    "UnknownBaseline",
    "write_report",
    "write_side_by_side",
]
