"""A whole comparison: two trees, the optimizers on both, the rungs of the ladder."""

from __future__ import annotations

import fnmatch
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from optbench.comparison.cost import compare_memory, compare_speed
from optbench.comparison.maths import compare_maths
from optbench.comparison.requests import Failure, Find, Found, Meet
from optbench.comparison.schedulers import compare_schedulers
from optbench.comparison.sides import LIMIT_S, START_S, SideProcess, Sides, both
from optbench.engine.environment import environment
from optbench.errors import OptbenchError
from optbench.scenarios.catalogue import Description
from optbench.sources import Source, Tree, git, prepare
from optbench.sources.cache import run_folder
from optbench.verdicts.comparison import (
    RUNGS,
    Comparison,
    Maths,
    MathsVerdict,
    OptimizerComparison,
    Refusal,
    SideOfComparison,
)

MOST_SEEDS = 24
"""Pairs of runs on a problem at the last look, unless more are asked for."""


class NothingCompared(OptbenchError):
    """There is no optimizer that stands on both sides; the text says what was looked at."""


class NotImportable(NothingCompared):
    """A side whose packages do not import; the text says which, and why."""


@dataclass(frozen=True)
class CompareConfig:
    """What to compare.

    Attributes
    ----------
    base, head : Source
    targets : tuple of str
        ``package.module:Class``, a glob of names behind the colon, or a bare name of a class;
        every exported optimizer without any. Schedulers that are named are compared as well.
    schedulers : bool
        Compare those of files that changed, too.
    repository : Path or None
        Of revisions and the working tree.
    path : str or None
        The folder of a checkout that goes on the path.
    install : bool
        Build and install checkouts.
    overlay : str
        A module whose folder of each source is laid over the installed package.
    rungs : tuple of str
        Of `RUNGS`.
    settings : mapping
        Hyperparameters that every optimizer is given on both sides.
    limit_s : float
        Seconds that a scenario may take.
    seeds : int
        The most pairs of runs on a problem.
    problems : tuple of str
        Of `optbench.comparison.convergence.PROBLEMS_OF`, to train on; all that fit without any.
    compiled : bool
        The maths is compared with torch.compile on; without, steps run as they are written there.
    fail_on : frozenset of str
        Verdicts that fail the comparison.
    """

    base: Source
    head: Source
    targets: tuple[str, ...] = ()
    schedulers: bool = True
    repository: Path | None = None
    path: str | None = None
    install: bool = False
    overlay: str = ""
    rungs: tuple[str, ...] = RUNGS
    settings: Mapping[str, Any] = field(default_factory=dict)
    limit_s: float = LIMIT_S
    seeds: int = MOST_SEEDS
    problems: tuple[str, ...] = ()
    compiled: bool = False
    fail_on: frozenset[str] = frozenset()

    def tree(self, source: Source, folder: Path) -> Tree:
        """Make a source importable."""
        return prepare(
            source,
            folder,
            repository=self.repository,
            path=self.path,
            install=self.install,
            overlay=self.overlay,
        )


@contextmanager
def opened(wanted: CompareConfig, tell: Callable[[str], None] = lambda _: None) -> Iterator[Sides]:
    """Prepare both trees and begin their processes; all of it is gone afterwards."""
    with run_folder() as folder:
        trees = []
        for name, source in (("base", wanted.base), ("head", wanted.head)):
            tell(f"preparing {source}")
            trees.append(wanted.tree(source, folder / name))
        # Nothing of one version may be imported into the other, nor from the user's checkout.
        home = git.run_git(wanted.repository or Path.cwd(), ("rev-parse", "--show-toplevel"))[1]
        places = [tree.path for tree in trees] + ([Path(home)] if home else [])
        sides = Sides(
            *(
                SideProcess(
                    replace(tree, foreign=tuple(places)), folder, wanted.limit_s, wanted.compiled
                )
                for tree in trees
            )
        )
        try:
            yield sides
        finally:
            for side in sides:
                side.end()


