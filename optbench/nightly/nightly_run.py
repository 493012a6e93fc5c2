"""A nightly run: run what is missing, compare with the last that passed, and say how it is."""

from __future__ import annotations

import datetime
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from optbench.engine.environment import environment
from optbench.engine.runs import canonical
from optbench.errors import OptbenchError
from optbench.nightly import stages
from optbench.nightly.config import NightlyConfig
from optbench.nightly.outcome import NightlyRun, Regression, Stage, StageState
from optbench.runner import Progress
from optbench.sources import git
from optbench.tracking.commits import first_parents
from optbench.tracking.records import (
    Record,
    Verdict,
    add_record,
    folder_of,
    last_passed,
    read_records,
)

OUTCOMES = ("summary.md", "night.json")
"""Files that say how a run ended."""


class AlreadyRunning(OptbenchError, RuntimeError):
    """Another nightly run is at work on the same store."""


def run_nightly(
    wanted: NightlyConfig,
    *,
    watch: Callable[[Progress], None] = lambda _: None,
    tell: stages.Tell = lambda _: None,
) -> NightlyRun:
    """Do what is missing of a nightly run, and record how it ended.

    Each stage keeps what it has done as it goes; stopped at any moment and called again, it does
    the rest.

    Raises
    ------
    AlreadyRunning
        Where another is at work.
    SourceError
        Where the folder is no repository with a commit.
    """
    begun, started = time.monotonic(), datetime.datetime.now(datetime.UTC)
    commits = first_parents(wanted.repository)
    commit = str(commits["commit"].iloc[-1])
    folder = folder_of(wanted.store, wanted.repository / ".optbench")
    wanted.out.mkdir(parents=True, exist_ok=True)
    with alone(folder):
        for name in OUTCOMES:
            # Of an earlier run: if this one is killed, nobody is to take them for its own.
            (wanted.out / name).unlink(missing_ok=True)
        places = {each: place for place, each in enumerate(commits["commit"])}
        if wanted.base is not None:
            base: str | None = git.resolve(wanted.repository, wanted.base)
        else:
            base = last_passed(folder, places)
        subjects = dict(commits.itertuples(index=False))
        work = stages.Work(wanted, folder, commit, base, places, subjects)
        ended_stages = []
        for name, do in (
            ("runs", lambda: stages.runs(work, watch)),
            ("asv", lambda: stages.asv(work)),
            ("publish", lambda: stages.publish(work)),
            ("compare", lambda: stages.compare_with_base(work, tell)),
            ("history", lambda: stages.history(work)),
            ("report", lambda: stages.report(work)),
        ):
            tell(name)
            stage = Stage.of(name, do, stages.MISTAKES)
            ended_stages.append(stage)
            tell(f"{stage.name}: {stage.state}, {stage.text}")
        dirty = stages.notes(wanted)
        ended = NightlyRun(
            verdict=_verdict(ended_stages, work.regressions),
            branch=git.git(wanted.repository, "branch", "--show-current", check=False)
            or os.environ.get("GITHUB_REF_NAME", ""),
            commit=commit,
            subject=subjects[commit],
            base=base,
            started=started.replace(microsecond=0),
            seconds=round(time.monotonic() - begun, 1),
            stages=tuple(ended_stages),
            regressions=tuple(work.regressions),
            accepted=tuple(work.accepted),
            notes=(*dirty, *work.notes),
        )
        if not dirty:
            _keep(folder, _record(work, ended))
    return ended


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Hold the folder's lock: of two runs at once each would do the work of both."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "night.lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            who = file.read().strip() or "unknown"
            raise AlreadyRunning(
                f"another nightly run is at work on {folder} (process {who}): wait for its end"
            ) from error
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        # The lock is the open file's: whatever ends this process lets go of it.
        yield


def _verdict(stages: list[Stage], regressions: list[Regression]) -> Verdict:
    if regressions:
        return "regressed"
    failed = any(stage.state is StageState.FAILED for stage in stages)
    # Of this commit something has to be known: a run of nothing has not passed.
    measured = any(
        stage.state in (StageState.DONE, StageState.NOTHING_NEW) and stage.name in ("runs", "asv")
        for stage in stages
    )
    return "passed" if measured and not failed else "not measured"


def _keep(folder: Path, record: Record) -> None:
    """Add a record, unless the last one says the same: a run again that had nothing to do."""
    last = read_records(folder)[-1:]
    when = {"started", "finished"}
    if not last or last[0].model_dump(exclude=when) != record.model_dump(exclude=when):
        add_record(folder, record)


def _record(work: stages.Work, ended: NightlyRun) -> Record:
    here = environment()
    where = canonical({"cpu": here.cpu, "os": here.os, "python": here.python, "torch": here.torch})
    return Record(
        commit=work.commit,
        started=ended.started.isoformat(timespec="seconds"),
        finished=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        verdict=ended.verdict,
        where=where,
        codes=stages.codes(work),
    )
