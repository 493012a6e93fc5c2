"""Which commit changed it? ``git bisect`` in a repository that borrows the user's objects."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from optbench.comparison.compare import CompareConfig, NothingCompared, compare_one, find
from optbench.comparison.sides import SideProcess, Sides
from optbench.errors import OptbenchError
from optbench.sources import Source, SourceError, Tree, git
from optbench.sources.cache import run_folder
from optbench.sources.source import Kind
from optbench.verdicts.comparison import (
    SCHEMA,
    ConvergenceVerdict,
    MathsVerdict,
    MemoryVerdict,
    OptimizerComparison,
    SpeedVerdict,
)

BAD: dict[str, frozenset[str]] = {
    "maths": frozenset((MathsVerdict.CHANGED, MathsVerdict.BROKEN)),
    "convergence": frozenset((ConvergenceVerdict.REGRESSED, MathsVerdict.BROKEN)),
    "speed": frozenset((SpeedVerdict.SLOWER, MathsVerdict.BROKEN)),
    "memory": frozenset((MemoryVerdict.MORE, MemoryVerdict.LEAK, MathsVerdict.BROKEN)),
}
"""Verdicts that make a commit bad, by rung."""


class NothingToFind(OptbenchError):
    """There is no such change between the two; the text says what was seen."""


@dataclass(frozen=True)
class Tried:
    """A commit that was looked at.

    Attributes
    ----------
    judgement : str
        ``good``, ``bad`` or ``skip``.
    text : str
        The verdict, or why nothing could be compared.
    rows : tuple of OptimizerComparison
    """

    commit: str
    subject: str
    judgement: str
    text: str
    rows: tuple[OptimizerComparison, ...] = ()


@dataclass(frozen=True)
class Bisection:
    """The end of a search.

    Attributes
    ----------
    first_bad : str
        The commit; empty where commits that could not be tried stand in the way.
    suspects : tuple of str
        Then the commits that it may be, newest first.
    evidence : Tried or None
        The first bad commit against the good one.
    tried : tuple of Tried
        In the order of the search.
    """

    good: str
    bad: str
    first_bad: str
    suspects: tuple[str, ...]
    described: str
    evidence: Tried | None
    tried: tuple[Tried, ...]
    seconds: float

    def as_json(self) -> dict[str, Any]:
        """Return the content of the file that ``--json`` writes."""
        return {
            "schema": SCHEMA,
            "good": self.good,
            "bad": self.bad,
            "first_bad": self.first_bad or None,
            "described": self.described,
            "suspects": list(self.suspects),
            "seconds": round(self.seconds, 2),
            "tried": [
                {
                    "commit": each.commit,
                    "subject": each.subject,
                    "judgement": each.judgement,
                    "text": each.text,
                    "optimizers": [row.as_row() for row in each.rows],
                }
                for each in self.tried
            ],
        }


def bisect(
    good: str,
    bad: str,
    wanted: CompareConfig,
    *,
    on: str = "maths",
    done: Callable[[Tried], None] = lambda _: None,
    tell: Callable[[str], None] = lambda _: None,
) -> Bisection:
    """Find the first commit of ``good..bad`` that differs from ``good`` on a rung.

    Every commit is compared with ``good`` itself, so that a change that was taken back counts as
    good again. ``bad`` is tried first: without a difference there is nothing to find.

    Raises
    ------
    SourceError
        Where a revision is none, or ``good`` is not an ancestor of ``bad``.
    NothingToFind
        Where ``bad`` does not differ from ``good``.
    NothingCompared
        Where the optimizer is not in ``good``.
    """
    begun = time.monotonic()
    repository = git.top_level(wanted.repository or Path.cwd())
    first, last = git.resolve(repository, good), git.resolve(repository, bad)
    if git.run_git(repository, ("merge-base", "--is-ancestor", first, last))[0]:
        raise SourceError(f"{good} is not an ancestor of {bad}: the good commit comes first")
    wanted = replace(
        wanted, repository=repository, rungs=("maths",) if on == "maths" else ("maths", on)
    )
    with run_folder() as folder:
        searching = git.borrow(repository, folder / "bisect")
        tell(f"preparing {good}")
        tree = wanted.tree(Source(Kind.REVISION, first), folder / "good")
        base = SideProcess(tree, folder, wanted.limit_s)
        tried: list[Tried] = []

        def look(commit: str) -> Tried:
            place = folder / f"try-{len(tried)}"
            seen = _try(base, commit, wanted, on, place, repository, tell)
            tried.append(seen)
            done(seen)
            return seen

        try:
            end = look(last)
            if end.judgement != "bad":
                raise NothingToFind(
                    f"{bad} does not differ from {good} on {on}: {end.text}"
                    if end.judgement == "good"
                    else f"{bad} cannot be compared: {end.text}"
                )
            suspects = _search(searching, first, last, look, _paths(tree))
        finally:
            base.end()
        found = suspects[0] if len(suspects) == 1 else ""
        # Of an overlay, commits that leave it alone are passed over: what was tried last stands for
        # the one before it that touched it.
        untried = end if found and tree.overlay else None
        evidence = next((each for each in tried if each.commit == found), untried)
        return Bisection(
            good=first,
            bad=last,
            first_bad=found,
            suspects=tuple(suspects),
            described=git.git(
                repository, "log", "-1", "--date=short", "--format=%h %s (%an, %ad)", found
            )
            if found
            else "",
            evidence=evidence,
            tried=tuple(tried),
            seconds=time.monotonic() - begun,
        )


def _paths(tree: Tree) -> tuple[str, ...]:
    """Return the pathspecs of commits that can matter: of an overlay nothing else is looked at."""
    return (f"*{tree.overlay.replace('.', '/')}/*",) if tree.overlay else ()


def _search(
    folder: Path, good: str, bad: str, look: Callable[[str], Tried], paths: tuple[str, ...]
) -> list[str]:
    """Let git choose commits until one is left, or only such as cannot be tried."""
    # It wants a HEAD to come back to.
    git.check_out(folder, bad)
    code, said = _drive(folder, "start", "--no-checkout", bad, good, "--", *paths)
    if code:
        raise SourceError(f"git bisect: {said}")
    while True:
        candidate = git.git(folder, "rev-parse", "--verify", "--quiet", "BISECT_HEAD", check=False)
        left = _left(folder, paths)
        if len(left) <= 1 or not candidate:
            return left
        code, said = _drive(folder, look(candidate).judgement, candidate)
        if "first bad commit" in said or code == 2:
            return _left(folder, paths)
        if code:
            raise SourceError(f"git bisect: {said}")


def _left(folder: Path, paths: tuple[str, ...]) -> list[str]:
    """Return the commits that may be the first bad one, newest first: one where it is found."""
    refs = git.git(folder, "for-each-ref", "--format=%(refname)", "refs/bisect").splitlines()
    good = [f"^{ref}" for ref in refs if "/good-" in ref]
    return git.git(folder, "rev-list", "refs/bisect/bad", *good, "--", *paths).splitlines()


def _drive(folder: Path, *arguments: str) -> tuple[int, str]:
    code, out, error = git.run_git(folder, ("bisect", *arguments))
    return code, out or error


def _try(
    base: SideProcess,
    commit: str,
    wanted: CompareConfig,
    on: str,
    folder: Path,
    repository: Path,
    tell: Callable[[str], None],
) -> Tried:
    """Compare one commit with the good one."""
    subject = git.git(repository, "log", "-1", "--format=%s", commit)
    short = f"{commit[:10]} {subject}"
    tell(f"trying {short}")
    try:
        tree = wanted.tree(Source(Kind.REVISION, commit), folder)
    except SourceError as error:
        return Tried(commit, subject, "skip", str(error))
    head = SideProcess(tree, folder.parent, wanted.limit_s)
    sides = Sides(base, head)
    try:
        try:
            found = find(sides, wanted.targets)
        except NothingCompared as error:
            return Tried(commit, subject, "skip", str(error))
        if not found.on_both:
            reasons = [each.reason for each in found.refused] or ["no optimizer is on both sides"]
            return Tried(commit, subject, "skip", reasons[0])
        rows: list[OptimizerComparison] = []
        for target in found.on_both:
            row = compare_one(sides, target, wanted, tell)
            if not isinstance(row, OptimizerComparison):
                raise NothingCompared(f"{row.name}: {row.reason}")
            rows.append(row)
    finally:
        head.end()
    worse = [row for row in rows if row.findings & BAD[on]]
    judgement = "bad" if worse else "good"
    return Tried(commit, subject, judgement, _words(worse or rows, on), tuple(worse or rows))


def _words(rows: Sequence[OptimizerComparison], on: str) -> str:
    """Return the verdict of the rung, with its reason."""
    row = rows[0]
    texts = {
        "maths": (row.maths.verdict.value, row.maths.text),
        "convergence": (row.convergence.value if row.convergence else "", row.convergence_text),
        "speed": (row.speed.value if row.speed else "", row.cost.text),
        "memory": (row.memory.value if row.memory else "", row.cost.text),
    }
    if row.maths.verdict is MathsVerdict.BROKEN or not texts[on][0]:
        word, text = texts["maths"]
    else:
        word, text = texts[on]
    return f"{word}: {text}" if text else word
