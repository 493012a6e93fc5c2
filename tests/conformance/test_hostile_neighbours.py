"""What one optimizer does to the process it runs in is not held against the next."""

from __future__ import annotations

import enum
from collections import Counter
from pathlib import Path
from textwrap import dedent
from typing import NamedTuple

import pytest

from optbench.conformance.contract import choose
from optbench.conformance.result import CheckResult, Status
from optbench.conformance.worker_process import SubjectSpec
from optbench.conformance.workers import examine_all
from optbench.scenarios.perturb import nearby_values

CHECKS = choose(["parameters_stay_leaves", "bits_repeat_in_a_second_run", "follows_its_oracle"])

MODULE = """
    import os, time, torch

    class Third(torch.optim.SGD):
        def __init__(self, params, lr=0.1):
            super().__init__(params, lr=lr)
            self.taken = 0

        def step(self, closure=None):
            loss = super().step(closure)
            self.taken += 1
            if self.taken == 3:
                self.strike()
            return loss

        def strike(self):
            pass

    class Doubles(Third):
        done = False

        def strike(self):
            if not Doubles.done:
                Doubles.done = True
                os.fork()

    class Signals(Third):
        def strike(self):
            os.kill(os.getpid(), 40)

    class Patches(Third):
        def strike(self):
            add_ = torch.Tensor.add_
            torch.Tensor.add_ = lambda t, *a, **k: add_(t, *a, **k).mul_(1.001)
"""


@pytest.fixture
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "hostile_neighbours.py").write_text(dedent(MODULE))
    monkeypatch.syspath_prepend(str(tmp_path))


def examined(*targets: str) -> dict[tuple[str, str], CheckResult]:
    said = [
        each
        for each in examine_all(map(SubjectSpec, targets), CHECKS, jobs=1, limit_s=20)
        if isinstance(each, CheckResult)
    ]
    counts = Counter((v.target, v.check) for v in said)
    assert counts == {(target, check.name): 1 for target in targets for check in CHECKS}
    return {(v.target, v.check): v for v in said}


@pytest.mark.proof
@pytest.mark.usefixtures("_folder")
@pytest.mark.parametrize("name", ["Doubles", "Patches", "Signals"])
def test_the_next_optimizer_gets_its_own_verdicts(name: str) -> None:
    found = examined(f"hostile_neighbours:{name}", "torch.optim:SGD")
    ours = [found["torch.optim:SGD", check.name] for check in CHECKS]
    assert [v.status for v in ours] == [Status.PASSED] * len(CHECKS), [v.text for v in ours]


@pytest.mark.proof
@pytest.mark.usefixtures("_folder")
def test_a_signal_without_a_name_is_a_crash_all_the_same() -> None:
    found = examined("hostile_neighbours:Signals")
    result = found["hostile_neighbours:Signals", "parameters_stay_leaves"]
    assert (result.status, result.text[:38]) == (
        Status.CRASHED,
        "the process was ended by signal 40",
    )


class Mode(enum.IntEnum):
    FIRST = 1
    SECOND = 2


class Betas(NamedTuple):
    first: float
    second: float


def test_neighbours_are_of_the_same_kind() -> None:
    assert list(nearby_values("mode", Mode.FIRST)) == [Mode.SECOND]
    others = list(nearby_values("betas", Betas(0.9, 0.5)))
    assert others
    assert all(isinstance(each, Betas) and isinstance(each.first, float) for each in others)
