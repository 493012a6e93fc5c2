"""What `optbench init` writes from templates, above all three GitHub workflows.

This repository's own are rendered from the same templates, by ``tests/workflows/own.py``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

import jinja2

MACHINE = "optbench-ci"
"""What asv calls the machine, for runners whose own name is another one every time."""

ACTIONS = {
    "checkout": "actions/checkout@11bd71901bbe5b1630ceea73d27597364c9af683 # v4.2.2",
    "setup_python": "actions/setup-python@a26af69be951a213d495a4c3e4e4022e16d87065 # v5.6.0",
    "upload_artifact": "actions/upload-artifact@ea165f8d65b6e75b540449e92b4886f43607fa02 # v4.6.2",
    "upload_pages_artifact": (
        "actions/upload-pages-artifact@56afc609e74202658d3ffba0e8f6dda462b719fa # v3.0.1"
    ),
    "deploy_pages": "actions/deploy-pages@d6db90164ac5ed86f2b6aed7e0febac5b3c0c03e # v4.0.5",
}
"""By commit, since a tag can be moved to other code."""

# Braces belong to GitHub's expressions.
TEMPLATES = jinja2.Environment(
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
# As Python and JSON both write a text; letters of any alphabet stay as they are.
TEMPLATES.filters["quoted"] = lambda text: json.dumps(text, ensure_ascii=False)

NAMES = ("nightly.yml", "pull-request.yml", "pull-request-comment.yml")


@dataclass(frozen=True)
class Setting:
    """In what the workflows of two repositories differ.

    Attributes
    ----------
    origin : str
        Where the files come from, for their first line.
    python : str
        ``X.Y``.
    install : tuple of str
        Lines of a shell after which ``optbench`` and ``asv`` are on the path.
    night : str
        The command of a nightly run.
    prefix : str
        Before the names of the files.
    """

    origin: str
    python: str
    install: tuple[str, ...]
    night: str = "optbench nightly"
    prefix: str = "optbench-"


def render(template: str, **values: object) -> str:
    """Return a template of ``templates/`` with every value that it names; a missing one raises."""
    return TEMPLATES.get_template(template).render(values)


def workflows(setting: Setting) -> dict[str, str]:
    """File name to text."""
    values = {**vars(setting), "machine": MACHINE, **ACTIONS}
    return {f"{setting.prefix}{name}": render(f"{name}.j2", **values) for name in NAMES}
