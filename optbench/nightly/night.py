"""A night: run what is missing, compare with the last good one, look back, and say how it is."""

from __future__ import annotations

import datetime
import fcntl
import inspect
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pandas as pd

from optbench.analysis import MissingColumns
from optbench.compare.contest import NothingCompared, NotImportable, Wanted, compare
from optbench.conformance.acquaintance import optimizer_classes
from optbench.engine.environment import environment
from optbench.engine.identity import code_of
from optbench.engine.plan import NothingToRun, Selection, plan
from optbench.engine.runs import Run, canonical
from optbench.nightly import tracking
from optbench.nightly.records import Record, add_record, codes_of_nights, read_records
from optbench.nightly.regression import FAIL_ON, Regression, of_change, of_comparison
from optbench.nightly.stage import Failed, LeftOut, NothingNew, Stage, State
from optbench.optimizers import OPTIMIZERS, WrongHyperparameter
from optbench.registry import NotAdoptable, UnknownName, import_module
from optbench.report import NothingToReport, UnknownBaseline
from optbench.report.comparison_page import page as page_of_comparison
from optbench.report.comparison_text import without_infinities
from optbench.sources import Source, SourceError, git
from optbench.sources.source import Kind as KindOfSource
from optbench.store import Progress, Store, StoreError, fill
from optbench.tracking.accepted import WrongAcceptance, read_accepted, reason
from optbench.tracking.asv_results import NoResults
from optbench.tracking.commits import first_parents
from optbench.tracking.past import NothingToTell, past

SCHEMA = 1

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


class NightGoingOn(RuntimeError):
    """Another night is at work on the same store."""


@dataclass(frozen=True)
class WantedNight:
    """What a night is to do.

    Attributes
    ----------
    repository : Path
        The top of the checkout.
    selections : tuple of Selection
        Of the suite.
    targets : tuple of str
        The repository's own optimizers, for the comparison.
    store : str
        URL or path.
    out : Path
        Where the summary, the report and what else is to be read go.
    base : str or None
        A revision to compare with instead of the last good night's.
    asv : bool
        Run asv, where the repository has a configuration of it.
    machine : str or None
        The name that asv keeps results under.
    commits : int
        The most that asv runs.
    jobs : int
        Worker processes.
    fail_on : frozenset of str
        Findings of the comparison that fail the night.
    path, install :
        As in `optbench.compare.contest.Wanted`.
    """

    repository: Path
    selections: tuple[Selection, ...]
    store: str
    out: Path
    targets: tuple[str, ...] = ()
    base: str | None = None
    asv: bool = True
    machine: str | None = None
    commits: int = tracking.COMMITS
    jobs: int = 1
    fail_on: frozenset[str] = frozenset(FAIL_ON)
    path: str | None = None
    install: bool = False


@dataclass(frozen=True)
class Night:
    """A night that ended.

    Attributes
    ----------
    verdict : str
        good, regressed, or not measured.
    base : str or None
        The last good night's commit.
    accepted : tuple of (str, str)
        What got worse and is wanted, with the reason.
    """

    verdict: str
    commit: str
    subject: str
    base: str | None
    started: str
    seconds: float
    stages: tuple[Stage, ...]
    regressions: tuple[Regression, ...]
    accepted: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """The file ``night.json``."""
        return {
            "schema": SCHEMA,
            "verdict": self.verdict,
            "commit": self.commit,
            "base": self.base,
            "started": self.started,
            "seconds": round(self.seconds, 1),
            "stages": [asdict(each) | {"seconds": round(each.seconds, 1)} for each in self.stages],
            "regressions": [asdict(each) for each in self.regressions],
            "accepted": [{"what": what, "why": why} for what, why in self.accepted],
            "notes": list(self.notes),
        }


@dataclass
class _Work:
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


def own_selection(targets: Sequence[str], suite: Sequence[Selection]) -> tuple[Selection, ...]:
    """The repository's own optimizers on the suite's problems, where no row of ours has them."""
    ours = {
        (row.factory.__module__, row.factory.__qualname__)
        for row in OPTIMIZERS
        if inspect.isclass(row.factory)
    }
    own: dict[str, None] = {}
    for target in targets:
        if ":" in target:
            module, _, pattern = target.partition(":")
            classes = optimizer_classes(import_module(module, target))
            names = [f"{module}:{name}" for name, _ in classes if fnmatchcase(name, pattern)]
            for name in names:
                factory = OPTIMIZERS[name].factory
                if (factory.__module__, getattr(factory, "__qualname__", "")) not in ours:
                    own[name] = None
    if not own:
        return ()
    first = suite[0]
    return (first.model_copy(update={"optimizers": tuple(own)}),)


Tell = Callable[[str], None]
WritePage = Callable[[str, Path], object]
"""Writes the report of a store to a folder."""


