"""Whatever a unit does to its process, every run gets a result and the next unit a process."""

from __future__ import annotations

import math
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from optbench.engine.runs import Result, Run, Status
from optbench.engine.work import Unit, perform
from optbench.optimizers import OPTIMIZERS
from optbench.process import channel, pulse
from optbench.process.channel import Answer, Channel, Sign
from optbench.process.worker import CannotBegin, WorkerProcess
from optbench.runner import isolation
from optbench.runner.isolation import Cell, Limits, Lost, Stopped, is_late, perform_apart
from optbench.runner.packing import Parcel

VILLAIN = """
import ctypes, os, signal, sys, time
import numpy, random, torch

DEEDS = {
    0.1: lambda: os._exit(3),
    0.2: lambda: ctypes.string_at(0),
    0.3: lambda: time.sleep(1e6),
    0.4: lambda: torch.ones(2**31),
    0.5: lambda: [print("x" * 1_000_000, file=f) for f in (sys.stdout, sys.stderr)],
    0.6: lambda: os.kill(os.getpid(), signal.SIGKILL),
    0.7: lambda: (torch.manual_seed(time.time_ns()), numpy.random.seed(1), random.seed(1),
                  torch.set_num_threads(2), os.environ.clear(), os.chdir("/"),
                  torch.set_default_dtype(torch.float64)),
    0.8: lambda: setattr(torch.Tensor, "add_", lambda *a, **k: None),
    0.9: lambda: sys.exit("enough"),
}

class Villain(torch.optim.SGD):
    def __init__(self, params, lr=0.001):
        super().__init__(params, lr=lr)
        self.turn = 0

    def step(self, closure=None):
        self.turn += 1
        # Later than where its price is measured: that is another's matter.
        if self.turn == 40:
            DEEDS.get(self.param_groups[0]["lr"], lambda: None)()
        return super().step(closure)
"""

VILLAIN_NAME = "villainous_optimizer:Villain"


@pytest.fixture(scope="module", autouse=True)
def villain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """On the path of this process and of those that it begins."""
    folder = tmp_path_factory.mktemp("villain")
    (folder / "villainous_optimizer.py").write_text(VILLAIN, "utf-8")
    sys.path.insert(0, str(folder))
    yield VILLAIN_NAME
    isolation.close()
    sys.path.remove(str(folder))
    sys.modules.pop("villainous_optimizer", None)
    OPTIMIZERS._adopted.pop(VILLAIN_NAME, None)


@pytest.fixture(scope="module")
def cell() -> Iterator[Cell]:
    one = Cell(memory=4 * 2**30)
    yield one
    one.close()


def run(lr: float, seed: int = 0, optimizer: str = VILLAIN_NAME) -> Run:
    return Run(optimizer, (("lr", lr),), "quadratic", 1, "none", seed, 60)


def bits(results: list[Result]) -> list[tuple[Any, ...]]:
    return [(r.run, r.status, r.steps, r.final_gap, r.hits) for r in results]


def alone(*runs: Run) -> list[tuple[Any, ...]]:
    return bits([perform(Unit((one,)))[0] for one in runs])


def test_a_unit_in_another_process_gives_what_it_gives_here(cell: Cell) -> None:
    unit = Unit(tuple(run(lr, seed) for lr in (0.01, 0.001) for seed in (0, 1)))
    there = cell.perform(unit, 60.0)
    assert bits(there) == bits(perform(unit))
    assert all(result.seconds and result.seconds > 0 for result in there)


@pytest.mark.proof
@pytest.mark.parametrize(
    ("lr", "words"),
    [
        (0.1, "the process ended with status 3, as by os._exit while it ran "),
        (0.2, "the process was ended by SIGSEGV, at "),
        (0.4, "RuntimeError: "),
        (0.6, "the process was ended by SIGKILL (as where memory is short)"),
        (0.9, "SystemExit: enough"),
    ],
)
def test_only_the_guilty_fails_and_the_text_says_how(cell: Cell, lr: float, words: str) -> None:
    guilty, innocent = run(lr), run(0.001)
    bad, good = cell.perform(Unit((guilty, innocent)), 60.0)
    assert (bad.run, bad.status) == (guilty, Status.FAILED)
    assert words in (bad.error or "")
    assert not is_late(bad)
    assert bits([good]) == alone(innocent)


@pytest.mark.proof
def test_one_that_hangs_is_ended_and_the_text_says_where(cell: Cell) -> None:
    bad, good = cell.perform(Unit((run(0.3), run(0.001))), 3.0)
    assert is_late(bad)
    assert bad.error is not None
    assert bad.error.startswith("no end within 3 s while it ran villainous_optimizer:Villain")
    assert "villainous_optimizer.py" in bad.error
    assert bits([good]) == alone(run(0.001))


@pytest.mark.proof
def test_without_a_limit_it_is_the_steps_that_must_not_end(
    monkeypatch: pytest.MonkeyPatch, cell: Cell
) -> None:
    monkeypatch.setattr(isolation, "STALL_S", 4.0)
    (bad,) = cell.perform(Unit((run(0.3),)), None)
    assert is_late(bad)
    assert (bad.error or "").startswith("no step within 4 s")


