"""The templates, and the filters that they use."""

from __future__ import annotations

import math

import jinja2
from markupsafe import Markup

from optbench.reporting import markdown, numerals
from optbench.reporting.dark import VARIABLES
from optbench.reporting.files import slug

# What turns the direction of the text after it would turn our own words, too; and what is
# neither text nor white space has no place in a document.
_TURNING = [*range(0x202A, 0x202F), *range(0x2066, 0x206A)]
_CONTROL = [code for code in (*range(0x20), *range(0x7F, 0xA0)) if code not in b"\t\n\r"]
_UNSEEN = dict.fromkeys([*_TURNING, *_CONTROL], "\N{REPLACEMENT CHARACTER}")


def templates(*, autoescape: bool) -> jinja2.Environment:
    """Where templates are found; ``autoescape`` for HTML."""
    made = jinja2.Environment(
        loader=jinja2.PackageLoader("optbench.reporting"),
        autoescape=autoescape,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=_seen,
    )
    made.filters["md"] = markdown.escaped
    made.filters["md_paragraph"] = markdown.paragraph
    made.filters["md_code"] = markdown.fenced
    made.filters["pipes"] = markdown.pipes
    made.filters["integer"] = numerals.integer
    made.filters["slug"] = slug
    made.filters["kind"] = _kind
    made.filters["sort_key"] = _sort_key
    made.filters["variable"] = _variable
    made.filters["html_line"] = _html_line
    return made


def _kind(part: object) -> str:
    """Return the kind of a part of a section."""
    return type(part).__name__.lower()


def _variable(color: str) -> str:
    """Return the CSS variable for a figure's colour."""
    return VARIABLES.get(color, color)


def _html_line(text: object) -> str:
    """Text within HTML within Markdown: it has no line, no tag and no mark of either."""
    line = " ".join(str(_seen(str(text))).split())
    return "".join(c if c.isalnum() or c in " .,:;" else f"&#{ord(c)};" for c in line)


def _seen(value: object) -> object:
    """Text without the characters that cannot be seen but do something."""
    if isinstance(value, str) and not isinstance(value, Markup):
        return value.translate(_UNSEEN)
    return value


def _sort_key(value: float | str | None) -> str | None:
    """Return the sort key for the page's script: a number as JavaScript reads it, or None."""
    if not isinstance(value, float):
        return value
    if math.isnan(value):
        return None
    return ("Infinity" if value > 0 else "-Infinity") if math.isinf(value) else repr(value)
