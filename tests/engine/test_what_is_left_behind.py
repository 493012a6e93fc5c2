"""What an optimizer leaves in its process, and what reaches those who come after it: nothing."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import pytest

from optbench.engine.as_found import shared_by_all
from optbench.engine.runs import Result, Run, Status
from optbench.engine.work import Unit, perform
from optbench.optimizers import OPTIMIZERS
from optbench.process import channel
from optbench.runner.isolation import Cell

LEAVERS = """
import os, threading, time
import torch
from torch.optim.optimizer import register_optimizer_step_pre_hook

class Leaver(torch.optim.SGD):
    def __init__(self, params, lr=0.001):
        super().__init__(params, lr=lr)

    def leave(self):
        raise NotImplementedError

    def step(self, closure=None):
        self.leave()
        return super().step(closure)

class Patch(Leaver):
    def leave(self):
        torch.optim.Adam.step = lambda self, closure=None: None

class Hook(Leaver):
    def leave(self):
        register_optimizer_step_pre_hook(
            lambda self, *a: [p.grad.mul_(0.5) for g in self.param_groups for p in g["params"]]
        )

class Timer(Leaver):
    def leave(self):
        threading.Timer(0.2, os._exit, (7,)).start()

class Garbage(Leaver):
    def leave(self):
        for file in range(3, 64):
            try:
                os.write(file, b"garb")
            except OSError:
                pass
        time.sleep(3600)

class Closes(Leaver):
    def leave(self):
        os.closerange(3, 256)
        time.sleep(3600)
"""

pytestmark = pytest.mark.proof


@pytest.fixture(scope="module", autouse=True)
def leavers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    folder = tmp_path_factory.mktemp("leavers")
    (folder / "leaving_optimizers.py").write_text(LEAVERS, "utf-8")
    sys.path.insert(0, str(folder))
    yield
    sys.path.remove(str(folder))
    sys.modules.pop("leaving_optimizers", None)
    for name in [each for each in OPTIMIZERS._adopted if each.startswith("leaving_optimizers:")]:
        del OPTIMIZERS._adopted[name]


@pytest.fixture
def cell() -> Iterator[Cell]:
    one = Cell()
    yield one
    one.close()


def unit(optimizer: str, budget: int = 60) -> Unit:
    return Unit((Run(optimizer, (("lr", 0.01),), "quadratic", 1, "none", 0, budget),))


def bits(results: list[Result]) -> list[tuple[Any, ...]]:
    return [(r.run, r.status, r.steps, r.final_gap, r.hits) for r in results]


@pytest.mark.parametrize("name", ["Patch", "Hook"])
def test_who_changes_what_all_share_takes_its_process_along(cell: Cell, name: str) -> None:
    expected = bits(perform(unit("adam")))
    cell.perform(unit(f"leaving_optimizers:{name}"), 60.0)
    assert bits(cell.perform(unit("adam"), 60.0)) == expected


def test_what_everybody_goes_through_is_the_same_from_unit_to_unit() -> None:
    perform(unit("adam"))
    before = shared_by_all()
    for name in ("adam", "sgd", "lbfgs", "muon[none]"):
        if name in OPTIMIZERS:
            perform(unit(name))
    assert shared_by_all() == before


def test_a_timer_of_another_unit_fails_nobody(cell: Cell) -> None:
    long = unit("adam", budget=20_000)
    expected = bits(perform(long))
    cell.perform(unit("leaving_optimizers:Timer"), 60.0)
    assert bits(cell.perform(long, 60.0)) == expected


@pytest.mark.parametrize("name", ["Garbage", "Closes"])
def test_files_that_others_write_to_or_close_hold_nobody_up(
    cell: Cell, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(channel, "SAYING_S", 3.0)
    (result,) = cell.perform(unit(f"leaving_optimizers:{name}"), 5.0)
    assert result.status is Status.FAILED
    assert bits(cell.perform(unit("adam"), 60.0)) == bits(perform(unit("adam")))
