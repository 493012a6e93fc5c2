"""Write down how every problem is defined: ``make definitions``, after a version went up.

For the test that no definition changes while its version stays, and for asv, whose results stand
for these versions and definitions.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from optbench.asv import defined
from optbench.problems import CATALOGUE

TOP = Path(__file__).resolve().parents[1]

FILES = (TOP / "tests/problems/definitions.json", TOP / "benchmarks/definitions.json")


def main() -> None:
    """Write both files, of all problems; refuse a definition that changed under its version."""
    now = defined([problem.name for problem in CATALOGUE])
    frozen = json.loads(FILES[0].read_text("utf-8")) if FILES[0].exists() else {}
    slipped = [
        name
        for name, what in now.items()
        if name in frozen
        and frozen[name] != what
        and frozen[name].partition("-")[0] == what.partition("-")[0]
    ]
    if slipped:
        sys.exit(f"defined otherwise under the same version: {', '.join(slipped)}; raise `version`")
    text = json.dumps(now, indent=1) + "\n"
    for file in FILES:
        file.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