def night(
    wanted: WantedNight,
    write_page: WritePage,
    *,
    watch: Callable[[Progress], None] = lambda _: None,
    tell: Tell = lambda _: None,
) -> Night:
    """Do what is missing of a night, and record how it ended.

    Each stage keeps what it has done as it goes; stopped at any moment and called again, it does
    the rest.

    Raises
    ------
    NightGoingOn
        Where another is at work.
    SourceError
        Where the folder is no repository with a commit.
    """
    begun, started = time.monotonic(), datetime.datetime.now(datetime.UTC)
    commits = first_parents(wanted.repository)
    commit = str(commits["commit"].iloc[-1])
    folder = _folder(wanted)
    wanted.out.mkdir(parents=True, exist_ok=True)
    with alone(folder):
        places = {each: place for place, each in enumerate(commits["commit"])}
        base = _base(wanted, folder, places)
        subjects = dict(commits.itertuples(index=False))
        work = _Work(wanted, folder, commit, base, places, subjects)
        stages = []
        for name, do in (
            ("runs", lambda: _runs(work, watch)),
            ("asv", lambda: _asv(work)),
            ("publish", lambda: _publish(work)),
            ("compare", lambda: _compare(work, tell)),
            ("history", lambda: _history(work)),
            ("report", lambda: _report(work, write_page)),
        ):
            tell(name)
            stage = Stage.of(name, do, MISTAKES)
            stages.append(stage)
            tell(f"{stage.name}: {stage.state}, {stage.text}")
        ended = Night(
            _verdict(stages, work.regressions),
            commit,
            subjects[commit],
            base,
            started.isoformat(timespec="seconds"),
            time.monotonic() - begun,
            tuple(stages),
            tuple(work.regressions),
            tuple(work.accepted),
            _notes(wanted),
        )
        if not ended.notes:
            add_record(folder, _record(work, ended))
    return ended


def _folder(wanted: WantedNight) -> Path:
    """Where nights are recorded: beside a store in a file, else where one would be."""
    if "://" in wanted.store:
        return wanted.repository / ".optbench"
    return Path(wanted.store).resolve().parent


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Hold the folder's lock: of two nights at once each would do the work of both."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "night.lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            who = file.read().strip() or "unknown"
            raise NightGoingOn(
                f"another night is at work on {folder} (process {who}): wait for its end"
            ) from error
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        # The lock is the open file's: whatever ends this process lets go of it.
        yield


def _base(wanted: WantedNight, folder: Path, places: dict[str, int]) -> str | None:
    if wanted.base is not None:
        top = wanted.repository
        return git.git(top, "rev-parse", "--verify", f"{wanted.base}^{{commit}}")
    good = [each.commit for each in read_records(folder) if each.verdict == "good"]
    return next((commit for commit in reversed(good) if commit in places), None)


def _runs(work: _Work, watch: Callable[[Progress], None]) -> str:
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


def _asv(work: _Work) -> str:
    if not work.wanted.asv:
        raise LeftOut("not asked for")
    wanted = work.wanted
    last = [record.commit for record in read_records(work.folder) if record.commit in work.places]
    since = last[-1] if last else None
    return tracking.run(
        wanted.repository, work.commit, since, wanted.machine, wanted.commits, work.log
    )


def _publish(work: _Work) -> str:
    if not work.wanted.asv:
        raise LeftOut("not asked for")
    return tracking.publish(work.wanted.repository, work.log)


def _compare(work: _Work, tell: Tell) -> str:
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


def _compared(work: _Work, base: str, kept: Path, tell: Tell) -> dict[str, Any]:
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
    kept.parent.mkdir(parents=True, exist_ok=True)
    beside = kept.with_suffix(".part")
    beside.write_text(json.dumps(content, allow_nan=False), "utf-8")
    beside.replace(kept)
    return content


def _kept_comparison(path: Path, base: str, head: str) -> dict[str, Any] | None:
    """A comparison of an earlier try at this night; None where there is none that is whole."""
    try:
        content = json.loads(path.read_text("utf-8"))
        sides = content["base"]["commit"], content["head"]["commit"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return content if sides == (base, head) and content.get("complete") else None


def _after(work: _Work, base: str) -> str:
    """The commit of the line after the base: the oldest that a difference may have come with."""
    if base not in work.places:
        return work.commit
    line = list(work.places)
    return line[min(work.places[base] + 1, len(line) - 1)]


def _history(work: _Work) -> str:
    wanted = work.wanted
    asv = wanted.repository / ".asv" / "results"
    earlier = codes_of_nights(wanted.store)
    this = pd.DataFrame(
        [] if _notes(wanted) else [(work.commit, *each) for each in _codes(work).items()],
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


def _report(work: _Work, write_page: WritePage) -> str:
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


def _verdict(stages: list[Stage], regressions: list[Regression]) -> str:
    if regressions:
        return "regressed"
    failed = any(stage.state is State.FAILED for stage in stages)
    # Of this commit something has to be known: a night of nothing is no good night.
    measured = any(
        stage.state in (State.DONE, State.NOTHING_NEW) and stage.name in ("runs", "asv")
        for stage in stages
    )
    return "good" if measured and not failed else "not measured"


def _notes(wanted: WantedNight) -> tuple[str, ...]:
    changed = git.git(wanted.repository, "status", "--porcelain", "--untracked-files=no")
    if changed:
        return (
            "the checkout has changes that are not committed: its runs are in the store and in "
            "the report, but belong to no commit, and this night is not recorded as one",
        )
    return ()


def _record(work: _Work, ended: Night) -> Record:
    here = environment()
    where = canonical({"cpu": here.cpu, "os": here.os, "python": here.python, "torch": here.torch})
    return Record(
        commit=work.commit,
        started=ended.started,
        finished=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        verdict=ended.verdict,
        where=where,
        codes=_codes(work),
    )


def _codes(work: _Work) -> dict[str, str]:
    """The code of each optimizer that was run."""
    return {name: code_of(name) for name in sorted({run.optimizer for run in work.runs})}
