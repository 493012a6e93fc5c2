"""Frames in, a page out: figures, tables, HTML and Markdown."""

from optbench.reporting.compare_stores import write_side_by_side
from optbench.reporting.errors import NothingInBoth, NothingToReport, UnknownBaseline
from optbench.reporting.material import Costs, ReportInputs
from optbench.reporting.page import write_report

__all__ = [
    "Costs",
    "NothingInBoth",
    "NothingToReport",
    "ReportInputs",
    "UnknownBaseline",
    "write_report",
    "write_side_by_side",
]
