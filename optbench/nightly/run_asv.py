"""What a nightly run does with asv: which commits to run, the runs, and the pages."""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from optbench.defaults import ASV_RESULTS
from optbench.nightly.outcome import Failed, LeftOut, NothingNew
from optbench.nightly.subprocess_group import TookTooLong, guarded
from optbench.sources import git
from optbench.tracking.asv_results import read_asv_results

CONFIGURATION = "asv.conf.json"

COMMITS = 5
"""Largest number of commits since the last nightly run: evenly spread, the newest always."""

RUN_LIMIT_S = 4 * 3600.0

PUBLISH_LIMIT_S = 60.0
"""asv never finishes publishing an infinity."""


def run(
    repository: Path, head: str, since: str | None, machine: str | None, commits: int, log: Path
) -> str:
    """Run asv's benchmarks at the head and at commits since the last nightly run; what was done.

    Where asv's own range NEW ends at any commit that has results, this one names the commits: one
    whose run was cut short has results, and lacks the rest.

    Raises
    ------
    LeftOut, NothingNew, Failed
    """
    if not (repository / CONFIGURATION).exists():
        raise LeftOut(f"there is no {CONFIGURATION} (optbench init writes one)")
    if importlib.util.find_spec("asv") is None:
        raise Failed("asv is not installed, and there is a configuration of it: pip install asv")
    chosen = spread(since_last(repository, head, since), commits)
    asv = [sys.executable, "-m", "asv"]
    named = ["--machine", machine] if machine else []
    log.write_bytes(b"")
    if guarded([*asv, "machine", *named, "--yes"], repository, log):
        raise Failed(f"asv machine failed: {log}")
    listed = log.with_name("asv-commits.txt")
    listed.write_text("\n".join(chosen) + "\n", "utf-8")
    before = values(repository)
    command = [*asv, "run", "--record-samples", "--skip-existing", *named, f"HASHFILE:{listed}"]
    try:
        code = guarded(command, repository, log, limit_s=RUN_LIMIT_S)
    except TookTooLong as error:
        raise Failed(f"asv run: {error}") from error
    after = values(repository)
    new, failed = len(after) - len(before), sum(after[key] for key in after.keys() - before.keys())
    if code not in (0, 2) or not any(commit == head for commit, *_ in after):
        raise Failed(f"asv run ended with {code} and no results of {head[:10]}{said_in(log)}")
    if not new:
        raise NothingNew(f"all benchmarks of {_counted(chosen)} have results")
    text = f"{new:,} values of {_counted(chosen)}"
    return f"{text}, {failed:,} failed" if failed else text


def publish(repository: Path, log: Path) -> str:
    """Make asv's pages, in limited time.

    Raises
    ------
    LeftOut, Failed
    """
    if not (repository / CONFIGURATION).exists():
        raise LeftOut("there is nothing of asv's")
    if not (repository / ASV_RESULTS / "benchmarks.json").exists():
        raise LeftOut("asv has no results")
    asv = [sys.executable, "-m", "asv"]
    try:
        code = guarded([*asv, "publish"], repository, log, limit_s=PUBLISH_LIMIT_S)
    except TookTooLong as error:
        raise Failed(f"asv publish: {error}; a result that is infinite makes it hang") from error
    if code:
        raise Failed(f"asv publish ended with {code}{said_in(log)}")
    return "asv's pages are in .asv/html: asv preview shows them"


def said_in(log: Path) -> str:
    """Return the first error in a log, and where the rest is, its consequence."""
    lines = log.read_text("utf-8", errors="replace").splitlines()
    errors = [line.strip() for line in lines if re.match(r"\s*(ERROR|\w*Error):", line)]
    return f": {errors[0]} ({log})" if errors else f": {log}"


def since_last(repository: Path, head: str, since: str | None) -> list[str]:
    """Return the commits after one, up to the head; the head alone without one."""
    if since is None or since == head:
        return [head]
    told = git.git(repository, "rev-list", "--first-parent", "--reverse", f"{since}..{head}")
    return told.split() or [head]


def spread(commits: Sequence[str], most: int) -> list[str]:
    """So many of them at the most, evenly, the last always.

    >>> spread("abcdefghij", 4)
    ['a', 'd', 'g', 'j']
    """
    if len(commits) <= most:
        return list(commits)
    if most == 1:
        return [commits[-1]]
    last = len(commits) - 1
    return [commits[round(place * last / (most - 1))] for place in range(most)]


def values(repository: Path) -> dict[tuple[str, str, str, int], bool]:
    """Commit, environment, benchmark and place of every value that asv has: whether it failed."""
    folder = repository / ASV_RESULTS
    if not folder.is_dir():
        return {}
    frame = read_asv_results(folder).values
    frame = frame.assign(place=frame.groupby(["commit", "environment", "benchmark"]).cumcount())
    return {
        (row.commit, row.environment, row.benchmark, row.place): row.status == "failed"
        for row in frame.itertuples()
    }


def _counted(commits: Sequence[str]) -> str:
    return "one commit" if len(commits) == 1 else f"{len(commits)} commits"
