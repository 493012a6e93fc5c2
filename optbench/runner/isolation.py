"""Units in a process of their own, so that nothing a stranger's optimizer does ends the suite.

It may hang, crash, print megabytes, call ``os._exit``, fill the memory or patch torch: every run
gets a result, which says what happened where none could be computed, and the next unit finds a
healthy process.
"""

from __future__ import annotations

import atexit
import contextlib
import signal
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path

import torch

from optbench.engine.as_found import shared_by_all, torch_as_found
from optbench.engine.runs import Result, Run, Status
from optbench.engine.work import Unit, perform
from optbench.optimizers import OPTIMIZERS
from optbench.process.channel import Answer, Channel, Gone, Sign, serve_requests
from optbench.process.worker import KILLED, CannotBegin, WorkerProcess, in_a_worker
from optbench.runner.packing import Parcel, Performed

try:
    import resource
except ImportError:  # not a POSIX system
    resource = None  # type: ignore[assignment]

START_S = 300.0
"""Seconds for a process to begin: importing torch takes two of them on a machine that is idle."""

STALL_S = 300.0
"""Seconds without a step after which a unit counts as hanging, where no limit was set: how long
whole units of a stranger's problem take, nobody can know."""

PER_SETTING, PER_UNIT = 2, 3
"""Runs that may take their process down, each alone; the rest of their setting, or of their unit,
is not tried."""

READY = "ready"


@dataclass(frozen=True)
class Limits:
    """What a unit may take.

    Attributes
    ----------
    timeout_s : float or None
        Seconds of wall time for a unit; None: as long as it takes, while there was a step in the
        last `STALL_S`; infinity: as long as it likes.
    memory : int or None
        Bytes of data that its process may hold; None: what there is.
    """

    timeout_s: float | None = None
    memory: int | None = None


class Lost(Exception):
    """A process went away, or was ended, before it answered; the text says how.

    Attributes
    ----------
    by_chance : bool
        It was killed from outside, as by the system where memory is short: another try may go well.
    """

    def __init__(self, text: str, *, by_chance: bool = False) -> None:
        super().__init__(text)
        self.by_chance = by_chance


class Stopped(Exception):
    """The cell was closed from another thread while it worked."""


def perform_apart(parcel: Parcel, limits: Limits) -> Performed:
    """Do the units of a parcel in a process that belongs to the calling thread.

    Always gives a result for each run, in their order. The process stays for the next parcel.

    Raises
    ------
    Stopped
        Where `close` was called meanwhile.
    CannotBegin
        Where there can be no process, whatever the runs.
    """
    if getattr(_here.owner, "closed", False):
        raise Stopped
    cell = _here.cell
    if cell is None or cell.closed or cell.memory != limits.memory:
        if cell is not None:
            cell.close()
        cell = _here.cell = Cell(limits.memory, _here.owner)
        _cells.add(cell)
    return Performed(
        tuple(r for unit in parcel.units for r in cell.perform(unit, limits.timeout_s))
    )


def belong_to(owner: object) -> None:
    """Assign the calling thread's cells to an owner, which closes them."""
    _here.owner = owner


def close(owner: object = None) -> None:
    """End the processes of the owner's threads, or of all; what they were at is lost."""
    for cell in [each for each in _cells if owner is None or each.owner is owner]:
        _cells.discard(cell)
        cell.close()


