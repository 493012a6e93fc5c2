"""docs/scenarios.md is what its script makes of the code."""

from __future__ import annotations

import runpy
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_page_is_what_its_script_writes() -> None:
    script = runpy.run_path(str(ROOT / "scripts" / "write_scenarios_page.py"))
    assert script["page"]() == (ROOT / "docs" / "scenarios.md").read_text("utf-8")
