"""The stages of a nightly run, each of which keeps what it has done as it goes."""

from __future__ import annotations

import json
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from optbench import load
from optbench.analysis import MissingColumns
from optbench.api.report import report as write_report
from optbench.comparison.compare import CompareConfig, NothingCompared, NotImportable, compare
from optbench.defaults import ASV_RESULTS
from optbench.engine.environment import environment
from optbench.engine.identity import code_of
from optbench.engine.plan import plan
from optbench.engine.runs import Run
from optbench.errors import OptbenchError
from optbench.nightly import run_asv
from optbench.nightly.config import NightlyConfig, own_optimizers
from optbench.nightly.data_branch import store_file
from optbench.nightly.outcome import AcceptedFinding, Failed, LeftOut, NothingNew, Regression
from optbench.nightly.regression import of_change, of_comparison
from optbench.reporting.comparison_page import page as page_of_comparison
from optbench.reporting.comparison_text import without_infinities
from optbench.reporting.tables import csv_text
from optbench.runner import Progress, fill
from optbench.runner.executors import executor
from optbench.sources import Source, git
from optbench.sources.source import Kind as KindOfSource
from optbench.store import Store
from optbench.tracking.accepted import covering, read_accepted
from optbench.tracking.records import codes_of_nights, read_records
from optbench.tracking.repository_history import NoHistory, RepositoryHistory, load_history
from optbench.verdicts.comparison import Comparison
from optbench.verdicts.comparison_json import NotAComparison, read_comparison
from optbench.whole_files import read_whole, write_whole

MISTAKES = (OptbenchError, MissingColumns, OSError)
"""What a stage may raise that is no defect of ours: it fails the stage, and the others go on."""


Tell = Callable[[str], None]


