"""The stages of a night, each of which keeps what it has done as it goes."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from optbench.analysis import MissingColumns
from optbench.compare.contest import NothingCompared, NotImportable, Wanted, compare
from optbench.defaults import ASV_RESULTS
from optbench.engine.identity import code_of
from optbench.engine.plan import NothingToRun, plan
from optbench.engine.runs import Run
from optbench.nightly import tracking
from optbench.nightly.records import codes_of_nights, read_records
from optbench.nightly.regression import Regression, of_change, of_comparison
from optbench.nightly.stage import Failed, LeftOut, NothingNew
from optbench.nightly.wanted import WantedNight
from optbench.optimizers import WrongHyperparameter
from optbench.registry import NotAdoptable, UnknownName
from optbench.report import NothingToReport, UnknownBaseline
from optbench.report.comparison_page import page as page_of_comparison
from optbench.report.comparison_text import without_infinities
from optbench.sources import Source, SourceError, git
from optbench.sources.source import Kind as KindOfSource
from optbench.store import Progress, Store, StoreError, fill
from optbench.tracking.accepted import WrongAcceptance, read_accepted, reason
from optbench.tracking.asv_results import NoResults
from optbench.tracking.past import NothingToTell, past
from optbench.whole_files import write_whole

MISTAKES = (
    NothingCompared,
    SourceError,
    StoreError,
    NothingToRun,
    NothingToReport,
    UnknownBaseline,
    UnknownName,
    NotAdoptable,
    WrongHyperparameter,
    WrongAcceptance,
    NoResults,
    MissingColumns,
    OSError,
)
"""What a stage may raise that is no defect of ours: it fails the stage, and the others go on."""


Tell = Callable[[str], None]
WritePage = Callable[[str, Path], object]
"""Writes the report of a store to a folder."""


@dataclass
class Work:
    """What the stages share."""

    wanted: WantedNight
    folder: Path
    commit: str
    base: str | None
    places: dict[str, int]
    subjects: dict[str, str]
    runs: tuple[Run, ...] = ()
    regressions: list[Regression] = field(default_factory=list)
    accepted: list[tuple[str, str]] = field(default_factory=list)

    @property
    def log(self) -> Path:
        """Where what asv prints goes."""
        return self.wanted.out / "asv.log"


def notes(wanted: WantedNight) -> tuple[str, ...]:
    """What a reader has to know of the checkout."""
    changed = git.git(wanted.repository, "status", "--porcelain", "--untracked-files=no")
    if changed:
        return (
            "the checkout has changes that are not committed: its runs are in the store and in "
            "the report, but belong to no commit, and this night is not recorded as one",
        )
    return ()


def runs(work: Work, watch: Callable[[Progress], None]) -> str:
    """The suite, into the store."""
    planned = plan(work.wanted.selections)
    work.runs = planned.runs
    with Store(work.wanted.store, create=True) as store:
        progress = fill(store, planned.runs, jobs=work.wanted.jobs, watch=watch, certify=True)
    failed = len(progress.failures)
    text = f"{progress.planned:,} runs, {progress.done:,} of them new"
    if failed:
        first = progress.failures[0]
        text += (
            f"; {failed:,} failed, as {first.run.optimizer} on {first.run.problem}: "
            f"{(first.error or '').splitlines()[0]}"
        )
    if failed == progress.planned:
        raise Failed(text)
    if not progress.to_do:
        raise NothingNew(f"all {progress.planned:,} runs are in the store")
    return text


def asv(work: Work) -> str:
    """asv's benchmarks, at the head and at commits since the last night."""
    if not work.wanted.asv:
        raise LeftOut("not asked for")
    wanted = work.wanted
    last = [record.commit for record in read_records(work.folder) if record.commit in work.places]
    since = last[-1] if last else None
    return tracking.run(
        wanted.repository, work.commit, since, wanted.machine, wanted.commits, work.log
    )


def publish(work: Work) -> str:
    """asv's pages."""
    if not work.wanted.asv:
        raise LeftOut("not asked for")
    return tracking.publish(work.wanted.repository, work.log)


