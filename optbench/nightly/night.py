"""A night: run what is missing, compare with the last good one, look back, and say how it is."""

from __future__ import annotations

import datetime
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from optbench.engine.environment import environment
from optbench.engine.runs import canonical
from optbench.errors import OptbenchError
from optbench.nightly import stages
from optbench.nightly.config import NightlyConfig
from optbench.nightly.regression import Regression
from optbench.nightly.stage import Stage, State
from optbench.runner import Progress
from optbench.sources import git
from optbench.tracking.commits import first_parents
from optbench.tracking.records import Record, add_record, folder_of, last_good, read_records

SCHEMA = 1

OUTCOMES = ("summary.md", "night.json")
"""What says how a night ended."""


class NightGoingOn(OptbenchError, RuntimeError):
    """Another night is at work on the same store."""


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


def night(
    wanted: NightlyConfig,
    *,
    watch: Callable[[Progress], None] = lambda _: None,
    tell: stages.Tell = lambda _: None,
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
    folder = folder_of(wanted.store, wanted.repository / ".optbench")
    wanted.out.mkdir(parents=True, exist_ok=True)
    with alone(folder):
        for name in OUTCOMES:
            # Of an earlier night: if this one is killed, nobody is to take them for its own.
            (wanted.out / name).unlink(missing_ok=True)
        places = {each: place for place, each in enumerate(commits["commit"])}
        base = _base(wanted, folder, places)
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
        ended = Night(
            _verdict(ended_stages, work.regressions),
            commit,
            subjects[commit],
            base,
            started.isoformat(timespec="seconds"),
            time.monotonic() - begun,
            tuple(ended_stages),
            tuple(work.regressions),
            tuple(work.accepted),
            (*dirty, *work.notes),
        )
        if not dirty:
            _keep(folder, _record(work, ended))
    return ended


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


def _base(wanted: NightlyConfig, folder: Path, places: dict[str, int]) -> str | None:
    if wanted.base is not None:
        return git.resolve(wanted.repository, wanted.base)
    return last_good(folder, places)


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


def _keep(folder: Path, record: Record) -> None:
    """Add a record, unless the last one says the same: a night again that had nothing to do."""
    last = read_records(folder)[-1:]
    when = {"started", "finished"}
    if not last or last[0].model_dump(exclude=when) != record.model_dump(exclude=when):
        add_record(folder, record)


def _record(work: stages.Work, ended: Night) -> Record:
    here = environment()
    where = canonical({"cpu": here.cpu, "os": here.os, "python": here.python, "torch": here.torch})
    return Record(
        commit=work.commit,
        started=ended.started,
        finished=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        verdict=ended.verdict,
        where=where,
        codes=stages.codes(work),
    )