def compare(
    wanted: CompareConfig,
    *,
    done: Callable[[OptimizerComparison], None] = lambda _: None,
    tell: Callable[[str], None] = lambda _: None,
) -> Comparison:
    """Compare two sources; ``done`` hears of each optimizer, ``tell`` of what is going on.

    Ctrl-C ends it early: what was concluded until then is given, marked as not complete.

    Raises
    ------
    SourceError
        Where a source cannot be had.
    NothingCompared
        Where no optimizer stands on both sides.
    """
    begun = time.monotonic()
    with opened(wanted, tell) as sides:
        trees = (sides.base.tree, sides.head.tree)
        tell("importing both sides")
        found = find(sides, wanted.targets)
        rows: list[OptimizerComparison] = []
        refusals = list(found.refused)
        complete = True
        changed = _changed(trees)
        try:
            for place, target in enumerate(found.on_both, 1):
                where = f"{place} of {len(found.on_both)}: {target}"
                outcome = compare_one(sides, target, wanted, _prefixed(tell, where))
                if isinstance(outcome, Refusal):
                    refusals.append(outcome)
                else:
                    rows.append(outcome)
                    done(outcome)
            # What a package has beside its optimizers is looked at where it was changed.
            files = changed if wanted.schedulers else ()
            for scheduler in compare_schedulers(sides, files, wanted.targets):
                if isinstance(scheduler, Refusal):
                    refusals.append(scheduler)
                else:
                    rows.append(scheduler)
                    done(scheduler)
            # One that was named is no optimizer, and was compared nevertheless.
            names = [row.name for row in rows]
            refusals = [each for each in refusals if not fnmatch.filter(names, each.name)]
        except KeyboardInterrupt:
            complete = False
        if complete and not rows:
            raise NothingCompared(_nothing(found, refusals, trees))
        return Comparison(
            base=_side(trees[0]),
            head=_side(trees[1]),
            rungs=wanted.rungs,
            optimizers=tuple(rows),
            only_in_base=found.only_in_base,
            only_in_head=found.only_in_head,
            not_constructible=tuple(refusals),
            notes=_note(_not_looked_at(rows, changed)),
            environment=asdict(environment(torch_version=found.torch)),
            seconds=time.monotonic() - begun,
            complete=complete,
        )


@dataclass(frozen=True)
class Matched:
    """Targets by the sides that they are on."""

    on_both: tuple[str, ...]
    only_in_base: tuple[str, ...]
    only_in_head: tuple[str, ...]
    refused: tuple[Refusal, ...]
    torch: str


def find(sides: Sides, patterns: Sequence[str]) -> Matched:
    """Find the optimizers that match the patterns on each side."""
    answers = both(sides.base, sides.head, Find(tuple(patterns)), START_S)
    lists: list[tuple[str, ...]] = []
    refused: list[dict[str, str]] = []
    for name, answer in zip(("base", "head"), answers, strict=True):
        if isinstance(answer, Failure):
            raise NotImportable(f"the {name} cannot be imported: {answer.text}")
        assert isinstance(answer, Found)
        lists.append(answer.targets)
        refused.append(dict(answer.refused))
    base, head = lists
    reasons = []
    for pattern in dict.fromkeys((*refused[0], *refused[1])):
        # On one side alone it is a matter of who has it, which the lists say as well.
        words = [
            f"{name}: {each[pattern]}"
            for name, each in zip(("base", "head"), refused, strict=True)
            if pattern in each
        ]
        same = len({each.get(pattern) for each in refused}) == 1
        reasons.append(Refusal(pattern, refused[0][pattern] if same else "; ".join(words)))
    gone = [each for each in base if each not in head]
    # Of a module that does not import any more, the classes are not gone but broken.
    lost = {each: text for each in gone if (text := _reason(each, refused[1]))}
    return Matched(
        tuple(each for each in (*head, *lost) if each in base),
        tuple(each for each in gone if each not in lost),
        tuple(each for each in head if each not in base),
        tuple(reasons),
        answers[1].torch,
    )


def _reason(target: str, refused: Mapping[str, str]) -> str:
    """Why a target, its module, or a package that it is in, does not import; or nothing."""
    parts = target.partition(":")[0].split(".")
    above = [target, *(".".join(parts[:n]) for n in range(1, len(parts) + 1))]
    return next((refused[name] for name in above if name in refused), "")


