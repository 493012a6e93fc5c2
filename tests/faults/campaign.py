"""A suite that is disturbed at random moments, and must end as if it had not been."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import psutil

import optbench

ASKED = (
    *("-o", "sgd", "-o", "adam", "-o", "rmsprop", "-o", "adafactor", "-o", "lbfgs"),
    *("-p", "quadratic", "-p", "rosenbrock-2d", "-p", "noisy-quadratic", "-p", "matrix-completion"),
    *("--lr", "0.001", "--lr", "0.03", "--lr", "10", "--seeds", "4", "--budget", "400"),
)
"""Some five seconds of work for two cores: runs that end well and runs that diverge."""

RUNS = 5 * 4 * 3 * 4

NOT_REPEATABLE = ["run", "seconds_per_step", "seconds", "environment", "attempts"]

PATIENCE_S = 240
"""For one start of the suite, which takes some fifteen seconds where nothing else runs."""


@dataclass
class Campaign:
    """Starts of one command, each of which may be disturbed, until it has ended well.

    Attributes
    ----------
    where : Path
        The folder to stand in.
    store : str
        The store to fill.
    options : tuple of str
        On top of `ASKED`: where to work.
    seed : int
        Of the moments and of the victims.
    again : bool
        Do anew what is there: all was done, and more is to be disturbed.
    kills : int
        How often something was killed.
    said : list of str
        What each start said.
    """

    where: Path
    store: str
    options: tuple[str, ...]
    seed: int
    again: bool = False
    kills: int = 0
    said: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)

    @contextmanager
    def started(self) -> Iterator[subprocess.Popen[str]]:
        """The command; whatever is left of it when this is left is killed."""
        again = ["--again"] if self.again else []
        with tempfile.TemporaryFile("w+", encoding="utf-8") as said:
            process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "optbench", "run", *ASKED, "--store", self.store),
                    *self.options,
                    *again,
                ],
                cwd=self.where,
                stdout=said,
                stderr=said,
                text=True,
                env={**os.environ, "PYTHONFAULTHANDLER": "1"},
            )
            try:
                yield process
            finally:
                process.kill()
                process.wait()
                said.seek(0)
                self.said.append(said.read())

    def moment(self, longest: float) -> float:
        """Seconds to wait for the next blow."""
        return self.random.uniform(0.2, longest)

    def until_it_ends_well(self) -> None:
        """Start it until nothing is left to do; the third time it has to be."""
        self.again = False
        for _ in range(3):
            with self.started() as process:
                code = process.wait(PATIENCE_S)
            if code == 0:
                return
        raise AssertionError(f"it does not end: status {code}\n{self.said[-1]}")


def ended_within(process: subprocess.Popen[str], seconds: float) -> bool:
    """Whether it ended by itself in that time."""
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


def coordinator_killed(campaign: Campaign, kills: int, longest: float = 9.0) -> None:
    """Kill -9 the coordinator, so many times, each time at a random moment after its start."""
    while campaign.kills < kills:
        with campaign.started() as process:
            if ended_within(process, campaign.moment(longest)):
                campaign.again = True
            else:
                process.kill()
                campaign.kills += 1


def others_killed(
    campaign: Campaign,
    kills: int,
    strike: Callable[[subprocess.Popen[str]], bool],
    longest: float = 3.0,
) -> None:
    """Strike at random moments, again and again while the suite runs; True: it has hit."""
    campaign.again = True
    while campaign.kills < kills:
        with campaign.started() as process:
            while campaign.kills < kills and not ended_within(process, campaign.moment(longest)):
                campaign.kills += strike(process)
            if process.poll() is None:
                process.wait(PATIENCE_S)


def one_of(
    victims: Callable[[subprocess.Popen[str]], list[psutil.Process]], seed: int
) -> Callable[[subprocess.Popen[str]], bool]:
    """A strike that kills one of the victims."""
    random_ = random.Random(seed)

    def strike(process: subprocess.Popen[str]) -> bool:
        found = victims(process)
        if found:
            killed(random_.choice(found))
        return bool(found)

    return strike


def killed(victim: psutil.Process) -> None:
    """Kill -9; it may be gone already."""
    try:
        victim.send_signal(signal.SIGKILL)
    except psutil.NoSuchProcess:
        return


def workers_of(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """The processes that compute for a coordinator."""
    return begun_by(process.pid)


def begun_by(pid: int) -> list[psutil.Process]:
    """The workers that a process has begun, and what they are forked from."""
    ways = ("spawn_main", "multiprocessing.forkserver")
    try:
        children = psutil.Process(pid).children(recursive=True)
        return [c for c in children if any(way in " ".join(c.cmdline()) for way in ways)]
    except psutil.NoSuchProcess:
        return []


def frames(store: str) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Runs, targets and traces, without times and in an order of their own."""
    found = optbench.load(store)
    by = ["optimizer", "problem", "lr", "hyperparameters", "seed"]
    runs = found.runs.sort_values(by, ignore_index=True)
    place = pd.Series(runs.index, index=runs["run"])
    long = [
        frame.assign(run=frame["run"].map(place)).sort_values(order, ignore_index=True)
        for frame, order in (
            (found.targets, ["run", "target"]),
            (found.traces, ["run", "metric", "step"]),
        )
    ]
    dropped = [name for name in NOT_REPEATABLE if name in runs]
    return runs.drop(columns=[*dropped, "commit"], errors="ignore"), long[0], long[1]


def assert_as_if_nothing_had_happened(store: str, undisturbed: str) -> None:
    """Every planned run is there exactly once, and the frames are those of a quiet machine."""
    ours, theirs = frames(store), frames(undisturbed)
    assert len(ours[0]) == len(theirs[0]) == RUNS
    for one, other in zip(ours, theirs, strict=True):
        pd.testing.assert_frame_equal(one, other, check_exact=True)