class Cell:
    """A process for units, and its successors.

    Parameters
    ----------
    memory : int or None
        As in `Limits`.
    owner : object
        Who closes it, as in `belong_to`.
    """

    def __init__(self, memory: int | None = None, owner: object = None) -> None:
        self.memory = memory
        self.owner = owner
        self.closed = False
        self._channel: Channel | None = None
        self._folder = tempfile.TemporaryDirectory(prefix="optbench-")
        self._before = 0
        self._guard = threading.Lock()

    def close(self) -> None:
        """End the process, for good; may be called from another thread."""
        with self._guard:
            self.closed = True
            self._end()
        self._folder.cleanup()

    def perform(self, unit: Unit, timeout_s: float | None) -> list[Result]:
        """Results of a unit's runs, whatever they do to the process.

        Raises
        ------
        Stopped, CannotBegin
            As of `perform_apart`.
        """
        try:
            return self._ask(unit, timeout_s)
        except Lost as lost:
            if len(unit.runs) == 1:
                return [self._alone(unit, timeout_s, lost)]
        # One run may have brought the others down: each alone, so that only it fails.
        results: list[Result] = []
        losses: Counter[object] = Counter()
        for run in unit.runs:
            setting = run.hyperparameters
            if losses[setting] == PER_SETTING or losses.total() == PER_UNIT:
                results += not_tried([run], "others of its unit, each alone, lost their process")
                continue
            one = replace(unit, runs=(run,))
            try:
                results += self._ask(one, timeout_s)
            except Lost as lost:
                results.append(self._alone(one, timeout_s, lost))
                losses[setting] += results[-1].status is Status.FAILED
        return results

    def _alone(self, unit: Unit, timeout_s: float | None, lost: Lost) -> Result:
        """Return the result of a run that has just lost its process."""
        (run,) = unit.runs
        if not lost.by_chance:
            return _failed(run, str(lost))
        try:
            (result,) = self._ask(unit, timeout_s)
        except Lost as again:
            return _failed(run, f"{again}, twice")
        return result

    def _ask(self, unit: Unit, timeout_s: float | None) -> list[Result]:
        channel = self._begun()
        others, self._before = self._before, self._before + 1

        def alive(sign: Sign) -> None:
            if timeout_s is None:
                channel.allow(STALL_S)

        channel.ask(unit, STALL_S if timeout_s is None else timeout_s)
        try:
            answer = channel.answer(alive)
        except Gone as error:
            raise self._lost(channel.process, unit, others) from error
        if answer is None:
            raise self._late(channel.process, unit, timeout_s)
        if answer.tainted:
            with self._guard:
                self._end()
        results: list[Result] = answer.content
        return results

    def _begun(self) -> Channel:
        """Return the process, ready to work."""
        with self._guard:
            if self.closed:
                raise Stopped
            if self._channel is not None and self._channel.process.alive:
                return self._channel
            self._end()
            worker = WorkerProcess.begin(serve, Path(self._folder.name) / "trail", self.memory)
            channel = self._channel = Channel(worker)
            self._before = 0
        channel.allow(START_S)
        try:
            answer = channel.answer()
        except Gone as error:
            lost = self._lost(worker, None)
            if not lost.by_chance:
                raise CannotBegin(str(lost)) from error
            raise lost from error
        if answer is None:
            raise CannotBegin(str(self._late(worker, None, START_S)))
        if answer.content != READY:
            raise CannotBegin(answer.content)
        return channel

    def _lost(self, worker: WorkerProcess, unit: Unit | None, others: int = 0) -> Lost:
        with self._guard:
            if self.closed:
                raise Stopped
            how = worker.how_it_ended()
            code = worker.process.exitcode
            self._end()
        # What another unit left behind in the process, a timer say, may have ended it as well.
        by_chance = code in KILLED or others > 0
        more = " (as where memory is short)" if code == -signal.SIGKILL else ""
        return Lost(f"{how}{more}{_while(unit)}", by_chance=by_chance)

    def _late(self, worker: WorkerProcess, unit: Unit | None, timeout_s: float | None) -> Lost:
        with self._guard:
            if self.closed:
                raise Stopped
            where = worker.end_late()
            self._end()
        what = f"{NO_STEP} {STALL_S:g} s" if timeout_s is None else f"{NO_END} {timeout_s:g} s"
        return Lost(f"{what}{_while(unit)}" + (f", {where}" if where else ""))

    def _end(self) -> None:
        if self._channel is not None:
            self._channel.process.end()
            self._channel = None


class _Here(threading.local):
    """What belongs to the calling thread."""

    owner: object = None
    cell: Cell | None = None


_here = _Here()
_cells: set[Cell] = set()
atexit.register(close)

NO_END, NO_STEP = "no end within", "no step within"


def is_late(result: Result) -> bool:
    """Whether a run failed because it did not end in time."""
    return result.status is Status.FAILED and (result.error or "").startswith((NO_END, NO_STEP))


def not_tried(runs: Sequence[Run], why: str) -> list[Result]:
    """Results of runs that were given up; they are run again the next time."""
    return [_failed(run, f"not tried: {why}") for run in runs]


def _failed(run: Run, text: str) -> Result:
    return Result(run, Status.FAILED, error=text)


def _while(unit: Unit | None) -> str:
    return f" while it ran {unit.title}" if unit is not None else " before it could begin"


def serve(pipe: Connection, trail: str, memory: int | None) -> None:
    """In the process itself: do the units that come, until the other side closes the pipe."""
    with in_a_worker(trail):
        needed = _limit(memory)
        if memory is not None and needed > memory:
            text = f"it holds {needed:,} bytes before its first run, of {memory:,} allowed"
            pipe.send(Answer(0, text))
            return
        _warm_up()
        serve_requests(pipe, _results, READY)


def _results(unit: Unit, begun: Callable[[], None]) -> tuple[list[Result], bool]:
    # What a package patches when it is imported, it always patches. What goes wrong with that is
    # said by `perform`, as the result of the runs.
    with torch_as_found(), contextlib.suppress(BaseException):
        OPTIMIZERS[unit.runs[0].optimizer]
    before = shared_by_all()
    results = perform(unit)
    return results, shared_by_all() != before


def _warm_up() -> None:
    """Import what the first step of an optimizer imports: no unit is to be charged for it."""
    leaf = torch.nn.Parameter(torch.zeros(1))
    leaf.grad = torch.zeros(1)
    torch.optim.Adam([leaf]).step()


def _limit(memory: int | None) -> int:
    """Hold the process to so many bytes of data; how many it holds already, where that is told."""
    # Where memory runs short, the system is to end the one that asks for it, not its coordinator.
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("800", "ascii")
    if memory is not None and resource is not None:
        held = getattr(resource, "RLIMIT_DATA", resource.RLIMIT_AS)
        resource.setrlimit(held, (memory, resource.getrlimit(held)[1]))
    with contextlib.suppress(OSError):
        status = Path("/proc/self/status").read_text("ascii")
        return int(status.partition("VmData:")[2].split()[0]) * 1024
    return 0
