"""The templates of the files that `optbench init` writes."""

from __future__ import annotations

import json

import jinja2


def render(template: str, **values: object) -> str:
    """A template of ``templates/`` with every value that it names; one that is missing raises.

    The delimiters are ``<< >>`` and ``<% %>``: braces belong to GitHub's expressions.
    """
    return _ENVIRONMENT.get_template(template).render(values)


def _quoted(text: str) -> str:
    """A text as Python and JSON both write it; letters of any alphabet stay as they are."""
    return json.dumps(text, ensure_ascii=False)


_ENVIRONMENT = jinja2.Environment(
    loader=jinja2.PackageLoader("optbench.scaffold"),
    undefined=jinja2.StrictUndefined,
    variable_start_string="<<",
    variable_end_string=">>",
    block_start_string="<%",
    block_end_string="%>",
    comment_start_string="<#",
    comment_end_string="#>",
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
    autoescape=False,
)
_ENVIRONMENT.filters["quoted"] = _quoted
