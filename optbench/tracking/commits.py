"""The line of commits that a history is told along."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from optbench.engine.error_text import printable
from optbench.sources import git


def first_parents(repository: Path, tip: str = "HEAD") -> pd.DataFrame:
    """The commits from the first to the tip along first parents: ``commit``, ``subject``.

    What was merged counts as the commit that merged it: a branch's own commits lie beside the
    line, and their measurements would come between those of the line in no order.

    Raises
    ------
    SourceError
        Where the folder is in no repository, or the repository has no such commit.
    """
    top = git.top_level(repository)
    told = git.git(top, "log", "-z", "--first-parent", "--reverse", "--format=%H %s", tip, "--")
    records = [each.partition(" ")[::2] for each in told.split("\0") if each]
    return pd.DataFrame(
        {
            "commit": [each[0] for each in records],
            "subject": [printable(each[1]) for each in records],
        }
    )