@dataclass
class Work:
    """What the stages share."""

    wanted: NightlyConfig
    folder: Path
    commit: str
    base: str | None
    places: dict[str, int]
    subjects: dict[str, str]
    runs: tuple[Run, ...] = ()
    regressions: list[Regression] = field(default_factory=list)
    accepted: list[AcceptedFinding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    compared: list[Path] = field(default_factory=list)
    told: RepositoryHistory | None = None

    @property
    def log(self) -> Path:
        """Where what asv prints goes."""
        return self.wanted.out / "asv.log"


def notes(wanted: NightlyConfig) -> tuple[str, ...]:
    """Return notes on the checkout."""
    changed = git.git(wanted.repository, "status", "--porcelain", "--untracked-files=no")
    if changed:
        return (
            "the checkout has changes that are not committed: its runs are in the store and in "
            "the report, but belong to no commit, and this nightly run is not recorded",
        )
    return ()


def runs(work: Work, watch: Callable[[Progress], None]) -> str:
    """Run what the store lacks of the suite."""
    own = own_optimizers(work.wanted.targets, work.wanted.selections)
    planned = plan((*work.wanted.selections, *own.selections))
    work.runs = planned.runs
    work.notes += [f"not run: {each}" for each in own.left_out]
    wanted = work.wanted
    with (
        Store(wanted.store, create=True) as store,
        executor(wanted.jobs, wanted.dask, warn=work.notes.append) as workers,
    ):
        progress = fill(
            store, planned.runs, executor=workers, limits=wanted.limits, watch=watch, certify=True
        )
    failed = len(progress.failures)
    text = f"{progress.planned:,} runs, {progress.done:,} of them new"
    if failed:
        first = progress.failures[0]
        text += (
            f"; {failed:,} failed, as {first.run.optimizer} on {first.run.problem}: "
            f"{(first.error or '').splitlines()[0]}"
        )
    if own.broken:
        raise Failed(f"{own.broken}; of the others {text}")
    if failed == progress.planned:
        raise Failed(text)
    if not progress.to_do:
        raise NothingNew(f"all {progress.planned:,} runs are in the store")
    return text


def asv(work: Work) -> str:
    """asv's benchmarks, at the head and at commits since the last nightly run."""
    if not work.wanted.asv:
        raise LeftOut("asv is switched off")
    wanted = work.wanted
    measured = [each.commit for each in read_records(work.folder) if each.verdict != "not measured"]
    since = next((commit for commit in reversed(measured) if commit in work.places), None)
    return run_asv.run(
        wanted.repository, work.commit, since, wanted.machine, wanted.commits, work.log
    )


def publish(work: Work) -> str:
    """asv's pages."""
    if not work.wanted.asv:
        raise LeftOut("asv is switched off")
    return run_asv.publish(work.wanted.repository, work.log)


def compare_with_base(work: Work, tell: Tell) -> str:
    """Compare the head with the last commit that passed, once."""
    base, head = work.base, work.commit
    if base is None:
        raise LeftOut("no nightly run before this one passed")
    if base == head:
        raise NothingNew("the last run that passed was of this commit")
    comparison, new = _comparison(work, base, work.wanted.targets, tell)
    first = _after(work, base)
    found = list(of_comparison(comparison, work.wanted.fail_on, first, work.subjects))
    _judge(work, found, first, tell)
    rows = comparison.optimizers
    apart = sum(row.maths.verdict not in ("identical", "rounding") for row in rows)
    text = (
        f"{_counted(len(rows), 'optimizer')} with {base[:10]}: {apart} with other maths, "
        f"{_counted(len(found), 'finding')}"
    )
    if not new:
        raise NothingNew(text)
    return text


def _judge(work: Work, found: list[Regression], first: str, tell: Tell) -> None:
    """Tell what is wanted from what is not.

    What was accepted up to a commit before the head is compared again, from that commit on: an
    acceptance says nothing of what came after it.
    """
    said = read_accepted(work.wanted.repository)
    since: dict[str, list[Regression]] = {}
    for each in found:
        row = covering(said, each.metric, each.optimizer, "", first, work.places)
        if row is None:
            work.regressions.append(each)
            continue
        what = f"{each.optimizer}: {each.text}"
        work.accepted.append(AcceptedFinding(what=what, why=row.why))
        if row.commit != work.commit:
            since.setdefault(row.commit, []).append(each)
    for commit, wanted in since.items():
        targets = tuple(sorted({each.optimizer for each in wanted}))
        comparison, _ = _comparison(work, commit, targets, tell)
        named = {(each.optimizer, each.metric) for each in wanted}
        after = _after(work, commit)
        work.regressions += [
            each
            for each in of_comparison(comparison, work.wanted.fail_on, after, work.subjects)
            if (each.optimizer, each.metric) in named
        ]


def _comparison(
    work: Work, base: str, targets: tuple[str, ...], tell: Tell
) -> tuple[Comparison, bool]:
    """Return a comparison of the head, and whether it was made just now."""
    here = environment()
    asked = repr(
        (targets, work.wanted.path, work.wanted.install, here.python, here.torch, here.numpy)
    )
    asked_of = zlib.crc32(asked.encode())
    name = f"{base[:12]}-{work.commit[:12]}-{asked_of:08x}.json"
    kept = work.folder / "nights" / name
    if base == work.base:
        work.compared.append(kept)
    comparison = None if work.wanted.again else _kept_comparison(kept, base, work.commit)
    if comparison is not None:
        return comparison, False
    return _compared(work, base, targets, kept, tell), True


def _compared(
    work: Work, base: str, targets: tuple[str, ...], kept: Path, tell: Tell
) -> Comparison:
    wanted = work.wanted
    try:
        comparison = compare(
            CompareConfig(
                Source(KindOfSource.REVISION, base),
                Source(KindOfSource.REVISION, work.commit),
                targets=targets,
                repository=wanted.repository,
                path=wanted.path,
                install=wanted.install,
            ),
            tell=tell,
        )
    except NotImportable as error:
        raise Failed(str(error)) from error
    except NothingCompared as error:
        # Not a failure: the run in which the first optimizer comes has nothing to compare.
        raise LeftOut(str(error).splitlines()[0]) from error
    if not comparison.complete:
        raise KeyboardInterrupt
    if base == work.base:
        write_whole(wanted.out / "compare.html", page_of_comparison(comparison).encode("utf-8"))
    content = without_infinities(comparison.as_json())
    write_whole(kept, json.dumps(content, allow_nan=False).encode("utf-8"))
    return comparison


def _kept_comparison(path: Path, base: str, head: str) -> Comparison | None:
    """Return the comparison of an earlier try at this run; None where there is none, or half."""
    try:
        comparison = read_comparison(json.loads(read_whole(path)))
    except (OSError, ValueError, RecursionError, NotAComparison):
        return None
    sides = comparison.base.commit, comparison.head.commit
    return comparison if sides == (base, head) and comparison.complete else None


def _after(work: Work, base: str) -> str:
    """Return the first commit after the base, the oldest that may have made a difference."""
    if base not in work.places:
        return work.commit
    line = list(work.places)
    return line[min(work.places[base] + 1, len(line) - 1)]


def history(work: Work) -> str:
    """Find what got worse over the commits, still is, and was not accepted."""
    wanted = work.wanted
    asv = wanted.repository / ASV_RESULTS
    earlier = codes_of_nights(wanted.store)
    this = pd.DataFrame(
        [] if notes(wanted) else [(work.commit, *each) for each in codes(work).items()],
        columns=["commit", "optimizer", "code"],
    )
    nights = this if earlier is None else pd.concat([earlier, this])
    try:
        told = load_history(
            wanted.repository,
            store=load(wanted.store),
            asv=asv if asv.is_dir() else None,
            nights=nights,
            baseline=work.base,
        )
    except NoHistory as error:
        raise LeftOut(str(error).splitlines()[0]) from error
    work.told, found = told, told.history
    work.regressions += _told_apart(of_change(each, work.subjects) for each in found.regressions)
    work.accepted += [
        AcceptedFinding(
            what=f"{each.optimizer} {each.problem}: {each.metric}".strip(), why=each.accepted
        )
        for each in found.changes
        if each.accepted
    ]
    frame = found.values.drop(columns=["order", "samples"])
    (wanted.out / "history.csv").write_text(csv_text(frame), "utf-8", newline="")
    commits = found.values["commit"].nunique()
    text = (
        f"{len(found.values):,} values of {_counted(commits, 'commit')}, "
        f"{_counted(len(found.changes), 'change')}, "
        f"{len(found.regressions)} for the worse that stand"
    )
    if work.base is not None and (begun := found.begun_at(work.commit)):
        text += f"; {_counted(begun, 'value')} of series that begin with this commit"
    if told.unknown:
        text += f"; {_counted(told.unknown, 'row')} of accepted.toml of commits off the line"
    if told.skipped:
        name, why = told.skipped[0]
        text += f"; {len(told.skipped)} files not read, as {name}: {why}"
    return text


def _told_apart(regressions: Iterable[Regression]) -> Iterator[Regression]:
    """With a key of its own for each: a series may have got worse twice."""
    counts: Counter[str] = Counter()
    for each in regressions:
        counts[each.key] += 1
        number = counts[each.key]
        yield each if number == 1 else each.model_copy(update={"key": f"{each.key}/{number}"})


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'s' * (number != 1)}"


def report(work: Work) -> str:
    """Write the report, where it is older than what it shows."""
    page = work.wanted.out / "index.html"
    store = store_file(work.wanted.store)
    drawn = page.stat().st_mtime if page.exists() else 0.0
    compared = [file for file in work.compared if file.exists()]
    beside = [*compared, *(work.wanted.repository / ASV_RESULTS).glob("*/*.json")]
    newest = max((file.stat().st_mtime for file in beside), default=0.0)
    if store is not None and store.exists() and drawn > max(_written(store), newest):
        raise NothingNew(f"{page} is newer than the store")
    write_report(
        work.wanted.store,
        work.wanted.out,
        comparisons=compared,
        repository=work.wanted.repository,
        history=work.told,
    )
    return str(page)


def _written(store: Path) -> float:
    """When a store was last written to: what is new may be in its log yet."""
    files = (store, store.with_name(f"{store.name}-wal"))
    return max(file.stat().st_mtime for file in files if file.exists() and file.stat().st_size)


def codes(work: Work) -> dict[str, str]:
    """Return the code identity of each optimizer that was run."""
    return {name: code_of(name) for name in sorted({run.optimizer for run in work.runs})}
