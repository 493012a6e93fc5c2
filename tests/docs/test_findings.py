"""Every finding of docs/findings.md is still there: each block runs by itself, and asserts it."""

from __future__ import annotations

import importlib.metadata
import re
import warnings
from pathlib import Path

import pytest
import torch

PAGE = Path(__file__).parents[2] / "docs" / "findings.md"
PART = re.compile(r"^(#{2,3} [^\n]*)$|^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(#([^)]*)\)")


def blocks(text: str) -> list[tuple[str, str]]:
    """The heading over each Python block, and the block."""
    found, heading = [], ""
    for title, code in PART.findall(text):
        if title:
            heading = title.lstrip("# ")
        else:
            found.append((heading, code))
    return found


def anchor(heading: str) -> str:
    """What a link to a heading says after the number sign."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


BLOCKS = blocks(PAGE.read_text(encoding="utf-8"))


def require(package: str, version: str) -> None:
    try:
        here = importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        pytest.skip(f"{package} is not installed")
    if not (here + ".").startswith(version + "."):
        pytest.skip(f"the findings are those of {package} {version}; {here} is installed")


@pytest.mark.parametrize(
    ("heading", "code"), [pytest.param(*each, id=anchor(each[0])) for each in BLOCKS]
)
def test_a_finding_is_still_there(heading: str, code: str) -> None:
    if "from pytorch_optimizer" in code:
        require("pytorch_optimizer", "4.1.0")
    elif "from torch_optimizer" in code:
        require("torch_optimizer", "0.3.0")
    else:
        require("torch", "2.13")
    before = torch.get_rng_state()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            exec(compile(code, f"{PAGE.name}: {heading}", "exec"), {"__name__": "finding"})
    finally:
        torch.set_rng_state(before)


def test_the_page_has_its_blocks_and_every_link_leads_somewhere() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert len(BLOCKS) >= 30
    assert text.count("```python") == len(BLOCKS)
    anchors = {anchor(heading.lstrip("# ")) for heading in re.findall(r"^##+ .*$", text, re.M)}
    assert {target for target in LINK.findall(text) if target not in anchors} == set()


def test_the_checks_that_are_named_exist() -> None:
    from optbench.conformance.contract import ALL_CHECKS

    names = {check.name for check in ALL_CHECKS}
    rows = re.findall(r"^\|.*\| (`.*`) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(rows) >= 30
    assert {name for row in rows for name in re.findall(r"`(\w+)`", row)} <= names
