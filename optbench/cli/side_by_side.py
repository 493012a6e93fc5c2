"""``optbench report --compare-stores``: two stores in one page."""

from __future__ import annotations

import shlex
from pathlib import Path

from optbench.cli.console import doing


def write_side_by_side(older: str, newer: str, out: Path) -> Path:
    """Write the page of two stores to a folder; gives the page."""
    from optbench import load
    from optbench.cli.report import shown
    from optbench.cli.wrong_use import WrongUse
    from optbench.reporting import write_side_by_side as write

    here = Path.cwd()
    names = shown(older, here), shown(newer, here)
    command = f"optbench report --compare-stores {shlex.join(names)}"
    results = load(older), load(newer)
    try:
        with doing("drawing") as show:
            return write(*results, out, names=names, command=command, progress=show)
    except OSError as error:
        raise WrongUse(f"cannot write the report to {out}: {error}") from error