def compare_one(
    sides: Sides, target: str, wanted: CompareConfig, tell: Callable[[str], None]
) -> OptimizerComparison | Refusal:
    """All rungs for one optimizer."""
    begun = time.monotonic()
    for side in sides:
        side.refresh()
    tell("maths")
    met = both(sides.base, sides.head, Meet(target, tuple(wanted.settings.items())))
    base, head = met
    if isinstance(base, Failure):
        also = "on both sides" if isinstance(head, Failure) else "on the base"
        return Refusal(target, f"{also}: {base.text}")
    assert isinstance(base, Description)
    if isinstance(head, Failure):
        where = f" ({head.where})" if head.where else ""
        what = "cannot be constructed any more"
        if head.kind in ("timeout", "crashed"):
            what = "hangs or crashes as its hyperparameters are tried"
        text = f"{what}: {head.text}{where}"
        maths = Maths(MathsVerdict.BROKEN, text, differing=("defaults",))
        seconds = time.monotonic() - begun
        return OptimizerComparison(target, maths, seconds=seconds, files=base.files)
    assert isinstance(head, Description)
    maths = compare_maths(sides.base, sides.head, target, base, head)
    files = base.files | head.files if base.files and head.files else frozenset()
    row = OptimizerComparison(target, maths, files=files)
    trainable = maths.verdict is MathsVerdict.CHANGED or (
        maths.verdict is MathsVerdict.BROKEN and maths.at_defaults
    )
    if "convergence" in wanted.rungs and trainable:
        # Its problems import torch, without which everything else can be judged.
        from optbench.comparison.convergence import compare_convergence

        row = compare_convergence(sides, row, base, head, tell, wanted.seeds, wanted.problems)
    if maths.verdict is not MathsVerdict.BROKEN:
        if "speed" in wanted.rungs:
            tell("speed")
            row = compare_speed(sides, row, base, head)
        if "memory" in wanted.rungs:
            tell("memory")
            row = compare_memory(sides, row, base, head)
    return replace(row, seconds=time.monotonic() - begun)


def _prefixed(tell: Callable[[str], None], where: str) -> Callable[[str], None]:
    return lambda text: tell(f"{where}, {text}")


def _side(tree: Tree) -> SideOfComparison:
    return SideOfComparison(tree.label, tree.version, tree.note)


def _not_looked_at(rows: Sequence[OptimizerComparison], changed: Sequence[str]) -> list[str]:
    """Return those changed files that nothing compared imports, where that is known."""
    if not all(row.files for row in rows):
        return []
    looked_at = {name for row in rows for name in row.files}
    return [name for name in changed if name not in looked_at]


def _changed(trees: Sequence[Tree]) -> list[str]:
    """Return the source files that differ."""
    old, new = map(_code, trees)
    return sorted(name for name in {*old, *new} if old.get(name) != new.get(name))


def _note(names: Sequence[str]) -> tuple[str, ...]:
    """Say which files changed and were not looked at."""
    if not names:
        return ()
    more = f" and {len(names) - 6} more" if len(names) > 6 else ""
    return (
        f"changed, and not looked at, for nothing that was compared imports it: "
        f"{', '.join(names[:6])}{more}",
    )


def _code(tree: Tree) -> dict[str, bytes]:
    """Return the source files of a tree's packages: relative paths to contents."""
    places = [tree.path.joinpath(*package.split(".")) for package in tree.packages]
    files = [file for place in places for file in (place.with_suffix(".py"), *place.rglob("*.py"))]
    return {f.relative_to(tree.path).as_posix(): f.read_bytes() for f in files if f.is_file()}


def _nothing(found: Matched, refusals: Sequence[Refusal], trees: Sequence[Tree]) -> str:
    lines = ["nothing was compared: no optimizer is on both sides"]
    if found.on_both:
        lines = [
            "nothing was compared: no optimizer that is on both sides can be stepped on the base"
        ]
    looked = [
        f"{tree.label} has the packages {', '.join(tree.packages) or '(none)'}" for tree in trees
    ]
    if refusals:
        lines += [f"  {each.name}: {each.reason}" for each in refusals[:8]]
        if len(refusals) > 8:
            lines.append(f"  and {len(refusals) - 8} more")
    for side, names in (("base", found.only_in_base), ("head", found.only_in_head)):
        if names:
            lines.append(f"  only in the {side}: {', '.join(names[:6])}")
    if len(lines) == 1:
        lines += [f"  {each}" for each in looked]
        lines.append("  -o package.module:Class names one; --path the folder that packages are in")
    return "\n".join(lines)
