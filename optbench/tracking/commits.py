"""The line of commits that a history is told along."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from optbench.plain_text import printable
from optbench.sources import SourceError, git


def first_parents(repository: Path) -> pd.DataFrame:
    """Return the commits from the first to HEAD along first parents: ``commit``, ``subject``.

    What was merged counts as the commit that merged it: a branch's own commits lie beside the
    line, and their measurements would come between those of the line in no order.

    Raises
    ------
    SourceError
        Where the folder is in no repository, or the repository has no such commit.
    """
    top = git.top_level(repository)
    if git.is_shallow(top):
        raise SourceError(
            f"{top} is a shallow clone, and lacks the commits that a history is of: "
            "git fetch --unshallow gets them (in CI: fetch-depth: 0)"
        )
    code, out, _ = git.run_git(top, ("rev-parse", "--verify", "--quiet", "HEAD^{commit}"))
    if code or not out:
        raise SourceError(f"{top} has no commit")
    # Signatures that a user wants to see would stand between the records.
    told = git.git(top, "log", "-z", "--no-show-signature", "--first-parent", "--reverse",
                   "--format=%H %s", "HEAD", "--")  # fmt: skip
    records = [each.partition(" ")[::2] for each in told.split("\0") if each]
    return pd.DataFrame(
        {
            "commit": [each[0] for each in records],
            "subject": [printable(each[1]) for each in records],
        }
    )
