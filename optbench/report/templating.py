"""The templates, and the filters that they use."""

from __future__ import annotations

import jinja2

from optbench.report import markdown, numerals


def templates(*, autoescape: bool) -> jinja2.Environment:
    """Where templates are found; ``autoescape`` for HTML."""
    made = jinja2.Environment(
        loader=jinja2.PackageLoader("optbench.report"),
        autoescape=autoescape,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters["md"] = markdown.escaped
    made.filters["pipes"] = markdown.pipes
    made.filters["integer"] = numerals.integer
    return made
