"""docs/contract.md names every check with its promise, and every option."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

from optbench.cli.check import check
from optbench.conformance.contract import ALL_CHECKS

PAGE = (Path(__file__).parents[2] / "docs" / "contract.md").read_text("utf-8")


def test_the_page_lists_every_check_in_order_with_what_it_promises() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (.+) \|$", PAGE, flags=re.MULTILINE)
    assert rows == [(each.name, each.summary) for each in ALL_CHECKS]


def test_the_page_names_every_option_of_the_command() -> None:
    for parameter in inspect.signature(check, eval_str=True).parameters.values():
        # In an annotation Typer's first argument is the option's name, whatever it is called.
        name = parameter.annotation.__metadata__[0].default
        if parameter.name != "target":
            assert f"`{name}" in PAGE
