"""Frames in, a page out: figures, tables, HTML and Markdown.

Of a comparison the words need none of what figures do, which takes a second to import.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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

_HOMES = {
    **dict.fromkeys(("NothingInBoth", "NothingToReport", "UnknownBaseline"), "errors"),
    **dict.fromkeys(("Beside", "Costs"), "material"),
    "write_report": "page",
    "write_side_by_side": "side_by_side",
}


def __getattr__(name: str) -> Any:
    """What is named above, imported when it is asked for."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