def compare_with_base(work: Work, tell: Tell) -> str:
    """The head with the last good night's commit, all rungs; kept, and not made again."""
    base, head = work.base, work.commit
    if base is None:
        raise LeftOut("there is no good night before this one")
    if base == head:
        raise NothingNew("the last good night was of this commit")
    kept = work.folder / "nights" / f"{base[:12]}-{head[:12]}.json"
    content = _kept_comparison(kept, base, head)
    new = content is None
    if content is None:
        content = _compared(work, base, kept, tell)
    first = _after(work, base)
    found = list(of_comparison(content, work.wanted.fail_on, first, work.subjects))
    said = read_accepted(work.wanted.repository)
    for each in found:
        why = reason(said, each.metric, each.optimizer, "", first, work.places)
        if why:
            work.accepted.append((f"{each.optimizer}: {each.text}", why))
        else:
            work.regressions.append(each)
    rows = content["optimizers"]
    apart = sum(row["maths"] not in ("identical", "rounding") for row in rows)
    text = f"{len(rows)} optimizers with {base[:10]}, {apart} of other maths, {len(found)} findings"
    if not new:
        raise NothingNew(text)
    return text


def _compared(work: Work, base: str, kept: Path, tell: Tell) -> dict[str, Any]:
    wanted = work.wanted
    try:
        comparison = compare(
            Wanted(
                Source(KindOfSource.REVISION, base),
                Source(KindOfSource.REVISION, work.commit),
                targets=wanted.targets,
                repository=wanted.repository,
                path=wanted.path,
                install=wanted.install,
            ),
            tell=tell,
        )
    except NotImportable as error:
        raise Failed(str(error)) from error
    except NothingCompared as error:
        # Not a failure: the night in which the first optimizer comes has nothing to compare.
        raise LeftOut(str(error).splitlines()[0]) from error
    if not comparison.complete:
        raise KeyboardInterrupt
    (wanted.out / "compare.html").write_text(page_of_comparison(comparison), "utf-8")
    content: dict[str, Any] = without_infinities(comparison.as_json())
    write_whole(kept, json.dumps(content, allow_nan=False).encode("utf-8"))
    return content


def _kept_comparison(path: Path, base: str, head: str) -> dict[str, Any] | None:
    """A comparison of an earlier try at this night; None where there is none that is whole."""
    try:
        content = json.loads(path.read_text("utf-8"))
        sides = content["base"]["commit"], content["head"]["commit"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return content if sides == (base, head) and content.get("complete") else None


def _after(work: Work, base: str) -> str:
    """The commit of the line after the base: the oldest that a difference may have come with."""
    if base not in work.places:
        return work.commit
    line = list(work.places)
    return line[min(work.places[base] + 1, len(line) - 1)]


def history(work: Work) -> str:
    """What got worse along the commits, still is, and was not accepted."""
    wanted = work.wanted
    asv = wanted.repository / ASV_RESULTS
    earlier = codes_of_nights(wanted.store)
    this = pd.DataFrame(
        [] if notes(wanted) else [(work.commit, *each) for each in codes(work).items()],
        columns=["commit", "optimizer", "code"],
    )
    nights = this if earlier is None else pd.concat([earlier, this])
    try:
        told = past(
            wanted.repository,
            store=wanted.store,
            asv=asv if asv.is_dir() else None,
            nights=nights,
        )
    except NothingToTell as error:
        raise LeftOut(str(error).splitlines()[0]) from error
    found = told.history
    work.regressions += [of_change(each, work.subjects) for each in found.regressions]
    work.accepted += [
        (f"{each.optimizer} {each.problem}: {each.metric}".strip(), each.accepted)
        for each in found.changes
        if each.accepted
    ]
    frame = found.values.drop(columns=["order", "samples"])
    frame.to_csv(wanted.out / "history.csv", index=False)
    commits = found.values["commit"].nunique()
    text = (
        f"{len(found.values):,} values of {commits} commits, {len(found.changes)} changes, "
        f"{len(found.regressions)} for the worse that stand"
    )
    if told.skipped:
        name, why = told.skipped[0]
        text += f"; {len(told.skipped)} files not read, as {name}: {why}"
    return text


def report(work: Work, write_page: WritePage) -> str:
    """The page of the store, where it is older than the store."""
    page = work.wanted.out / "index.html"
    if work.wanted.store.startswith("sqlite") or "://" not in work.wanted.store:
        store = Path(work.wanted.store.removeprefix("sqlite:///"))
        drawn = page.stat().st_mtime if page.exists() else 0.0
        if store.exists() and drawn > _written(store):
            raise NothingNew(f"{page} is newer than the store")
    write_page(work.wanted.store, work.wanted.out)
    return str(page)


def _written(store: Path) -> float:
    """When a store was last written to: what is new may be in its log yet."""
    files = (store, store.with_name(f"{store.name}-wal"))
    return max(file.stat().st_mtime for file in files if file.exists() and file.stat().st_size)


def codes(work: Work) -> dict[str, str]:
    """The code of each optimizer that was run."""
    return {name: code_of(name) for name in sorted({run.optimizer for run in work.runs})}