def test_long_work_is_not_taken_for_none(monkeypatch: pytest.MonkeyPatch) -> None:
    # The other side, scripted: two signs of life, each after the time that one may take.
    signs = [channel._Said(0, Sign.STEPS)]
    said = iter(signs * 2 + [Answer(1, ["the results"])])
    clock = iter(float(second) for second in range(0, 4000, 4))
    monkeypatch.setattr(isolation, "STALL_S", 10.0)
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))

    class Pipe:
        def poll(self, seconds: float) -> bool:
            return True

        def send(self, question: object) -> None:
            pass

        def recv(self) -> object:
            return next(said)

        def close(self) -> None:
            pass

    class Worker:
        pipe, alive = Pipe(), True
        process = SimpleNamespace(kill=lambda: None)

        def end(self) -> None:
            pass

        def end_late(self) -> str:
            return ""

    def ask(timeout_s: float | None) -> object:
        cell = Cell()
        cell._channel = Channel(Worker())  # type: ignore[arg-type]
        try:
            return cell._ask(Unit((run(0.001),)), timeout_s)
        finally:
            cell.close()

    assert ask(None) == ["the results"]
    said = iter(signs * 100)
    with pytest.raises(Lost, match="no end within 10 s"):
        ask(10.0)


def test_every_turn_of_the_loop_is_a_sign_of_life() -> None:
    before = pulse.beats
    perform(Unit((run(0.001),)))
    assert pulse.beats == before + 60


@pytest.mark.proof
def test_what_it_prints_and_changes_reaches_nobody(
    cell: Cell, capfd: pytest.CaptureFixture[str]
) -> None:
    expected = alone(run(0.001), run(0.01, optimizer="adam"))
    for lr in (0.5, 0.7, 0.8):
        cell.perform(Unit((run(lr),)), 60.0)
        after = cell.perform(Unit((run(0.001),)), 60.0)
        after += cell.perform(Unit((run(0.01, optimizer="adam"),)), 60.0)
        assert bits(after) == expected
    assert capfd.readouterr() == ("", "")


@pytest.mark.proof
def test_the_rest_of_a_setting_is_not_tried_for_ever(cell: Cell) -> None:
    asked = [run(0.1, seed) for seed in range(5)] + [run(0.001)]
    results = cell.perform(Unit(tuple(asked)), 60.0)
    texts = [result.error or "" for result in results]
    assert sum("os._exit" in text for text in texts) == isolation.PER_SETTING
    assert sum(text.startswith("not tried: ") for text in texts) == 3
    assert results[-1].status is Status.OK


@pytest.mark.proof
def test_a_process_that_is_killed_from_outside_costs_nothing(cell: Cell) -> None:
    runs = tuple(
        Run("adam", (("lr", 0.01),), "mnist-mlp", 1, "mnist-10k", seed, 300) for seed in (0, 1)
    )
    cell.perform(Unit((run(0.001),)), 60.0)
    assert cell._channel is not None
    first = cell._channel.process.process.pid
    killer = threading.Timer(0.3, os.kill, (first, signal.SIGKILL))
    killer.start()
    results = cell.perform(Unit(runs), 60.0)
    killer.join()
    assert cell._channel.process.process.pid != first
    assert bits(results) == alone(*runs)


@pytest.mark.proof
def test_one_that_is_killed_as_it_begins_is_begun_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    begun = []

    def begin(*arguments: Any, **options: Any) -> WorkerProcess:
        worker = WorkerProcess.begin(*arguments, **options)
        if not begun:
            worker.process.kill()
        begun.append(worker)
        return worker

    monkeypatch.setattr(isolation, "WorkerProcess", SimpleNamespace(begin=begin))
    cell = Cell()
    assert bits(cell.perform(Unit((run(0.001),)), 60.0)) == alone(run(0.001))
    assert len(begun) == 2
    cell.close()


@pytest.mark.proof
def test_one_that_never_gets_ready_is_no_result_of_a_run() -> None:
    cell = Cell(memory=1)
    with pytest.raises(
        CannotBegin,
        match=r"^no worker process can begin here: it holds [0-9,]+ bytes .*, of 1 allowed$",
    ):
        cell.perform(Unit((run(0.001),)), 60.0)
    cell.close()


@pytest.mark.proof
def test_a_closed_cell_answers_nobody_and_leaves_no_process() -> None:
    cell = Cell()
    cell.perform(Unit((run(0.001),)), 60.0)
    assert cell._channel is not None
    process = psutil.Process(cell._channel.process.process.pid)
    closer = threading.Timer(1.0, cell.close)
    closer.start()
    with pytest.raises(Stopped):
        cell.perform(Unit((run(0.3),)), math.inf)
    closer.join()
    process.wait(10)


@pytest.mark.proof
def test_a_parcel_keeps_the_order_and_its_process() -> None:
    units = tuple(Unit((run(lr), run(lr, 1))) for lr in (0.001, 0.9, 0.01))
    first = perform_apart(Parcel(units), Limits())
    assert [result.run for result in first.results] == [one for unit in units for one in unit.runs]
    used = isolation._here.cell._channel
    perform_apart(Parcel(units[:1]), Limits())
    assert isolation._here.cell._channel is used
    isolation.close()
    with pytest.raises(psutil.NoSuchProcess):
        psutil.Process(used.process.process.pid)
